"""A log moves from a file to Kafka: nothing is lost, doubled or sent again, wherever the move is cut."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from router import topics
from router.codec.packed import BILL_STATE
from router.decide.bill_state import assess_bill
from router.decide.rules import Rules
from router.desk.audit_check import exported, read_heads
from router.log.interface import Output, Record
from router.log.url import open_log
from router.model.registry_values import party_topic
from tests.kafka.fixtures import wipe

pytestmark = pytest.mark.kafka

CODES = ("55", "69", "6H", "6I", "1C", "1H", "ZZ", "1I", "4A", "1C")
BILLS = 40
PARTITIONS = 3
SCACS = ("OCNX", "SLTC", "HARX", "NVXA")
PARTIES = "id,name,status\nOCNX,Operator,live\nSLTC,Charterer,live\nHARX,Charterer,live\nNVXA,NVOCC,live\n"
SAILINGS = (
    "sailing_id,imo_number,vessel_name,arrival_date,scac,role,voyage_number,scope\n"
    "EX-026E,9074729,OCEAN EXEMPLAR,2026-07-28,OCNX,operator,026E,\n"
    "EX-026E,9074729,OCEAN EXEMPLAR,2026-07-28,SLTC,charterer,SL26,\n"
    "EX-026E,9074729,OCEAN EXEMPLAR,2026-07-28,HARX,charterer,H26,do-not-load\n"
)


class FileToMove:
    """A folder with a file, and a broker to move to."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self.file = f"sqlite:///{folder}/snp.db"
        self.kafka = f"kafka://{bootstrap}"
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SNP_")}
        settings = {"SNP_PARTITIONS": str(PARTITIONS), "SNP_KAFKA__REPLICATION_FACTOR": "1"}
        self._environment = clean | settings | {"NO_COLOR": "1"}

    def start(self, *words: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "router.cli", *words],
            env=self._environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )

    def run(self, *words: str, code: int = 0) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, out + err
        return " ".join((out + err).split())

    def on_file(self, *words: str, code: int = 0) -> str:
        return self.run("--log", self.file, *words, code=code)

    def on_kafka(self, *words: str, code: int = 0) -> str:
        return self.run("--log", self.kafka, *words, code=code)

    def move(self, code: int = 0) -> str:
        return self.run("move", self.file, self.kafka, code=code)

    def fill(self, codes: tuple[str, ...] = CODES) -> None:
        (self.folder / "parties.csv").write_text(PARTIES)
        (self.folder / "sailings.csv").write_text(SAILINGS)
        (self.folder / "feed.x12").write_text(interchange(codes))
        self.on_file("import", "parties", "parties.csv")
        self.on_file("import", "sailings", "sailings.csv")
        self.on_file("ingest", "feed.x12")


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a file in which everything is routed. Only for copying."""
    folder = tmp_path_factory.mktemp("routed")
    made = FileToMove(folder, "")
    made.fill()
    made.on_file("run", "--until-idle")
    return folder


@pytest.fixture
async def installation(tmp_path: Path, routed: Path, kafka: str) -> FileToMove:
    await wipe(kafka)
    shutil.copytree(routed, tmp_path, dirs_exist_ok=True)
    return FileToMove(tmp_path, kafka)


def interchange(codes: tuple[str, ...], first_minute: int = 0) -> str:
    """Return bills that share containers and masters, so that facts across bills are moved too."""
    segments = ["ST*350*0001~", "M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~", "P4*2704*20260728~"]
    for minute, code in enumerate(codes, first_minute):
        for bill in range(BILLS):
            segments += [
                f"X4*HBL{bill:09d}*120***20260714*08{minute:02d}*{code}**NVXA****2704**OB*OCNXMB{bill % 7}*ET~",
                f"N9*SNP*OCNX~N9*SNP*SLTC~N7*CSQU*{bill % 30:06d}~",
            ]
    head = "ISA*00*          *00*          *ZZ*CBPTEST        *02*OCNX           *260714*1412*U*00605*000000101*0*P*>~"
    head += "GS*SO*CBPTEST*OCNX*20260714*141205*101*X*006050~"
    return head + "".join(segments) + f"SE*{len(segments) * 2}*0001~GE*1*101~IEA*1*000000101~"


async def read(url: str, names: list[str]) -> list[Record]:
    async with open_log(url, {"replication_factor": 1} if url.startswith("kafka") else None) as log:
        return [record async for batch in log.read(names, until_end=True) for record in batch]


async def registered(url: str) -> int:
    """Return the number of records that the registry ever had."""
    async with open_log(url) as log:
        return sum((await log.end_offsets(topics.REGISTRY)).values())


async def statuses(url: str) -> dict[bytes, str]:
    """Return the status of every bill; the last record of each counts."""
    rules, found = Rules(), dict[bytes, str]()
    for record in await read(url, [topics.BILLS]):
        if not record.key.startswith(topics.POSITION_KEY) and record.value is not None:
            found[record.key] = assess_bill(BILL_STATE.decode(record.value), rules).status.status
    return found


async def notices(url: str) -> dict[str, list[tuple[bytes, bytes | None, int]]]:
    """Return the notices of every party, in order, with their times."""
    return {
        scac: [(record.key, record.value, record.timestamp) for record in await read(url, [party_topic(scac)])]
        for scac in SCACS
    }


async def everything(url: str) -> tuple[dict[bytes, str], dict[str, list[tuple[bytes, bytes | None, int]]]]:
    return await statuses(url), await notices(url)


async def test_on_a_terminal_a_move_counts_the_records_of_each_step(installation: FileToMove) -> None:
    ours, theirs = pty.openpty()
    moving = installation.start("move", installation.file, installation.kafka, stderr=theirs)
    os.close(theirs)
    seen = b""
    while chunk := _read_terminal(ours):
        seen += chunk
    os.close(ours)
    assert moving.wait(120) == 0
    bars = re.findall(r"(copying|comparing) .*?([\d,]+) of ([\d,]+) records", seen.decode())
    last = {step: (done, total) for step, done, total in bars}
    assert last["copying"] == last["comparing"]
    done, total = last["copying"]
    assert done == total != "0"


def _read_terminal(ours: int) -> bytes:
    """The next output; empty once the other side is closed."""
    try:
        return os.read(ours, 65536)
    except OSError:
        return b""


async def test_every_status_and_every_notice_is_there_and_routing_goes_on(installation: FileToMove) -> None:
    before = await everything(installation.file)
    assert len(before[0]) >= BILLS
    async with open_log(installation.file) as log:
        heads = [msgspec.json.encode(head) for head in exported(await read_heads(log), 0) if head.number]
    (installation.folder / "heads.jsonl").write_bytes(b"\n".join(heads))
    installation.move()
    assert await everything(installation.kafka) == before
    verified = installation.on_kafka("audit", "verify", "--heads", "heads.jsonl")
    assert f"{len(heads)} of {len(heads)} exported heads compared" in verified
    installation.on_kafka("run", "--until-idle")
    assert await everything(installation.kafka) == before, "something was told again"
    (installation.folder / "more.x12").write_text(interchange(("1C",), first_minute=40))
    installation.on_kafka("ingest", "more.x12")
    assert f"routed: {BILLS} new events" in installation.on_kafka("run", "--until-idle")


async def test_a_line_that_comes_aboard_later_is_caught_up(installation: FileToMove) -> None:
    """The registry's offsets differ on Kafka. Changes must still count as newer than what was looked at."""
    installation.move()
    (installation.folder / "parties.csv").write_text(PARTIES + "LATX,Newcomer,live\n")
    line = "EX-026E,9074729,OCEAN EXEMPLAR,2026-07-28,LATX,charterer,L26,all\n"
    (installation.folder / "sailings.csv").write_text(SAILINGS + line)
    installation.on_kafka("import", "parties", "parties.csv")
    installation.on_kafka("import", "sailings", "sailings.csv")
    installation.on_kafka("run", "--until-idle")
    assert len(await read(installation.kafka, [party_topic("LATX")])) >= BILLS


