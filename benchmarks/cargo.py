"""Parties, sailings and bills' lives of any shape, and one task without a log: what the benchmarks measure with.

A *group* of parties hears of the same bills. With four to a group these are a filer, an operator who also carries and
is an SNP, a charterer who is an SNP, and a charterer who may see all. Whoever comes beyond four is one more SNP; alone,
a party is its own carrier.
"""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from router import codec, topics
from router.decide.identity import event_key
from router.decide.registry import MOST_ELAPSED
from router.decide.rules import Rules
from router.engine.administration import append_tick, import_parties, import_sailings, prepare
from router.engine.worker import COLLECTOR_THRESHOLDS
from router.log.interface import AdministeredLog, Output, Record
from router.model.eastern import MINUTE
from router.model.inputs import Disposition, Shipment
from router.model.registry_values import Line, Party, PortCall, RegistryNote, RegistryValue, Sailing
from router.task.shard import Shard

POSTED: Final = 1_784_031_120_000
LIFE: Final = ("55", "69", "1H", "1I", "1C")
"""On file, a nomination, an exam, its end, a release."""
PARTITIONS: Final = 4
TRANSACTION: Final = 1000
WALK: Final = 500
SIDE_BY_SIDE: Final = 50
"""Bills whose lives go on at the same time."""

LOOPS: Final = frozenset({topics.INDEX, topics.LINKS})
"""What a task writes for tasks to read."""

STATUS_FILE: Final = Path("/proc/self/statm")


