"""Each user may do on the brokers what docs/access.md grants, and nothing else. Every operation is tried on every
topic, by two parties and by the router, against a broker with SCRAM and the standard authorizer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest
from aiokafka.protocol.admin import DeleteRecordsRequest, DescribeAclsRequest
from aiokafka.protocol.api import Request
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
)

from router.errors import FatalLogError
from router.provision.access_rights import Entity
from router.provision.broker_access import AccessAdmin, describe_users
from router.topics import AUDIT, INPUTS, STATE
from tests.kafka.provisioned import Provisioned, asked, fetched
from tests.kafka.secured import SecuredBroker

pytestmark = pytest.mark.kafka

SECONDS = 20
ROUTER = "snp-router"
PARTIES = ("OCNX", "SLTC")
NOT_THERE = "payroll"
"""What is refused on a topic that is not there looks the same: nobody learns by trying what there is."""
REFUSALS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
ANY_RIGHT = AclBindingFilter(
    ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
)

READS = frozenset({"read", "describe"})
WRITES = frozenset({"write", "describe"})
SETTINGS = frozenset({"see settings"})
OWN_GROUP = frozenset({"join", "describe", "see offsets", "move offsets"})


@pytest.fixture(scope="module")
def scene(secured: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Provisioned:
    scene = Provisioned(secured, tmp_path_factory.mktemp("rights"))
    for party in PARTIES:  # A group of each, so that there is one to see, or not.
        client = StockClient(scene, f"snp.{party}")
        client.join(f"snp.{party}.gate")
    return scene


class StockClient:
    """Everything that one user can try with stock clients. Each method raises KafkaException if it is refused."""

    def __init__(self, scene: Provisioned, user: str) -> None:
        self.scene = scene
        self.user = user
        self._readable = "snp.feed-status" if user.startswith("snp.") else "cbp.dispositions"
        self._stock = scene.stock(user)
        self._settings = scene.settings(user)

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient(self._stock)

    def _consumer(self, group: str) -> Consumer:
        told = {"group.id": group, "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 50}
        return Consumer(self._stock | told)

    # On a topic

    def read(self, topic: str) -> None:
        code, _ = asyncio.run(fetched(self.scene.bootstrap, self._settings, topic))
        accepted(code)

    def write(self, topic: str) -> None:
        batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1000)
        batch.append(0, 0, b"tried", b"tried", [])
        answer = self._asked(ProduceRequest(None, -1, 1000, [(topic, [(0, bytes(batch.build()))])]))
        ((_, (partition,)),) = answer.topics
        accepted(partition[1])

    def delete_records(self, topic: str) -> None:
        answer = self._asked(DeleteRecordsRequest([(topic, [(0, 0)])], 1000, {}))
        ((_, (partition,), _),) = answer.topics
        accepted(partition[2])

    def _asked(self, request: Request[Any]) -> Any:
        return asyncio.run(asked(self.scene.bootstrap, self._settings, request))

    def describe(self, topic: str) -> None:
        error = self.admin.list_topics(topic, timeout=SECONDS).topics[topic].error
        if error:
            raise KafkaException(error)

    def see_settings(self, topic: str) -> None:
        settled(self.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]))

    def change_settings(self, topic: str) -> None:
        change = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change])
        settled(self.admin.incremental_alter_configs([resource], validate_only=True))

    def add_partitions(self, topic: str) -> None:
        settled(self.admin.create_partitions([NewPartitions(topic, 50)], validate_only=True))

    def delete(self, topic: str) -> None:
        settled(self.admin.delete_topics([topic]))

    # On a group

    def join(self, group: str) -> None:
        consumer = self._consumer(group)
        try:
            consumer.subscribe([self._readable])
            heard(consumer)
            consumer.commit(offsets=[TopicPartition(self._readable, 0, 0)], asynchronous=False)
        finally:
            consumer.close()

    def describe_group(self, group: str) -> None:
        settled(self.admin.describe_consumer_groups([group]))

    def see_offsets(self, group: str) -> None:
        settled(self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))

    def move_offsets(self, group: str) -> None:
        offsets = [TopicPartition(self._readable, 0, 0)]
        settled(self.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)]))

    def delete_group(self, group: str) -> None:
        settled(self.admin.delete_consumer_groups([group]))

    # On a transactional id, and on the cluster

    def transact(self, name: str) -> None:
        Producer(self._stock | {"transactional.id": name}).init_transactions(SECONDS)

    def create_topic(self, name: str) -> None:
        settled(self.admin.create_topics([NewTopic(name, 1, 1)], validate_only=True))

    def see_rights(self) -> None:
        accepted(self._asked(DescribeAclsRequest(1, None, 1, None, None, 1, 1)).error_code)

    def withdraw_rights(self) -> None:
        settled(self.admin.delete_acls([ANY_RIGHT]))

    def see_users(self) -> None:
        accepted(self._asked(describe_users()).error_code)

    def remove_users(self) -> None:
        gone = UserScramCredentialDeletion("snp.SLTC", ScramMechanism.SCRAM_SHA_512)
        settled(self.admin.alter_user_scram_credentials([gone]))

    def see_broker_settings(self) -> None:
        settled(self.admin.describe_configs([ConfigResource(ConfigResource.Type.BROKER, "1")]))

    def change_broker_settings(self) -> None:
        change = ConfigEntry("log.retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[change])
        settled(self.admin.incremental_alter_configs([resource], validate_only=True))


def accepted(code: int) -> None:
    if code:
        raise KafkaException(KafkaError(code))


def settled(futures: dict[Any, Any]) -> None:
    """Raise the brokers' answer to a single request if it is an error."""
    for future in futures.values():
        answer = future.result(SECONDS)
        for partition in getattr(answer, "topic_partitions", ()):
            if partition.error:
                raise KafkaException(partition.error)


