"""Topics and brokers as they should be and as they are: created, compared, corrected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from router.errors import FatalLogError, TaskRetry
from router.log.interface import Finding
from router.log.kafka.connection import KafkaSettings
from router.log.kafka.failures import ended_within, step
from router.log.kafka.hung_brokers import broker_at, hosts_of
from router.log.kafka.leaders import NO_LEADER, leaders_of
from router.model.eastern import DAY
from router.topics import TopicSpec

VERSION_MARKS: Final[tuple[tuple[str, int, int], ...]] = (
    ("4.4", 28, 6),  # TxnOffsetCommit
    ("4.3", 35, 5),  # DescribeLogDirs
    ("4.2", 88, 0),  # StreamsGroupHeartbeat
    ("4.1", 76, 1),  # ShareGroupHeartbeat
    ("4.0", 26, 5),  # EndTxn
    ("3.9", 80, 0),  # AddRaftVoter
)
"""Kafka's version, and number and version of a request that it was the first to understand. A broker does not tell its
version. Read from running brokers of 3.9.2, 4.0.1, 4.1.1, 4.2.2, 4.3.1 and 4.4.0; a later one counts as the newest."""

OLDEST_VERSION: Final = "3.9"
LOSES_COMMITS_ALONE: Final = ("4.3", "4.4")
"""A single broker of these that is killed and restarted undoes transactions that it had acknowledged."""

COMPACTION_LAG: Final = 600_000
"""Milliseconds that a compacted topic keeps every record. Somebody who reads such a topic while it is written reads to
the end that it had at first. Without a lag compaction could take away a key's record before it is reached, in favour of
one behind that end, and the reader would miss the key."""

KEEPS_ALL: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""Settings of a topic from which brokers delete nothing by themselves."""

GRANT: Final = "readable: grant DescribeConfigs, or compare them by hand"

SOURCE_TOPIC: Final = 1
"""Source of a configuration entry that is set on the topic itself, as brokers number it."""
CREATED_CODES: Final = (0, 36)
"""Error codes of a topic that exists: created now, or before."""
TOO_MANY_REPLICAS: Final = 38
EARLIEST, LATEST, READ_UNCOMMITTED, READ_COMMITTED, NEVER_COMMITTED = -2, -1, 0, 1, -1
"""Numbers of Kafka's requests for offsets."""

ASK_PAUSE_SECONDS: Final = 0.05
VISIBLE_PAUSE_SECONDS: Final = 0.05
REACH_SECONDS: Final = 3.0
"""Deadline for each address when looking whether anything listens there."""

LIMITS: Final[Mapping[str, tuple[int, str]]] = {
    "broker.session.timeout.ms": (6_000, "a broker that hangs holds all writes up until then"),
    "request.timeout.ms": (6_000, "brokers wait so long for one that hangs before they end a transaction elsewhere"),
    "producer.id.expiration.ms": (3_600_000, "brokers keep every producer id that a client asked for until then"),
    "max.connections.per.ip": (1_000, "one address can't take all connections"),
    "max.connection.creation.rate": (200, "connecting costs a log-in"),
}
"""Brokers' settings: the most that we recommend, and the reason."""
REAUTHENTICATION: Final = "connections.max.reauth.ms"

T = TypeVar("T")

Settings = Mapping[str, tuple[str, int]]
"""Value and source of each setting."""