def resident() -> int:
    """Bytes of memory that this process has, by Linux."""
    gc.collect()
    return int(STATUS_FILE.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def scac(number: int) -> str:
    """`AAAA`, `AAAB` and so on."""
    letters = ""
    for _ in range(4):
        number, letter = divmod(number, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def container_number(number: int) -> str:
    """Without a check digit; another for each number up to 26 million."""
    million, rest = divmod(number, 1_000_000)
    return f"CS{chr(ord('A') + million)}U{rest:06d}"


class Trade(NamedTuple):
    parties: int = 100
    fan_out: int = 4
    """Recipients of each notice: the size of a group."""

    @property
    def groups(self) -> int:
        return max(self.parties // self.fan_out, 1)

    def group(self, number: int) -> list[str]:
        return [scac(number * self.fan_out + member) for member in range(self.fan_out)]

    @property
    def registered(self) -> list[Party]:
        return [Party(name) for number in range(self.groups) for name in self.group(number)]

    async def register(self, log: AdministeredLog, partitions: int = PARTITIONS) -> None:
        """Topics, parties, sailings and a first tick: a router may begin."""
        await prepare(log, partitions)
        await append_tick(log)
        await import_parties(log, self.registered)
        await import_sailings(log, self.sailings)

    @property
    def sailings(self) -> list[Sailing]:
        return [self._sailing(number) for number in range(self.groups)]

    def _sailing(self, number: int) -> Sailing:
        filer, *others = self.group(number)
        operator = others[0] if others else filer
        lines = [Line(operator, "operator", "026E", "holds")]
        lines += [Line(name, "charterer", "C26", "own") for name in others[1:2]]
        lines += [Line(name, "charterer", "W26", "all") for name in others[2:3]]
        return Sailing(
            f"{operator}-026E",
            str(9_000_000 + number),
            f"OCEAN {operator}",
            (PortCall(None, "2026-07-28"),),
            tuple(lines),
        )

    def key(self, bill: int) -> str:
        return f"{self.group(bill % self.groups)[0]}HBL{bill:09d}"

    def event(self, bill: int, code: str, minute: int, container: str | None = None) -> Disposition:
        filer, *others = self.group(bill % self.groups)
        carrier = others[0] if others else filer
        shipment = Shipment(
            carrier_scac=carrier,
            imo_number=str(9_000_000 + bill % self.groups),
            vessel_name=f"OCEAN {carrier}",
            voyage_number="026E",
            manifest_sequence_number="000001",
            port_of_unlading="2704",
            arrival_date="2026-07-28",
            master_bill=f"{carrier}MB{bill // self.groups // 9:07d}" if others else None,
            container_numbers=(container or container_number(bill),),
        )
        return Disposition(
            scac=filer,
            bill_of_lading=f"HBL{bill:09d}",
            disposition_code=code,
            action_at=POSTED + minute * MINUTE,
            quantity=120,
            entry_type="01" if code == "1C" else None,
            entry_number="AB100045215" if code == "1C" else None,
            transaction_port="2704",
            snps=(*others[:2], *others[3:]),
            shipment=shipment,
            received_at=POSTED + minute * MINUTE,
            source="benchmark",
        )

    def lives(self, bills: Iterable[int], codes: Sequence[str] = LIFE) -> Iterator[Disposition]:
        """Each bill's events in order, fifty bills side by side as in a day's feed."""
        waiting = deque(bills)
        while waiting:
            together = [waiting.popleft() for _ in range(min(SIDE_BY_SIDE, len(waiting)))]
            for minute, code in enumerate(codes):
                for bill in together:
                    yield self.event(bill, code, minute)

    def feed(self, count: int, first_bill: int = 0) -> Iterator[Disposition]:
        """Whole lives of five events; at least `count` events."""
        return self.lives(range(first_bill, first_bill + -(-count // len(LIFE))))


TRADE: Final = Trade()
"""A hundred parties in fours."""


def history(events: int) -> list[str]:
    """So many codes of one bill: on file, exams that come and go, a release at the end."""
    exams = [("1H", "1I")[number % 2] for number in range(max(events - 2, 0))]
    return ["55", *exams, "1C"][:events]


class Bench:
    """One task without a log. What it says to the index and to other bills comes back to it, as it would over one."""

    def __init__(self, trade: Trade, written: Callable[[list[Output]], object] = len) -> None:
        """`written` is shown what each transaction writes."""
        self.shard = Shard(Rules(), 0, 1)
        self._written = written
        self.outputs = 0
        """Written in all."""
        self.most_outputs = 0
        """Of one transaction."""
        self._offsets = 0
        gc.set_threshold(*COLLECTOR_THRESHOLDS)  # as the router has it
        notes = [RegistryNote("installation", "secret", 0, "00" * 32), RegistryNote("tick", "tick", POSTED)]
        values: list[RegistryValue] = [*notes, *trade.registered, *trade.sailings]
        for value in values:
            self.shard.load_registry(self.record(topics.REGISTRY, b"", codec.encode_value(value)))

    def record(self, topic: str, key: bytes, value: bytes | None) -> Record:
        self._offsets += 1
        return Record(topic, 0, self._offsets, key, value, (), 0)

    def records(self, events: Iterable[Disposition]) -> list[Record]:
        return [
            self.record(topics.DISPOSITIONS, event_key(event).encode(), codec.encode_value(event)) for event in events
        ]

    def pass_time(self, now: int) -> float:
        """Ticks, no further apart than the router believes, and all walks that they start; CPU seconds."""
        moments = range(self.shard.registry.now or now, now, MOST_ELAPSED)
        return self._tell(*(RegistryNote("tick", "tick", at) for at in (*moments, now)))

    def change_registry(self) -> float:
        """An import of one more sailing, and the walk that it starts; CPU seconds."""
        sailing = Sailing("OTHER", "8000000", None, (), (Line(scac(0), "operator", "1", "own"),))
        return self._tell(sailing, RegistryNote("epoch", "epoch", 0))

    def _tell(self, *values: Sailing | RegistryNote) -> float:
        seconds = self.route(self.record(topics.REGISTRY, b"", codec.encode_value(value)) for value in values)
        while self.shard.is_walking:
            seconds += self.route([], at_least_once=True)
        return seconds

    def route(self, records: Iterable[Record], transaction: int = TRANSACTION, *, at_least_once: bool = False) -> float:
        """Until nothing comes back any more; CPU seconds."""
        waiting = deque(records)
        started = time.process_time()
        while waiting or at_least_once:
            self.transact([waiting.popleft() for _ in range(min(transaction, len(waiting)))], waiting)
            at_least_once = False
        return time.process_time() - started

    def transact(self, records: Iterable[Record], back: deque[Record]) -> None:
        """One transaction; what tasks are to read of it is added to `back`."""
        for record in records:
            self.shard.process(record)
        self.shard.step(WALK)
        outputs = self.shard.take_outputs()
        self.shard.committed()
        self.outputs += len(outputs)
        self.most_outputs = max(self.most_outputs, len(outputs))
        self._written(outputs)
        back.extend(self.record(output.topic, output.key, output.value) for output in outputs if output.topic in LOOPS)
