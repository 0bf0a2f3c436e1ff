"""A whole router in memory: several shards and the topics between them, pumped by hand in any interleaving.

It keeps a log's promises (order per partition, atomic transactions, compaction of state and registry) and nothing else,
so that a test can restart a shard, throw a transaction away, or let one task lag at any point. No time passes but what
the test says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any, Final

from router import codec, topics
from router.codec import encode_value
from router.decide.bill_state import AssessedBill, BillState
from router.decide.identity import key_of
from router.decide.rules import Rules, settings_of
from router.engine.intake import event_outputs
from router.log.interface import Output, Record, partition_of
from router.model.eastern import MINUTE
from router.model.inputs import DeadLetter, Disposition, FedRecord, ManualEvent
from router.model.registry_values import Party, RegistryNote, RegistryValue, RulesRecord, Sailing, registry_key
from router.task.certification import SAMPLE_PREFIX
from router.task.outputs import timeline_fields
from router.task.shard import Shard

SECRET: Final = "00" * 32
ENDLESS: Final = 100_000

Fed = FedRecord
Registered = RegistryValue


class Harness:
    def __init__(self, partitions: int = 2, rules: Rules | None = None, now: int = 0) -> None:
        self.partitions = partitions
        self.rules = rules or Rules()
        self._first_rules = self.rules
        self.log: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        self.shards = [Shard(self._first_rules, partition, partitions) for partition in range(partitions)]
        self.register(RegistryNote("installation", "secret", now, SECRET))
        if now:
            self.tick(now)

    # What comes from outside

    def register(self, *values: Registered) -> None:
        """Registry records as they are, without an epoch."""
        self._append(Output(topics.REGISTRY, registry_key(value), encode_value(value)) for value in values)

    def roster(self, *values: Party | Sailing) -> None:
        """An import of parties and sailings: what they are, then one epoch."""
        self.register(*values, RegistryNote("epoch", "epoch", 0))

    def change_rules(self, **changes: Any) -> None:
        """The rules as the first router writes them, if that was not done, then a change of them."""
        if self.rules.number == 1:
            self._register_rules()
        before = self.rules
        self.rules = replace(before, number=before.number + 1, earlier=(*before.earlier, before), **changes)
        self._register_rules()

    def _register_rules(self) -> None:
        number = self.rules.number
        self.register(RulesRecord(number, f"{number}", settings_of(self.rules), 0, "me", "a test"))

    def tick(self, now: int) -> None:
        self._now = now
        self.register(RegistryNote("tick", "tick", now))

    def days_pass(self, days: int) -> None:
        """With a tick every hour, as while a router runs."""
        self.pump()
        for _ in range(days * 24):
            self.tick(self._now + 60 * MINUTE)
        self.pump()

    def feed(self, *values: Fed) -> None:
        """As the feeds would: urgent events twice, filings and what people say where filings go."""
        for value in values:
            if isinstance(value, Disposition | DeadLetter | ManualEvent):
                self._append(event_outputs(value, self.rules.codes.is_urgent))
            else:
                self._append([Output(topics.FILINGS, key_of(value).encode(), encode_value(value))])

    def decide(self, *values: Fed) -> None:
        """Feed each value when everything before it is decided."""
        for value in values:
            self.feed(value)
            self.pump()

    def feed_bytes(self, topic: str, key: bytes, value: bytes) -> None:
        self._append([Output(topic, key, value)])

    # What goes on

    def transact(self, partition: int, records: int = ENDLESS, walk: int = ENDLESS) -> int:
        """One transaction of one task; how many records and bills it looked at."""
        return self._commit(partition, *self._decide(partition, records, walk))

    def abandon(self, partition: int, records: int = ENDLESS, walk: int = ENDLESS) -> list[Output]:
        """A transaction that is decided and then thrown away."""
        outputs, _ = self._decide(partition, records, walk)
        self.shards[partition].abandon()
        return outputs

    def pump(self, random: Random | None = None) -> None:
        """Until nothing is left to do; with `random`, tasks take turns and portions as it says."""
        while waiting := [task for task in range(self.partitions) if self._has_work(task)]:
            if random is None:
                for task in waiting:
                    self.transact(task)
            else:
                self.transact(random.choice(waiting), random.randint(1, 4), random.randint(1, 3))

    def restart(self, partition: int) -> None:
        """A new shard from what the old one wrote, as after a crash. Compacted topics keep the last of each
        key."""
        shard = self.shards[partition] = Shard(self._first_rules, partition, self.partitions)
        for topic in topics.STATE:
            for record in _compacted(self.log[topic, partition]):
                shard.load(record)
        known = shard.position.get(topics.REGISTRY, 0)
        for record in _compacted(self.log[topics.REGISTRY, 0]):
            if record.offset < known:
                shard.load_registry(record)

    # What came of it

    def bill(self, key: str) -> AssessedBill | None:
        return self.shards[partition_of(key.encode(), self.partitions)].bill(key)

    def state(self, key: str) -> BillState | None:
        bill = self.bill(key)
        return bill.state if bill is not None else None

    def status(self, key: str) -> str | None:
        bill = self.bill(key)
        return bill.status.status if bill is not None else None

    def notices(self, scac: str, key: str | None = None) -> list[dict[str, Any]]:
        """A party's notices, decoded, with their `kind`; of one bill, if `key` is given."""
        records = self.records(f"{topics.PARTY_PREFIX}{scac}")
        return [decoded(record) for record in records if key is None or record.key == key.encode()]

    def kinds(self, scac: str, key: str | None = None) -> list[str]:
        return [notice["kind"] for notice in self.notices(scac, key)]

    def records(self, topic: str) -> list[Record]:
        """All of a topic, partition by partition."""
        return [record for partition in range(self.partitions) for record in self.log[topic, partition]]

    def party_records(self) -> list[Record]:
        """All that parties were sent in earnest: no samples."""
        names = sorted(name for name, _ in self.log if name.startswith(topics.PARTY_PREFIX))
        records = (record for name in dict.fromkeys(names) for record in self.log[name, 0])
        return [record for record in records if not decoded(record)["notice_id"].startswith(SAMPLE_PREFIX)]

    def latest(self, topic: str) -> dict[str, dict[str, Any]]:
        """A compacted topic as it stands: key to decoded value."""
        live = {record.key: record for record in self.records(topic)}
        values = ((key, record.value) for key, record in live.items() if not key.startswith(topics.POSITION_KEY))
        return {key.decode(): codec.decode(value)[1] for key, value in values if value is not None}

    # Within

    def _decide(self, partition: int, records: int, walk: int) -> tuple[list[Output], int]:
        shard = self.shards[partition]
        polled = self._poll(partition, records)
        for record in polled:
            shard.process(record)
        reading_on = len(polled) == records and polled[-1].topic == topics.REGISTRY
        looked = shard.step(0 if reading_on else walk)
        return shard.take_outputs(), len(polled) + looked

    def _commit(self, partition: int, outputs: list[Output], done: int) -> int:
        tally = self.shards[partition].tally
        assert tally["dead letters"] == sum(output.topic == topics.DEAD_LETTERS for output in outputs)
        self._append(outputs)
        self.shards[partition].committed()
        return done

    def _poll(self, partition: int, limit: int) -> list[Record]:
        position = self.shards[partition].position
        waiting: list[Record] = []
        for topic in topics.INPUTS:
            place = (topic, 0 if topic == topics.REGISTRY else partition)
            waiting += self.log[place][position.get(topic, 0) :]
        return waiting[:limit]

    def _has_work(self, partition: int) -> bool:
        return self.shards[partition].is_walking or bool(self._poll(partition, 1))

    def _append(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            partition = 0 if _is_single(output.topic) else partition_of(output.key, self.partitions)
            records = self.log[output.topic, partition]
            records.append(Record(output.topic, partition, len(records), *output[1:4], timestamp=0))


def decoded(record: Record) -> dict[str, Any]:
    assert record.value is not None
    if record.topic == topics.TIMELINE:
        return timeline_fields(record.value)
    kind, fields = codec.decode(record.value)
    return {"kind": kind, **fields}


def _is_single(topic: str) -> bool:
    return topic in (topics.REGISTRY, topics.FEED_STATUS) or topic.startswith(topics.PARTY_PREFIX)


def _compacted(records: list[Record]) -> list[Record]:
    last = {record.key: record.offset for record in records}
    return [record for record in records if last[record.key] == record.offset and record.value is not None]