class ClusterAdmin:
    """The administrative side of a log. Every method may raise TaskRetry and FatalLogError."""

    def __init__(self, bootstrap: str, settings: KafkaSettings) -> None:
        self._bootstrap = bootstrap
        self._settings = settings
        self._client: Any = None

    async def start(self) -> None:
        """Connect. Raises TaskRetry if no broker answers (yet), FatalLogError if those that answer refuse us. The most
        likely reason of a refusal is the password."""
        self._client = AIOKafkaAdminClient(
            bootstrap_servers=self._bootstrap, client_id="snp-router-admin", **self._settings.connection()
        )
        try:
            async with step("connecting", self._settings.start_deadline_seconds):
                await self._client.start()
        except TaskRetry as error:
            if not await self._is_reachable():
                raise TaskRetry(
                    f"no broker at {self._bootstrap} answers: check the address, and that brokers run and don't hang"
                ) from error
            raise FatalLogError(
                f"no broker at {self._bootstrap} lets us in: check user and password (sasl_*) or certificate (ssl_*) "
                f"({error})"
            ) from error

    async def _is_reachable(self) -> bool:
        """Tell a closed port and a broker that hangs from a refused password, for which aiokafka has one error."""
        for host, port, _ in hosts_of(self._bootstrap):
            if broker_at((host, port)).is_silent:
                continue
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(REACH_SECONDS):
                    _, writer = await asyncio.open_connection(host, port)
                writer.close()
                return True
        return False

    async def close(self) -> None:
        if self._client is not None:
            await ended_within(self._settings.close_deadline_seconds, self._client.close())

    async def partition_counts(self) -> dict[str, int]:
        """Return the number of partitions of every topic that we may see, without Kafka's own."""
        async with self._step("asking which topics there are"):
            described = await _answered(self._client.describe_topics)
        return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["is_internal"]}

    async def committed(self, group: str, topics: Iterable[str]) -> dict[str, int]:
        """Return the offset that the group committed last of each topic's only partition, if it ever did."""
        partitions = [TopicPartition(topic, 0) for topic in topics]
        if not partitions:
            return {}
        async with self._step(f"asking what the group {group} has read"):
            found = await _answered(lambda: self._client.list_consumer_group_offsets(group, partitions=partitions))
        return {at.topic: place.offset for at, place in found.items() if place.offset != NEVER_COMMITTED}

    async def members(self, group: str) -> dict[str, bytes]:
        """Return the metadata of each member of a group by the member's id. It is empty while the group rebalances."""
        async with self._step(f"asking for the members of the group {group}"):
            (answer,) = await _answered(lambda: self._client.describe_consumer_groups([group]))
            members: dict[str, bytes] = {}
            for error_code, _, _, _, _, found, *_ in answer.groups:
                if error_code:
                    raise kafka.for_code(error_code)(group)
                members |= {member_id: metadata for member_id, _, _, metadata, *_ in found}
            return members

    async def extents(self, topics: Sequence[str], *, decided: bool) -> dict[str, range]:
        """Return first and next offset of each topic's only partition. Unless `decided`, records of open transactions
        are included: stock clients may read those."""
        isolation = READ_COMMITTED if decided else READ_UNCOMMITTED
        if not topics:
            return {}
        async with self._step("asking where topics begin and end"):
            by_leader: dict[int, list[str]] = {}
            for (topic, partition), leader in (await leaders_of(self._client._client, topics)).items():
                if partition == 0:
                    by_leader.setdefault(leader, []).append(topic)
            begins: dict[str, int] = {}
            ends: dict[str, int] = {}
            for leader, names in by_leader.items():
                begins |= await self._offsets(leader, names, EARLIEST, isolation)
                ends |= await self._offsets(leader, names, LATEST, isolation)
        return {topic: range(begin, ends[topic]) for topic, begin in begins.items()}

    async def _offsets(self, leader: int, topics: Iterable[str], at: int, isolation: int) -> dict[str, int]:
        if leader == NO_LEADER:
            raise TaskRetry(
                f"asking where topics begin and end: no broker is known to lead {', '.join(sorted(topics))}"
            )
        request = OffsetRequest(-1, isolation, [(topic, [(0, at)]) for topic in topics])
        answer = await self._client._send_request_to_node(leader, request)
        found = {}
        for topic, ((_, code, *_, offset),) in answer.topics:
            _raise_for(code)
            found[topic] = offset
        return found

    async def create(self, specs: Iterable[TopicSpec]) -> None:
        """Create missing topics, and wait until every broker shows them."""
        existing = await self.partition_counts()
        missing = {spec.name: self._new_topic(spec) for spec in specs if spec.name not in existing}
        if not missing:
            return
        async with self._step("making topics"):
            answer = await self._client.create_topics(list(missing.values()))
        for name, code, *text in answer.topic_errors:
            if code not in CREATED_CODES:
                reason = (text and text[0]) or kafka.for_code(code).__name__
                hint = " (the setting is kafka.replication_factor)" if code == TOO_MANY_REPLICAS else ""
                raise FatalLogError(f"the topic {name} can't be made: {reason}{hint}")
        async with self._step("waiting for the new topics"):
            while not await self._all_brokers_show(missing):  # noqa: ASYNC110 - there is no notification
                await asyncio.sleep(VISIBLE_PAUSE_SECONDS)

    async def _all_brokers_show(self, names: Iterable[str]) -> bool:
        """Ask each broker: clients may ask any of them, and each learns of a new topic by itself."""
        for answer in (await self._ask_each(MetadataRequest(None))).values():
            if answer is None or not set(names) <= {topic["topic"] for topic in answer.to_object()["topics"]}:
                return False
        return True

    async def findings(self, specs: Iterable[TopicSpec]) -> list[Finding]:
        """Return everything that is wrong with the brokers and with these topics, the gravest first."""
        wanted = list(specs)
        found = await self._broker_findings()
        counts = await self.partition_counts()
        existing = [spec.name for spec in wanted if spec.name in counts]
        settings = await self._settings_of(ConfigResourceType.TOPIC, existing)
        for spec in wanted:
            if spec.name not in counts:
                found.append(Finding(spec.name, "missing", "there", mendable=True))
            else:
                found += topic_findings(spec, counts[spec.name], settings.get(spec.name))
        return found

    async def mend(self, specs: Iterable[TopicSpec]) -> None:
        """Create missing topics and set compaction and retention. Other settings of the topics stay as they are."""
        wanted = list(specs)
        await self.create(wanted)
        named = {finding.subject for finding in await self.findings(wanted) if finding.mendable}
        settings = await self._settings_of(ConfigResourceType.TOPIC, sorted(named))
        changes = [
            ConfigResource(ConfigResourceType.TOPIC, spec.name, configs=_own(settings[spec.name]) | _wanted(spec))
            for spec in wanted
            if spec.name in named and spec.name in settings
        ]
        if changes:
            async with self._step("changing the settings of topics"):
                answers = await self._client.alter_configs(changes)
            for code, text, _, name in (resource for answer in answers for resource in answer.resources):
                if code:
                    raise FatalLogError(f"the settings of {name} can't be changed: {text or kafka.for_code(code)}")

    async def _ask_each(self, request: Any) -> dict[int, Any]:
        """Ask all brokers at the same time. Return the answer of each, None of one that does not answer."""
        brokers = [broker["node_id"] for broker in (await _answered(self._client.describe_cluster))["brokers"]]
        answers = await asyncio.gather(*(self._ask(broker, request) for broker in brokers))
        return dict(zip(brokers, answers, strict=True))

    async def _ask(self, broker: int, request: Any) -> Any:
        try:
            return await self._client._client.send(broker, request)
        except kafka.KafkaError as error:
            if not error.retriable:
                raise
            return None

    async def versions(self) -> dict[int, str | None]:
        """Return the version of each broker that answers; None if it is older than all we know."""
        return _versions_in(await self._ask_each(ApiVersionRequest()))

    async def _broker_findings(self) -> list[Finding]:
        async with self._step("asking the brokers about themselves"):
            answers = await self._ask_each(ApiVersionRequest())
        versions = _versions_in(answers)
        found = version_findings(versions, len(answers))
        found += [
            Finding(f"broker {broker}", "does not answer, so nothing is known of it", "answering", blocking=False)
            for broker in sorted(answers.keys() - versions.keys())
        ]
        settings = next(iter((await self._broker_settings(list(versions)[:1])).values()), None)
        if settings is None:
            found.append(Finding("brokers", "we may not read their settings", GRANT, blocking=False))
        elif settings["auto.create.topics.enable"][0] == "true":
            found.append(Finding("auto.create.topics.enable", "true", "false: a mistyped name would make a topic"))
        return found

    async def advice(self) -> list[str]:
        """Return for each broker that answers the settings that it lacks, each with what to set."""
        async with self._step("listing the brokers"):
            answering = await self.versions()
        settings = await self._broker_settings(list(answering))
        return [f"broker {name}: {text}" for name in sorted(settings) for text in advice_for(settings[name])]

    async def _broker_settings(self, brokers: Sequence[int]) -> dict[str, Settings]:
        return await self._settings_of(ConfigResourceType.BROKER, [str(broker) for broker in brokers])

    async def keeping_all(self, topics: Iterable[str]) -> set[str]:
        """Return those of `topics` that have neither a retention nor compaction, as far as we may see."""
        found = await self._settings_of(
            ConfigResourceType.TOPIC, sorted({*topics} & (await self.partition_counts()).keys())
        )
        return {
            name
            for name, settings in found.items()
            if all(settings[setting][0] == value for setting, value in KEEPS_ALL.items())
        }

    async def _settings_of(self, kind: ConfigResourceType, names: Sequence[str]) -> dict[str, Settings]:
        """Return the settings of each name that we may see."""
        if not names:
            return {}
        async with self._step("asking for settings"):
            resources = [ConfigResource(kind, name) for name in names]
            answers = await _answered(lambda: self._client.describe_configs(resources))
        return {
            name: {entry[0]: (entry[1], entry[3]) for entry in entries}
            for answer in answers
            for code, _, _, name, entries in answer.resources
            if code == 0
        }

    def _new_topic(self, spec: TopicSpec) -> NewTopic:
        settings = {"max.message.bytes": str(self._settings.message_limit_bytes)} | _wanted(spec)
        if self._settings.minimum_in_sync_replicas is not None:
            settings["min.insync.replicas"] = str(self._settings.minimum_in_sync_replicas)
        return NewTopic(spec.name, spec.partitions, self._settings.replication_factor, topic_configs=settings)

    def _step(self, doing: str) -> Any:
        return step(doing, self._settings.start_deadline_seconds)


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until somebody answers. aiokafka asks one broker at random, which may be the one that hangs."""
    while True:
        try:
            return await ask()
        except kafka.KafkaError as error:
            if not error.retriable:
                raise
        await asyncio.sleep(ASK_PAUSE_SECONDS)


def _versions_in(answers: Mapping[int, Any]) -> dict[int, str | None]:
    return {
        broker: version_of({key: newest for key, _, newest in answer.api_versions})
        for broker, answer in answers.items()
        if answer is not None
    }


def version_of(requests: Mapping[int, int]) -> str | None:
    """Return the version whose mark is among `requests` (number to newest version understood)."""
    for version, number, newest in VERSION_MARKS:
        if requests.get(number, -1) >= newest:
            return version
    return None


def version_findings(versions: Mapping[int, str | None], brokers: int) -> list[Finding]:
    """Return what is wrong with the versions of those of the brokers that answered."""
    found = []
    for broker, version in sorted(versions.items()):
        if version is None:
            wanted = f"Kafka {OLDEST_VERSION} or newer"
            found.append(Finding(f"broker {broker}", f"older than Kafka {OLDEST_VERSION}", wanted))
        elif version in LOSES_COMMITS_ALONE and brokers == 1:
            wanted = "another version, or three brokers: a single one loses acknowledged transactions when it is killed"
            found.append(Finding(f"broker {broker}", f"Kafka {version} and the only one", wanted))
    return found


def advice_for(settings: Settings) -> list[str]:
    """Return the protections that a broker with these settings lacks."""
    values = {name: value for name, (value, _) in settings.items()}
    found = [
        f"{name} is {values.get(name)}; set it to {limit:,} or less: {reason}"
        for name, (limit, reason) in LIMITS.items()
        if not (values.get(name, "").isdigit() and 0 < int(values[name]) <= limit)
    ]
    if not any(name.endswith(REAUTHENTICATION) and value not in ("0", "", None) for name, value in values.items()):
        found.append(
            f"no listener has {REAUTHENTICATION}; set it on the parties' own: a removed user's sessions then end"
        )
    return found


def topic_findings(spec: TopicSpec, partitions: int, settings: Settings | None) -> list[Finding]:
    """Return how an existing topic differs from its specification."""
    found = []
    if partitions != spec.partitions:
        wanted = f"{spec.partitions}: begin with a new topic, since a key's partition can't be changed"
        found.append(Finding(spec.name, f"{partitions} partitions", wanted))
    if settings is None:
        return [*found, Finding(spec.name, "we may not read its settings", GRANT, blocking=False)]
    for name, value in _wanted(spec).items():
        if settings[name][0] != value:
            found.append(Finding(spec.name, f"{name} = {settings[name][0]}", value, mendable=True))
    return found


def _raise_for(code: int) -> None:
    if code:
        raise kafka.for_code(code)


def _wanted(spec: TopicSpec) -> dict[str, str]:
    limit = {} if spec.batch_limit_bytes is None else {"max.message.bytes": str(spec.batch_limit_bytes)}
    if spec.compacted:
        return limit | {"cleanup.policy": "compact", "min.compaction.lag.ms": str(COMPACTION_LAG)}
    kept = -1 if spec.retention_days is None else spec.retention_days * DAY
    return limit | {"cleanup.policy": "delete", "retention.ms": str(kept)}


def _own(settings: Settings) -> dict[str, str]:
    """Return what is set on the topic itself. All of it goes along with a change, or brokers would reset it."""
    return {name: text for name, (text, source) in settings.items() if source == SOURCE_TOPIC}
