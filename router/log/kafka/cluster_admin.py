"""Which Kafka a broker is. It does not say; but each version understands requests that the one before did not.

Topics as they should be and as they are: made, compared, mended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.metadata import MetadataRequest

from router.errors import FatalLogError, TaskRetry
from router.log.interface import Finding
from router.log.kafka.failures import ended, step
from router.log.kafka.settings import KafkaSettings
from router.topics import TopicSpec

MARKS: Final[tuple[tuple[str, int, int], ...]] = (
    ("4.4", 28, 6),  # TxnOffsetCommit
    ("4.3", 35, 5),  # DescribeLogDirs
    ("4.2", 88, 0),  # StreamsGroupHeartbeat
    ("4.1", 76, 1),  # ShareGroupHeartbeat
    ("4.0", 26, 5),  # EndTxn
    ("3.9", 80, 0),  # AddRaftVoter
)
"""Version, and the number and version of a request that it is the first to understand. Read from running brokers of
3.9.2, 4.0.1, 4.1.1, 4.2.2, 4.3.1 and 4.4.0. A version still to come counts as the newest here."""

OLDEST: Final = "3.9"
LOSES_COMMITS_ALONE: Final = ("4.3", "4.4")
"""A single broker of these, killed and back, takes itself for gone and undoes transactions that it had acknowledged."""


class BrokerVersions(NamedTuple):
    """The version of each broker by its id; None: older than all we know."""

    of: dict[int, str | None]

    @classmethod
    async def asked(cls, admin: Any, brokers: Iterable[int]) -> BrokerVersions:
        """Ask each broker through an aiokafka admin client."""
        versions = {}
        for broker in brokers:
            answer = await admin._send_request_to_node(broker, ApiVersionRequest())
            versions[broker] = version_of({key: newest for key, _, newest in answer.api_versions})
        return cls(versions)


def version_of(requests: dict[int, int]) -> str | None:
    """The version whose mark is among `requests` (number to newest version understood)."""
    for version, number, newest in MARKS:
        if requests.get(number, -1) >= newest:
            return version
    return None


def version_findings(versions: BrokerVersions, brokers: int) -> list[Finding]:
    found = []
    for broker, version in sorted(versions.of.items()):
        if version is None:
            found.append(Finding(f"broker {broker}", f"older than Kafka {OLDEST}", f"Kafka {OLDEST} or newer"))
        elif version in LOSES_COMMITS_ALONE and brokers == 1:
            text = (
                "another version, or three brokers: this one, alone, loses acknowledged transactions when it is killed"
            )
            found.append(Finding(f"broker {broker}", f"Kafka {version} and the only one", text))
    return found


DAY_MS: Final = 86_400_000
_GRANT: Final = "readable: grant DescribeConfigs, or see to it by hand"
_VISIBLE_SECONDS: Final = 0.05
_OWN_SETTING: Final = 1
"""The source of a configuration entry that was set on the topic itself, as brokers number it."""
_MADE: Final = (0, 36)
"""Error codes of a topic that is there now: made, or there before."""
_TOO_MANY_REPLICAS: Final = 38


REACH_SECONDS: Final = 3.0
"""For each address, where connecting failed, to see whether anything listens there."""


class TopicAdmin:
    """The administrative side of a log. Every method may raise TaskRetry and FatalLogError."""

    def __init__(self, bootstrap: str, settings: KafkaSettings) -> None:
        self._bootstrap = bootstrap
        self._settings = settings
        self._client: Any = None

    async def start(self) -> None:
        """Raises TaskRetry if no broker is there (yet), FatalLogError if those that are don't let us in: most likely
        it is the password then."""
        self._client = AIOKafkaAdminClient(
            bootstrap_servers=self._bootstrap, client_id="snp-router-admin", **self._settings.connection()
        )
        try:
            async with step("connecting", self._settings.start_deadline_seconds):
                await self._client.start()
        except TaskRetry as error:
            if not await self._is_anyone_there():
                raise TaskRetry(
                    f"no broker at {self._bootstrap} answers: is the address right, are brokers running?"
                ) from error
            raise FatalLogError(
                f"no broker at {self._bootstrap} lets us in: are user and password (sasl_*) or certificate (ssl_*) "
                f"what it asks for? ({error})"
            ) from error

    async def _is_anyone_there(self) -> bool:
        """aiokafka tells a closed port and a refused password by the same error."""
        for address in self._bootstrap.split(","):
            host, _, port = address.rpartition(":")
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(REACH_SECONDS):
                    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                writer.close()
                return True
        return False

    async def close(self) -> None:
        if self._client is not None:
            await ended(self._client.close(), self._settings.close_deadline_seconds)

    async def partition_counts(self) -> dict[str, int]:
        """Of every topic that is ours to see; Kafka's own left out."""
        async with self._step("asking which topics there are"):
            described = await self._client.describe_topics()
        return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["is_internal"]}

    async def committed(self, group: str, topics: Iterable[str]) -> dict[str, int]:
        """Of each topic's only partition the offset that the group committed last, if it ever did."""
        partitions = [TopicPartition(topic, 0) for topic in topics]
        if not partitions:
            return {}
        async with self._step(f"asking what the group {group} has read"):
            found = await self._client.list_consumer_group_offsets(group, partitions=partitions)
        return {at.topic: place.offset for at, place in found.items() if place.offset >= 0}

    async def create(self, specs: Iterable[TopicSpec]) -> None:
        """Make what is missing, and wait until every broker shows it."""
        there = await self.partition_counts()
        missing = {spec.name: self._new_topic(spec) for spec in specs if spec.name not in there}
        if not missing:
            return
        async with self._step("making topics"):
            answer = await self._client.create_topics(list(missing.values()))
        for name, code, *text in answer.topic_errors:
            if code not in _MADE:
                reason = (text and text[0]) or kafka.for_code(code).__name__
                hint = " (the setting is kafka.replication_factor)" if code == _TOO_MANY_REPLICAS else ""
                raise FatalLogError(f"the topic {name} can't be made: {reason}{hint}")
        async with self._step("waiting for the new topics"):
            while not await self._all_brokers_show(missing):  # noqa: ASYNC110 - no one tells
                await asyncio.sleep(_VISIBLE_SECONDS)

    async def _all_brokers_show(self, names: Iterable[str]) -> bool:
        """Each broker learns of a new topic by itself, and clients ask any of them."""
        for broker in (await self._client.describe_cluster())["brokers"]:
            answer = await self._client._send_request_to_node(broker["node_id"], MetadataRequest(None))
            if not set(names) <= {topic["topic"] for topic in answer.to_object()["topics"]}:
                return False
        return True

    async def findings(self, specs: Iterable[TopicSpec]) -> list[Finding]:
        """All that is wrong with the brokers and with these topics, the gravest first."""
        wanted = list(specs)
        found = await self._broker_findings()
        counts = await self.partition_counts()
        there = [spec for spec in wanted if spec.name in counts]
        configurations = await self._configurations(ConfigResourceType.TOPIC, [spec.name for spec in there])
        for spec in wanted:
            if spec.name not in counts:
                found.append(Finding(spec.name, "missing", "there", mendable=True))
            else:
                found += topic_findings(spec, counts[spec.name], configurations.get(spec.name))
        return found

    async def mend(self, specs: Iterable[TopicSpec]) -> None:
        """Make missing topics and set compaction and retention. Other settings of the topics stay as they are."""
        wanted = list(specs)
        await self.create(wanted)
        named = {finding.subject for finding in await self.findings(wanted) if finding.mendable}
        configurations = await self._configurations(ConfigResourceType.TOPIC, sorted(named))
        changes = [
            ConfigResource(
                ConfigResourceType.TOPIC, spec.name, configs=_own(configurations[spec.name]) | _topic_settings(spec)
            )
            for spec in wanted
            if spec.name in named and spec.name in configurations
        ]
        if changes:
            async with self._step("changing the settings of topics"):
                answers = await self._client.alter_configs(changes)
            for code, text, _, name in (resource for answer in answers for resource in answer.resources):
                if code:
                    raise FatalLogError(f"the settings of {name} can't be changed: {text or kafka.for_code(code)}")

    async def _broker_findings(self) -> list[Finding]:
        async with self._step("asking the brokers about themselves"):
            brokers = (await self._client.describe_cluster())["brokers"]
            versions = await BrokerVersions.asked(self._client, [broker["node_id"] for broker in brokers])
        found = version_findings(versions, len(brokers))
        first = str(brokers[0]["node_id"])
        settings = (await self._configurations(ConfigResourceType.BROKER, [first])).get(first)
        if settings is None:
            return [
                *found,
                Finding("brokers", "we may not read their settings", _GRANT, blocking=False),
            ]
        if settings["auto.create.topics.enable"][0] == "true":
            found.append(Finding("auto.create.topics.enable", "true", "false: a mistyped name would make a topic"))
        return found

    async def _configurations(
        self, kind: ConfigResourceType, names: Sequence[str]
    ) -> dict[str, Mapping[str, tuple[str, int]]]:
        """For each name that we may see: its settings, with where each comes from."""
        if not names:
            return {}
        async with self._step("asking for settings"):
            answers = await self._client.describe_configs([ConfigResource(kind, name) for name in names])
        return {
            name: {entry[0]: (entry[1], entry[3]) for entry in entries}
            for answer in answers
            for code, _, _, name, entries in answer.resources
            if code == 0
        }

    def _new_topic(self, spec: TopicSpec) -> NewTopic:
        settings = _topic_settings(spec) | {"max.message.bytes": str(self._settings.message_limit_bytes)}
        if self._settings.minimum_in_sync_replicas is not None:
            settings["min.insync.replicas"] = str(self._settings.minimum_in_sync_replicas)
        return NewTopic(spec.name, spec.partitions, self._settings.replication_factor, topic_configs=settings)

    def _step(self, doing: str) -> Any:
        return step(doing, self._settings.start_deadline_seconds)


def topic_findings(spec: TopicSpec, partitions: int, settings: Mapping[str, tuple[str, int]] | None) -> list[Finding]:
    """Where a topic that is there differs from how it is to be."""
    found = []
    if partitions != spec.partitions:
        text = "begin with a new topic: which partition a key is in can't be changed"
        found.append(Finding(spec.name, f"{partitions} partitions", f"{spec.partitions}; {text}"))
    if settings is None:
        return [
            *found,
            Finding(spec.name, "we may not read its settings", _GRANT, blocking=False),
        ]
    for name, wanted in _topic_settings(spec).items():
        if settings[name][0] != wanted:
            found.append(Finding(spec.name, f"{name} = {settings[name][0]}", wanted, mendable=True))
    return found


def _topic_settings(spec: TopicSpec) -> dict[str, str]:
    if spec.compacted:
        return {"cleanup.policy": "compact"}
    kept = -1 if spec.retention_days is None else spec.retention_days * DAY_MS
    return {"cleanup.policy": "delete", "retention.ms": str(kept)}


def _own(settings: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """What was set on the topic itself. All of it goes along with a change, or brokers would reset it."""
    return {name: text for name, (text, source) in settings.items() if source == _OWN_SETTING}