def heard(consumer: Consumer) -> None:
    """Wait until the brokers let us read or refuse."""
    for _ in range(SECONDS * 10):
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error() and message.error().code() != KafkaError._PARTITION_EOF:
            raise KafkaException(message.error())
        return
    raise AssertionError("neither heard nor refused")


TOPIC_OPERATIONS: dict[str, Callable[[StockClient, str], None]] = {
    "read": StockClient.read,
    "write": StockClient.write,
    "describe": StockClient.describe,
    "see settings": StockClient.see_settings,
    "change settings": StockClient.change_settings,
    "add partitions": StockClient.add_partitions,
    "delete records": StockClient.delete_records,
    "delete": StockClient.delete,
    "create": StockClient.create_topic,
}
GROUP_OPERATIONS: dict[str, Callable[[StockClient, str], None]] = {
    "join": StockClient.join,
    "describe": StockClient.describe_group,
    "see offsets": StockClient.see_offsets,
    "move offsets": StockClient.move_offsets,
    "delete": StockClient.delete_group,
}
CLUSTER_OPERATIONS: dict[str, Callable[[StockClient], None]] = {
    "see rights": StockClient.see_rights,
    "withdraw rights": StockClient.withdraw_rights,
    "see users": StockClient.see_users,
    "remove users": StockClient.remove_users,
    "see broker settings": StockClient.see_broker_settings,
    "change broker settings": StockClient.change_broker_settings,
}


def allowed(operations: dict[str, Callable[..., None]], client: StockClient, *on: str) -> set[str]:
    """Return the operations that are not refused. Any other error is a fault of the test, and raised."""
    found = set()
    for name, operation in operations.items():
        try:
            operation(client, *on)
        except KafkaException as error:
            if error.args[0].code() not in REFUSALS:
                raise AssertionError(f"{client.user}, {name} {on}: {error}") from error
        else:
            found.add(name)
    return found


def allowed_on_topics(scene: Provisioned, client: StockClient) -> dict[str, set[str]]:
    """Return the operations allowed on every topic that the superuser sees, and on a missing one; only topics with
    some."""
    superuser = AdminClient(scene.stock("admin"))
    names = [*superuser.list_topics(timeout=SECONDS).topics, NOT_THERE]
    assert {"snp.party.OCNX", "snp.request.SLTC", "snp.bills", "snp.timeline", "__consumer_offsets"} <= {*names}
    found = {name: allowed(TOPIC_OPERATIONS, client, name) for name in names}
    return {name: operations for name, operations in found.items() if operations}


