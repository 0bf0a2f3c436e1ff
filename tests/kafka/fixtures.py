"""Brokers that all tests of a session share (tests/conftest.py hands them on), and clients that leave nothing
behind."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from router.log.kafka import KafkaLog, KafkaSettings, open_kafka_log
from tests.kafka.broker import START_SECONDS, Cluster, free_ports, wait_until_ready
from tests.kafka.jars import VERSION, Unavailable, jars
from tests.kafka.secured import SecuredBroker

QUICK = KafkaSettings(
    replication_factor=1,
    session_timeout_ms=1_000,
    start_deadline_seconds=10,
    commit_deadline_seconds=4,
)
"""One broker, and quick to notice what is dead."""

KafkaSettings.rebalance_timeout_ms = 5_000
KafkaSettings.close_deadline_seconds = 2.0
KafkaSettings.retry_pause_seconds = 0.02
KafkaSettings.longest_retry_pause_seconds = 0.2


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the bootstrap address of a broker: the one in SNP_TEST_KAFKA, else one started with Java, else one in
    Docker. Without any, the test is skipped with the reason; under CI=true it fails. Tests delete all its topics."""
    if address := os.environ.get("SNP_TEST_KAFKA"):
        yield address
        return
    try:
        jars()
    except Unavailable as reason:
        yield from _in_docker(str(reason))
        return
    cluster = Cluster(tmp_path_factory.mktemp("kafka"))
    cluster.start()
    yield cluster.bootstrap
    cluster.stop()


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """Start a broker that asks for a password and allows only what was granted, shared by all tests. A module that
    uses it wipes it first. Needs Java."""
    require_java()
    broker = SecuredBroker(tmp_path_factory.mktemp("secured"))
    broker.start()
    yield broker
    broker.stop()


def require_java() -> None:
    """Skip tests that kill or start brokers where Java or the jars are missing; under CI=true fail."""
    try:
        jars()
    except Unavailable as reason:
        _give_up(str(reason))


def _in_docker(no_java: str) -> Iterator[str]:
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer

    port = free_ports(1)[0]
    listeners = {"KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093"}
    advertised = {"KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{port}"}
    try:
        container = DockerContainer(f"apache/kafka:{VERSION}").with_bind_ports(port, port)
        for name, text in (DOCKER_ENVIRONMENT | listeners | advertised).items():
            container = container.with_env(name, text)
        container.start()
    except DockerException as error:
        _give_up(f"no SNP_TEST_KAFKA; {no_java}; no container of a broker ({error})")
    try:
        asyncio.run(wait_until_ready(f"localhost:{port}", 1))
        yield f"localhost:{port}"
    finally:
        container.stop()


def _give_up(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"no Kafka broker to test with: {reason}")
    pytest.skip(f"no Kafka broker to test with: {reason}")


DOCKER_ENVIRONMENT = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "500",
    "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "500",
}


class KafkaLogs:
    """Clients of one broker without topics of a test before. For the contract suite."""

    def __init__(self, bootstrap: str, stack: AsyncExitStack, settings: KafkaSettings = QUICK) -> None:
        self.bootstrap = bootstrap
        self.url = f"kafka://{bootstrap}"
        self.group = f"snp-router-{uuid.uuid4().hex[:8]}"
        self._stack = stack
        self._settings = settings

    async def open(self, **changed: Any) -> KafkaLog:
        settings = self._settings.model_copy(update=changed)
        return await self._stack.enter_async_context(open_kafka_log(self.url, settings))

    async def lose(self, client: KafkaLog) -> None:
        """Stop its heartbeats without its knowing, as a long stop of the process does."""
        assert client.member is not None

        async def seems_well() -> bool:
            return True

        client.member._consumer._coordinator._do_heartbeat = seems_well


async def wipe(bootstrap: str) -> None:
    """Delete every topic but Kafka's own, and wait until they are gone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with asyncio.timeout(START_SECONDS):
            while names := [name for name in await admin.list_topics() if not name.startswith("__")]:
                await admin.delete_topics(names)
                await asyncio.sleep(0.02)
    finally:
        await admin.close()


async def limit_batches(bootstrap: str, topic: str, size: int) -> None:
    """Let a topic take no batch of more than `size` bytes."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        setting = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": str(size)})
        await admin.alter_configs([setting])
    finally:
        await admin.close()
