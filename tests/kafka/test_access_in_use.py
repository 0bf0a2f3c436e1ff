"""The rights granted are enough for the work, and a session loses those that are taken away."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import UTC, datetime

import pytest
import requests
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import Consumer, KafkaError
from confluent_kafka.admin import AclOperation, ResourceType

from router.log.kafka import open_kafka_log
from router.provision.broker_access import AccessAdmin
from tests.kafka.provisioned import PARTIES, Provisioned, fetched
from tests.kafka.secured import SESSION_SECONDS, SecuredBroker
from tests.log.contract import outputs

pytestmark = pytest.mark.kafka

BILL = "OCNXB1"
PATIENCE_SECONDS = 20


def event(code: str, minute: int) -> str:
    fields = {"scac": "OCNX", "bill_of_lading": "B1", "disposition_code": code, "quantity": 5, "snps": ["SLTC"]}
    return json.dumps(fields | {"action_at": f"2026-07-14T10:{minute:02}"}) + "\n"


@pytest.fixture(scope="module")
def made(secured: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Provisioned:
    return Provisioned(secured, tmp_path_factory.mktemp("in-use"))


@pytest.fixture
def scene(made: Provisioned) -> Provisioned:
    """Make both parties live, whatever was done to them before."""
    made.register(PARTIES)
    made.apply()
    return made


def test_each_of_our_users_does_its_work_with_what_it_may_and_without_a_complaint(scene: Provisioned) -> None:
    feed, router, operator = (scene.command(user) for user in ("snp-feed", "snp-router", "snp-operator"))

    router("run", "--until-idle")
    done = [
        feed("ingest", "-", stdin=event("1H", 1) + event("6H", 2).replace("07-14", "02-31")),
        router("run", "--until-idle"),
        operator("bill", "show", BILL),
        operator("explain", BILL),
        operator("dead-letters", "list"),
        operator("parties"),
        operator("tail", "--party", "SLTC", "--until-end"),
        operator("topics", "check"),
        operator("import", "parties", "-", stdin="id,status\nNVXB,certifying\n"),
    ]
    assert [run.stderr for run in done if "error" in run.stderr or "not_verified" in run.stderr] == []
    (letter,) = operator.json("dead-letters", "list")
    (scene.admin.folder / "right.jsonl").write_text(event("6H", 2))
    operator("dead-letters", "retry", letter["id"], "--with", "right.jsonl")
    router("run", "--until-idle")
    (bill,) = operator.json("bill", "show", BILL)
    assert bill["status"] == "DO_NOT_LOAD"

    with_notices = Consumer(scene.stock("snp.SLTC") | {"group.id": "snp.SLTC.gate", "auto.offset.reset": "earliest"})
    with_notices.subscribe(["snp.party.SLTC"])
    notice = None
    deadline = time.monotonic() + PATIENCE_SECONDS
    while notice is None and time.monotonic() < deadline:
        notice = with_notices.poll(0.5)
    assert notice is not None
    assert not notice.error()
    assert notice.key() == BILL.encode()
    with_notices.close()


BY = ("--by", "J. Doe")
DONE, PROBLEMS = 0, 1
TODAY = datetime.now(UTC).isoformat(timespec="minutes")
OPERATORS_COMMANDS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("hold", "place", BILL, "--code", "1H", *BY), DONE),
    (("outage", "declare", "--port", "2704", "--reason", "ACE is down", *BY), DONE),
    (("outage", "list"), DONE),
    (("paper", "add", "OCNXP1", "--delivered-at", TODAY, *BY), DONE),
    (("paper", "list"), PROBLEMS),  # what was done is not routed yet
    (("resync", "SLTC", *BY), DONE),
    (("party", "suspend", "SLTC"), DONE),
    (("party", "live", "SLTC"), DONE),
    (("party", "show", "SLTC"), DONE),
    (("waiting", "list"), PROBLEMS),
    (("unread", "--threshold-minutes", "0"), PROBLEMS),
    (("webhooks", "status"), DONE),
)


def test_an_operator_does_with_every_command_what_it_is_for(scene: Provisioned) -> None:
    feed, router, operator = (scene.command(user) for user in ("snp-feed", "snp-router", "snp-operator"))
    feed("ingest", "-", stdin=event("1H", 1))
    router("run", "--until-idle")
    for command, code in OPERATORS_COMMANDS:
        operator(*command, code=code)
    router("run", "--until-idle")


def test_the_webhook_sender_gets_its_task_and_is_refused_nothing(scene: Provisioned) -> None:
    sender = scene.command("snp-webhooks").start("webhooks", "run", "--verbose")
    assert sender.stderr is not None
    watchdog = threading.Timer(PATIENCE_SECONDS, sender.kill)
    watchdog.start()
    said = []
    for line in sender.stderr:
        said.append(line)
        if '"tasks_assigned"' in line:
            threading.Timer(2, sender.terminate).start()
    watchdog.cancel()
    sender.communicate()
    assert any('"tasks": [0]' in line for line in said)
    assert [line for line in said if "uthorization" in line or "may not" in line] == []


def test_a_party_that_is_cut_off_while_it_reads_is_refused_in_the_session_that_it_has(scene: Provisioned) -> None:
    # Cut off, it may not leave its group either: the group is empty when the session is over.
    quick = {"group.id": "snp.SLTC.gate", "fetch.wait.max.ms": 50, "session.timeout.ms": 6_000}
    consumer = Consumer(scene.stock("snp.SLTC") | quick)
    consumer.subscribe(["snp.party.SLTC"])
    assert not [message for message in consumer.consume(10, 3) if message.error()]

    scene.admin("provision", "revoke", "SLTC")

    refused = KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED
    seen = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not seen and time.monotonic() < deadline:
        seen = [message.error().code() for message in consumer.consume(1, 0.5) if message.error()]
    assert seen
    assert seen[0] in refused
    consumer.close()


async def test_a_fetch_that_waits_at_the_broker_when_its_party_is_cut_off_is_still_answered(
    scene: Provisioned,
) -> None:
    """Kafka checks the right when a fetch comes in, not when it is answered. So `revoke` suspends the party too, and
    the router writes nothing more that such a fetch could bring."""
    party, admin = scene.settings("snp.SLTC"), scene.settings("admin")
    async with open_kafka_log(scene.url, admin) as log:
        (end,) = (await log.end_offsets("snp.party.SLTC")).values()
    waiting = asyncio.create_task(
        fetched(scene.bootstrap, party, "snp.party.SLTC", wait_seconds=PATIENCE_SECONDS, offset=end)
    )
    await asyncio.sleep(1.5)

    await asyncio.to_thread(scene.admin.process, "provision", "revoke", "SLTC")
    assert not waiting.done()
    async with open_kafka_log(scene.url, admin) as log:
        await log.append(outputs("snp.party.SLTC", 1))

    code, records = await waiting
    assert (code, bool(records)) == (0, True)
    with pytest.raises(KafkaConnectionError):
        await fetched(scene.bootstrap, party, "snp.party.SLTC")


async def test_after_its_session_s_time_a_user_that_is_gone_is_refused_whatever_its_rights(
    scene: Provisioned, secured: SecuredBroker
) -> None:
    """Without `connections.max.reauth.ms` a session outlives its user for any time."""
    secured.add_user("lingering", [(ResourceType.TOPIC, "snp.feed-status", AclOperation.READ)])
    scene.passwords["lingering"] = scene.passwords["admin"]
    stock = scene.stock("lingering") | {"group.id": "x", "bootstrap.servers": secured.short_sessions}
    failures: list[KafkaError] = []
    consumer = Consumer(stock | {"error_cb": failures.append})
    consumer.list_topics(timeout=PATIENCE_SECONDS)
    async with AccessAdmin.opened(scene.bootstrap, scene.settings("admin")) as admin:
        await admin.remove_users(["lingering"])

    deadline = time.monotonic() + SESSION_SECONDS + PATIENCE_SECONDS
    while not failures and time.monotonic() < deadline:
        consumer.poll(0.2)
    assert KafkaError._AUTHENTICATION in [failure.code() for failure in failures]
    consumer.close()


async def test_a_question_is_asked_again_when_its_session_s_time_is_over(
    scene: Provisioned, secured: SecuredBroker
) -> None:
    """aiokafka does not authenticate again: the broker closes the connection at the next request."""
    async with open_kafka_log(f"kafka://{secured.short_sessions}", scene.settings("admin")) as log:
        await log.topics()
        await asyncio.sleep(SESSION_SECONDS + 0.5)
        assert "snp.party.SLTC" in await log.topics()


def test_the_listener_s_user_may_do_what_it_needs(scene: Provisioned) -> None:
    listener, router, operator = (scene.command(user) for user in ("snp-listener", "snp-router", "snp-operator"))
    token = listener("listen", "token", "add", "relay").stdout.strip()
    process = listener.start("listen", "--address", "127.0.0.1:0")
    assert process.stderr
    url = json.loads(process.stderr.readline())["url"]
    body = event("1H", 1).replace('"B1"', '"B2"')
    posted = requests.post(url, body, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_SECONDS)
    assert (posted.status_code, posted.json()["events"]) == (200, 1)
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 130
    router("run", "--until-idle")
    assert "HELD" in operator("bill", "show", "OCNXB2").stdout
