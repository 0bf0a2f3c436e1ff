"""Read receipts on a real broker: a stock consumer has read what it committed."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as Place
from aiokafka.admin import RecordsToDelete
from confluent_kafka import Consumer, TopicPartition

from router.desk.receipts import read_receipts
from router.desk.unread_notices import DO_NOT_LOAD, READING_UNKNOWN, read_alerts
from router.log.interface import Output
from router.log.kafka import open_kafka_log
from router.model.registry_values import Party
from router.topics import party_topic_specs, topic_specs
from tests.kafka.commands import SAMPLES, Commands
from tests.kafka.fixtures import QUICK, wipe
from tests.kafka.test_commands import BILL

pytestmark = pytest.mark.kafka

GROUP = "snp.SLTC.production"
FURTHEST = 2**63 - 1
ALARMS = ("unread", "--threshold-minutes", "0")


def parties(folder: Path, status: str) -> str:
    path = folder / "sltc.csv"
    header = "id,status,contact_name,contact_phone,production_group"
    path.write_text(f"{header}\nSLTC,{status},Operations,+1-555-0110,{GROUP}\n")
    return str(path)


async def read_all(bootstrap: str) -> int:
    """Read to the end, commit and leave, as a party does."""
    consumer = AIOKafkaConsumer(
        "snp.party.SLTC", bootstrap_servers=bootstrap, group_id=GROUP, isolation_level="read_committed",
        auto_offset_reset="earliest", enable_auto_commit=False,
    )  # fmt: skip
    await consumer.start()
    read = 0
    try:
        while found := await consumer.getmany(timeout_ms=1500):
            read += sum(map(len, found.values()))
            await consumer.commit()
    finally:
        await consumer.stop()
    return read


def commit(bootstrap: str, offset: int) -> None:
    """Commit an offset as any stock client may."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP, "log_level": 0})
    consumer.commit(offsets=[TopicPartition("snp.party.SLTC", 0, offset)], asynchronous=False)
    consumer.close()


async def test_from_the_first_sample_to_the_call_to_the_party(kafka: str, tmp_path: Path) -> None:
    await wipe(kafka)
    commands = Commands(f"kafka://{kafka}")
    commands("topics", "create")
    for kind in ("parties", "sailings", "filings"):
        commands("import", kind, str(SAMPLES / f"{kind}.csv"))
    commands("import", "parties", parties(tmp_path, "certifying"))
    commands("run", "--until-idle")
    assert commands.done("certify", "SLTC").returncode == 1

    samples = len(commands.objects("tail", "--party", "SLTC", "--from-start", "--until-end"))
    commit(kafka, FURTHEST)
    certified = commands.done("certify", "SLTC")
    assert certified.returncode == 1
    assert f"what SLTC has read is unknown: its group {GROUP} has offset {FURTHEST} as read" in certified.stdout
    assert "samples read: unknown: its group" in commands("party", "show", "SLTC")
    commit(kafka, 0)
    assert await read_all(kafka) == samples
    assert f"SLTC has read {samples} of {samples}" in commands("certify", "SLTC")
    commands("party", "live", "SLTC")

    commands("ingest", str(SAMPLES / "1-on-file.x12"), str(SAMPLES / "2-do-not-load.camir"))
    commands("run", "--until-idle")
    unread = commands.done(*ALARMS)
    assert unread.returncode == 1
    assert f"SLTC has not read the do-not-load on {BILL} for 0 minutes; call +1-555-0110 (Operations)" in unread.stdout
    assert "2 raised" in unread.stderr
    assert "raised" not in commands.done(*ALARMS).stderr

    commit(kafka, FURTHEST)
    unknown = commands.done(*ALARMS)
    assert unknown.returncode == 1
    assert f"what SLTC has read is unknown: its group {GROUP} has offset {FURTHEST} as read" in unknown.stdout
    assert "; call +1-555-0110 (Operations)" in unknown.stdout
    assert "1 raised" in unknown.stderr
    assert "raised" not in commands.done(*ALARMS).stderr
    async with open_kafka_log(f"kafka://{kafka}", QUICK) as log:
        standing = [one for one in (await read_alerts(log)).values() if one.ended_at is None]
    assert sorted(one.kind for one in standing) == [READING_UNKNOWN, DO_NOT_LOAD, DO_NOT_LOAD]

    commit(kafka, 0)
    await read_all(kafka)
    read = commands.done(*ALARMS)
    assert "3 ended" in read.stderr
    assert "SLTC: everything is read" in read.stdout
    assert read.returncode == 1, "it is unknown what the parties without a group have read"


async def test_only_offsets_that_its_topic_has_or_had_are_believed_of_a_group(kafka: str) -> None:
    """Raw commits, since stock clients keep negative offsets to themselves."""
    await wipe(kafka)
    party = Party("SLTC", production_group=GROUP)
    place = Place(party.topic, 0)
    async with open_kafka_log(f"kafka://{kafka}", QUICK) as log:
        await log.create_topics([*topic_specs(1), *party_topic_specs("SLTC")])
        await log.append([Output(party.topic, b"NVXAB1", b"notice")] * 9)
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=GROUP, enable_auto_commit=False)
        await consumer.start()
        consumer.assign([place])

        async def disbelieved(*offsets: int) -> list[int | None]:
            found = []
            for offset in offsets:
                await consumer.commit({place: offset})
                receipt = (await read_receipts(log, [party]))["SLTC"]
                assert (receipt.unknown is None) == (receipt.disbelieved is None)
                found.append(receipt.disbelieved)
            return found

        assert await disbelieved(0, 5, 9) == [None] * 3
        assert await disbelieved(10, 2**40, 2**63 - 1, -2, -(2**63)) == [10, 2**40, 2**63 - 1, -2, -(2**63)]
        await log._admin._client.delete_records({place: RecordsToDelete(before_offset=4)})
        assert await disbelieved(0, 3, 4, 9, 10) == [0, 3, None, None, 10]
        await consumer.stop()