@pytest.mark.parametrize("party", PARTIES)
def test_a_party_reads_its_notices_and_the_feed_status_writes_requests_and_nothing_else(
    scene: Provisioned, party: str
) -> None:
    client = StockClient(scene, f"snp.{party}")
    assert allowed_on_topics(scene, client) == {
        f"snp.party.{party}": READS,
        "snp.feed-status": READS,
        f"snp.request.{party}": WRITES,
    }


def test_the_router_reads_inputs_and_state_writes_its_topics_and_never_reads_a_party_s(scene: Provisioned) -> None:
    client = StockClient(scene, ROUTER)
    found = allowed_on_topics(scene, client)

    for name, operations in found.items():
        reads = name in (*INPUTS, *STATE, AUDIT) or name.startswith("snp.request.")
        writes = name.startswith("snp.")
        assert operations == SETTINGS | (READS if reads else set()) | (WRITES if writes else set()), name
    assert "__consumer_offsets" not in found


@pytest.mark.parametrize("party", PARTIES)
def test_a_party_s_groups_are_its_own(scene: Provisioned, party: str) -> None:
    (other,) = {*PARTIES} - {party}
    client = StockClient(scene, f"snp.{party}")
    assert allowed(GROUP_OPERATIONS, client, f"snp.{party}.gate") == OWN_GROUP
    for group in (f"snp.{other}.gate", f"snp.{party}", f"snp.{party}Z.gate", "snp-router", "payroll"):
        assert allowed(GROUP_OPERATIONS, client, group) == set(), group


def test_the_router_sees_what_parties_have_read_and_joins_only_its_own_group(scene: Provisioned) -> None:
    client = StockClient(scene, ROUTER)
    assert allowed(GROUP_OPERATIONS, client, "snp.SLTC.gate") == {"describe", "see offsets"}
    assert allowed(GROUP_OPERATIONS, client, "snp-router") == OWN_GROUP
    assert allowed(GROUP_OPERATIONS, client, "payroll") == set()


def test_only_the_router_has_transactional_ids(scene: Provisioned) -> None:
    transact = {"transact": StockClient.transact}
    for party in PARTIES:
        client = StockClient(scene, f"snp.{party}")
        for name in (f"snp.{party}", f"snp.{party}.gate", "snp-router-0", "payroll"):
            assert allowed(transact, client, name) == set()
    client = StockClient(scene, ROUTER)
    assert allowed(transact, client, "snp-router-99") == {"transact"}
    assert allowed(transact, client, "payroll") == set()


@pytest.mark.parametrize(
    "user", [*(f"snp.{party}" for party in PARTIES), ROUTER, "snp-feed", "snp-listener", "snp-webhooks", "snp-operator"]
)
def test_nobody_but_the_superuser_changes_the_cluster(scene: Provisioned, user: str) -> None:
    client = StockClient(scene, user)
    seen = {"see broker settings"} if not user.startswith("snp.") else set()
    assert allowed(CLUSTER_OPERATIONS, client) == seen


@pytest.mark.parametrize("user", [*(f"snp.{party}" for party in PARTIES), ROUTER])
async def test_nobody_lifts_a_limit(scene: Provisioned, user: str) -> None:
    async with AccessAdmin.opened(scene.bootstrap, scene.settings(user)) as admin:
        with pytest.raises(FatalLogError, match="we lack a right on the cluster"):
            await admin.set_quotas([(Entity.of_user(user), {"consumer_byte_rate": None})])


@pytest.mark.parametrize("party", PARTIES)
def test_lists_show_a_party_its_own_and_no_name_of_another(scene: Provisioned, party: str) -> None:
    own = {f"snp.party.{party}", f"snp.request.{party}", "snp.feed-status"}
    client = StockClient(scene, f"snp.{party}")
    assert {*client.admin.list_topics(timeout=SECONDS).topics} == own
    groups = client.admin.list_consumer_groups().result(SECONDS)
    assert {group.group_id for group in groups.valid} == {f"snp.{party}.gate"}
    assert groups.errors == []
