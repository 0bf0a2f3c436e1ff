"""Read receipts on a real broker: a stock consumer has read what it committed."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from tests.kafka.fixtures import wipe
from tests.kafka.test_commands import BILL, SAMPLES, Commands

pytestmark = pytest.mark.kafka

GROUP = "snp.SLTC.production"
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

    await read_all(kafka)
    read = commands.done(*ALARMS)
    assert (read.returncode, "2 ended" in read.stderr) == (0, True)
