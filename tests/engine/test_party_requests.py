"""Whatever a party writes, the requests of the others are accepted once, and its own are dropped at last."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router import codec, topics
from router.decide.rules import Rules
from router.engine.administration import import_parties, prepare
from router.engine.party_requests import (
    DEATHS_UNTIL_DROPPED,
    MOST_OF_A_PARTY,
    FoundRecord,
    PartyRequests,
    ReadingDied,
    find_records,
)
from router.engine.request_process import RequestProcess
from router.errors import LogError, TaskRetry
from router.log.interface import Output
from router.log.url import open_log
from router.model.registry_values import RESYNC, Party, Request
from router.observe import Metrics
from router.task.shard import Shard

START = 1_784_030_400_000
PARTIES = tuple(f"PRT{letter}" for letter in "ABCDEFGH")
REQUEST = codec.encode_value(Request("mine", RESYNC, "SLTC", "me", 0))


def topic(party: str) -> str:
    return topics.REQUEST_PREFIX + party


class Extents:
    """Ends of the request topics, as a log tells them."""

    def __init__(self, ends: Mapping[str, int]) -> None:
        self.ends = ends

    async def extents(self, names: list[str], *, decided: bool) -> dict[str, range]:
        return {name: range(self.ends[name]) for name in names if name in self.ends}


def shard_with(*parties: Party) -> Shard:
    shard = Shard(Rules(), 0, 1)
    for party in parties:
        shard.registry.apply(party)
    return shard


@given(st.sets(st.sampled_from(PARTIES), max_size=4), st.sets(st.sampled_from(PARTIES), min_size=1))
@settings(max_examples=60, deadline=None)
def test_a_topic_that_kills_its_reader_costs_nobody_else_a_request(deadly: set[str], asking: set[str]) -> None:
    async def find(spans: Mapping[str, range]) -> list[FoundRecord]:
        if spans.keys() & {topic(party) for party in deadly}:
            raise ReadingDied("exit code -9")
        return [FoundRecord(name, span.start + 1, span.start) for name, span in spans.items()]

    async def looked() -> tuple[list[str], Mapping[str, int], float]:
        log: Any = Extents({topic(party): 1 for party in asking})
        shard, metrics = shard_with(*map(Party, PARTIES)), Metrics()
        requests = PartyRequests(log, shard, find, metrics, lambda: START)
        accepted = []
        for look in range(DEATHS_UNTIL_DROPPED):
            if deadly & asking and look < DEATHS_UNTIL_DROPPED - 1:
                with pytest.raises(ReadingDied):
                    await requests.look()
            else:
                await requests.look()
            accepted += [output.key.decode() for output in requests.outputs() if b"-" in output.key]
            requests.committed()
        dropped = metrics.registry.get_sample_value("snp_requests_total", {"outcome": "dropped"})
        return accepted, shard.position, dropped or 0

    accepted, position, dropped = asyncio.run(looked())
    assert sorted(key.split("-")[0][-4:] for key in accepted) == sorted(asking - deadly)
    assert position == {topic(party): 1 for party in asking}
    assert dropped == len(asking & deadly)


@pytest.mark.parametrize("status", ["suspended", "certifying", "external"])
async def test_topics_of_parties_that_are_not_live_are_not_read(status: str) -> None:
    async def find(spans: Mapping[str, range]) -> list[FoundRecord]:
        raise AssertionError(spans)

    log: Any = Extents({topic("PRTA"): 5})
    requests = PartyRequests(log, shard_with(Party("PRTA", status=status)), find, Metrics(), lambda: START)
    await requests.look()
    assert not requests.are_waiting


async def test_a_log_that_does_not_answer_drops_nothing() -> None:
    async def find(spans: Mapping[str, range]) -> list[FoundRecord]:
        raise TaskRetry("no broker answers")

    log: Any = Extents({topic("PRTA"): 5})
    shard = shard_with(Party("PRTA"))
    requests = PartyRequests(log, shard, find, Metrics(), lambda: START)
    for _ in range(5 * DEATHS_UNTIL_DROPPED):
        with pytest.raises(LogError):
            await requests.look()
    assert not requests.are_waiting


async def test_a_topic_that_was_made_again_is_read_from_its_beginning() -> None:
    async def find(spans: Mapping[str, range]) -> list[FoundRecord]:
        return [FoundRecord(name, span.stop, span.start) for name, span in spans.items()]

    log: Any = Extents({topic("PRTA"): 2})
    shard = shard_with(Party("PRTA"))
    shard.position[topic("PRTA")] = 900
    requests = PartyRequests(log, shard, find, Metrics(), lambda: START)
    await requests.look()
    assert len(requests.outputs()) == 2
    assert shard.position[topic("PRTA")] == 2


async def test_a_failure_is_measured_until_a_look_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    async def find(spans: Mapping[str, range]) -> list[FoundRecord]:
        looks.append(1)
        if len(looks) < 3:
            raise TaskRetry("no broker answers")
        return [FoundRecord(topic("PRTA"), 5, 4)]

    monkeypatch.setattr("router.engine.party_requests.LOOK_SECONDS", 0.01)
    log: Any = Extents({topic("PRTA"): 5})
    metrics = Metrics()
    requests = PartyRequests(log, shard_with(Party("PRTA")), find, metrics, lambda: START)
    looking = asyncio.create_task(requests.keep_looking())
    failing: list[float] = []
    async with asyncio.timeout(10):
        while not requests.are_waiting:
            await asyncio.sleep(0.002)
            failing.append(metrics.registry.get_sample_value("snp_requests_not_read_seconds", {"task": "0"}) or 0)
    looking.cancel()
    assert max(failing) > 0
    assert len(looks) == 3


# The process, on a real log


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/snp.db"


def reader(url: str) -> RequestProcess:
    return RequestProcess([sys.executable, "-m", "router.cli", "--log", url, "read-requests"])


async def test_the_process_finds_what_this_process_would(url: str) -> None:
    async with open_log(url) as log:
        await prepare(log, 1)
        await import_parties(log, [Party("PRTA"), Party("PRTB")])
        written = [b"\xff\x00 no record", b"", REQUEST, codec.encode_value(Party("PRTA"))]
        await log.append([Output(topic("PRTA"), b"", value) for value in written])
        await log.append([Output(topic("PRTB"), b"", REQUEST)] * (MOST_OF_A_PARTY + 50))
        spans = {topic("PRTA"): range(1, 4), topic("PRTB"): range(MOST_OF_A_PARTY + 50)}
        found = await reader(url)(spans)
        assert found == await find_records(log, spans)
    assert [one.fault is None for one in found[:3]] == [False, True, False]
    assert found[-1] == FoundRecord(topic("PRTB"), MOST_OF_A_PARTY + 50, MOST_OF_A_PARTY + 49, found[-1].fault, True)
    assert len(found) == 3 + MOST_OF_A_PARTY + 1


DYING = {
    "memory": "import router.engine.request_process as p; p.confine(); print('ready', flush=True); bytearray(1 << 30)",
    "killed": "import os; print('ready', flush=True); os.kill(os.getpid(), 9)",
    "half an answer": "print('ready')",
    "hanging": "import time; print('ready', flush=True); time.sleep(60)",
}


@pytest.mark.parametrize("how", DYING)
async def test_a_death_while_reading_is_told_from_one_before(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.engine.request_process.SECONDS", 2)
    with pytest.raises(ReadingDied):
        await RequestProcess([sys.executable, "-c", DYING[how]])({topic("PRTA"): range(1)})
    with pytest.raises(TaskRetry):
        await RequestProcess([sys.executable, "-c", "raise SystemExit(4)"])({topic("PRTA"): range(1)})


def is_running(number: int) -> bool:
    stat = Path(f"/proc/{number}/stat")
    return stat.exists() and stat.read_text().split()[2] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the longest life alone bounds it")
async def test_the_process_ends_with_its_parent() -> None:
    child = (
        "import router.engine.request_process as process, time, os\n"
        "process.confine(); print(os.getpid(), flush=True); time.sleep(50)"
    )
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(50)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    number = int(await process.stdout.readline())
    process.kill()
    await process.wait()
    async with asyncio.timeout(5):
        while is_running(number):
            await asyncio.sleep(0.02)