async def test_the_file_takes_no_records_any_more(installation: FileToMove) -> None:
    async with open_log(installation.file) as opened_before:
        installation.move()
        with pytest.raises(Exception, match="moved to another log"):
            await opened_before.append([Output(topics.DEAD_LETTERS, b"late", b"")])
    assert f"was moved to {installation.kafka}" in installation.on_file("run", "--until-idle", code=4)
    assert "nothing to do" in installation.move()


async def test_killed_anywhere_it_is_resumed(installation: FileToMove) -> None:
    before = await everything(installation.file)
    for lines in (1, 6, 12):
        process = installation.start("move", installation.file, installation.kafka)
        assert process.stderr is not None
        for _ in range(lines):
            process.stderr.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    installation.move()
    assert await everything(installation.kafka) == before


async def test_cut_after_the_file_was_marked_it_is_finished(installation: FileToMove, kafka: str) -> None:
    before = await everything(installation.file)
    installation.move()
    await wipe(kafka)  # more is gone now than any cut leaves missing
    assert "read back and compared" in installation.move()
    installation.on_kafka("run", "--until-idle")
    assert (await statuses(installation.kafka), await notices(installation.kafka)) == before


async def test_a_log_that_is_not_idle_is_not_moved(installation: FileToMove) -> None:
    before = await registered(installation.file)
    (installation.folder / "more.x12").write_text(interchange(("1H",), first_minute=40))
    installation.on_file("ingest", "more.x12")
    # Each task reads the registry, to which `ingest` writes that the feed is active if its last word is a minute old.
    waiting = 2 * BILLS + PARTITIONS * (await registered(installation.file) - before)
    assert f"is not idle (input records not routed yet: {waiting})" in installation.move(code=2)
    installation.on_file("run", "--until-idle")


async def test_a_file_that_a_router_works_on_is_not_moved(installation: FileToMove) -> None:
    router = installation.start("--log", installation.file, "run")
    try:
        assert router.stderr is not None
        while "task_restored" not in router.stderr.readline():
            assert router.poll() is None
        refused = f"a router works on {installation.folder}/snp.db (group snp-router): stop it first. It is process"
        assert f"{refused} {router.pid}" in installation.move(code=2)
    finally:
        router.terminate()
        router.communicate()


async def test_topics_in_use_are_not_moved_to(installation: FileToMove) -> None:
    installation.on_kafka("topics", "create")
    installation.on_kafka("import", "parties", "parties.csv")
    assert "is in use: snp.audit holds records that were not moved there" in installation.move(code=2)
    installation.on_file("run", "--until-idle")


async def test_a_target_in_use_is_found_out_before_the_first_record_is_copied(installation: FileToMove) -> None:
    installation.on_kafka("topics", "create")
    installation.on_kafka("run", "--until-idle")  # writes the installation's secret, and nothing else
    assert "is in use: snp.registry holds records that were not moved there" in installation.move(code=2)
    async with open_log(installation.kafka, {"replication_factor": 1}) as log:
        assert sum((await log.end_offsets(topics.DISPOSITIONS)).values()) == 0


async def test_other_partitions_are_not_moved_to(installation: FileToMove) -> None:
    async with open_log(installation.kafka, {"replication_factor": 1}) as log:
        await log.create_topics(topics.topic_specs(PARTITIONS + 1))
    assert f"{PARTITIONS + 1} partitions" in installation.move(code=4)
