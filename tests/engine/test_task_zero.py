"""The owner of task 0 accepts each request once, announces silent feeds, and survives a wrong clock."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from router import codec, topics
from router.decide.rules import Rules
from router.desk.downtime import read_outages
from router.engine.administration import append_tick, import_parties, prepare, read_registry
from router.engine.feed_silence import SilenceLimit
from router.engine.intake import event_outputs
from router.engine.worker import Worker, WorkSettings
from router.log.interface import Log, Output
from router.log.url import open_log
from router.model.eastern import DAY, MINUTE
from router.model.inputs import Disposition
from router.model.registry_values import RESYNC, FeedActivity, Party, Request
from router.presentation import plain_value
from router.task.outputs import registry_output

START = 1_784_030_400_000
YEAR = 366 * DAY
EVERY_HOUR = SilenceLimit("cbp", None, frozenset(range(7)), 0, 24, 60)


class Desk:
    """A router on a log of its own, with a clock that the test sets."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.now = START

    async def route(self) -> None:
        settings = WorkSettings((EVERY_HOUR,), idle_seconds=0.02)
        await Worker(self.log, Rules(), settings, until_idle=True, clock=lambda: self.now).run()

    async def ask(self, scac: str, value: bytes) -> None:
        await self.log.append([Output(topics.REQUEST_PREFIX + scac, b"", value)])

    async def read(self, topic: str) -> list[dict[str, object]]:
        batches = self.log.read([topic], until_end=True)
        return [plain_value(record.value or b"") async for batch in batches for record in batch]


async def opened(log: Log) -> Desk:
    desk = Desk(log)
    await prepare(log, 2)
    await append_tick(log, START)
    await import_parties(log, [Party("SLTC"), Party("NVXA")])
    event = Disposition("NVXA", "B1", "1H", START, 10, snps=("SLTC",), received_at=START)
    await log.append(event_outputs(event, lambda _: True))
    await desk.route()
    return desk


def request(scac: str = "SLTC") -> bytes:
    return codec.encode_value(Request("mine", RESYNC, scac, "me", 0))


async def resyncs(desk: Desk, scac: str = "SLTC") -> int:
    return sum(one["cause"] == "RESYNC" for one in await desk.read(topics.PARTY_PREFIX + scac))


async def test_a_request_is_accepted_once_and_only_for_its_own_party(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        desk = await opened(log)
        await desk.ask("SLTC", request("NVXA"))
        await desk.route()
        await desk.route()
        assert (await resyncs(desk), await resyncs(desk, "NVXA")) == (1, 0)


async def test_the_next_request_is_refused_for_ten_minutes_also_after_a_restart(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        desk = await opened(log)
        for minutes, expected in ((0, 1), (9, 1), (10, 2)):
            desk.now = START + minutes * MINUTE
            await desk.ask("SLTC", request())
            await desk.route()
            assert await resyncs(desk) == expected


async def test_a_record_that_is_not_a_request_stops_nothing(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        desk = await opened(log)
        await desk.ask("SLTC", b"\xff\x00 no record")
        await desk.ask("SLTC", codec.encode_value(Party("SLTC")))
        await desk.ask("SLTC", request())
        await desk.route()
        assert await resyncs(desk) == 1


async def test_the_beginning_and_the_end_of_a_silence_are_announced(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        desk = await opened(log)
        await log.append([registry_output(FeedActivity("cbp", "2704", START))])
        for minutes in (59, 61, 62):
            desk.now = START + minutes * MINUTE
            await desk.route()
        await log.append([registry_output(FeedActivity("cbp", "2704", START + 63 * MINUTE))])
        for minutes in (64, 65, 100):
            desk.now = START + minutes * MINUTE
            await desk.route()
        statuses = await desk.read(topics.FEED_STATUS)
        assert [one["state"] for one in statuses] == ["SILENT", "RECOVERING", "RECOVERED"]
        (view,) = await read_outages(log)
        assert (view.outage.began_at, view.outage.ended_at) == (START, START + 63 * MINUTE)


async def test_a_clock_that_was_ahead_is_audited_and_ticks_go_on_when_it_is_right_again(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        desk = await opened(log)
        for moment in (START + YEAR, START + 2 * MINUTE):
            desk.now = moment
            await desk.ask("SLTC", request())
            await desk.route()
            assert (await read_registry(log)).now == moment
        assert await resyncs(desk) == 2, "the year until the first one's time is not waited for"
        (entry,) = (one for one in await desk.read(topics.AUDIT) if one["by"] == "router")
        assert entry["action"] == "clock jumped"


async def test_a_silence_is_noticed_although_the_feed_s_clock_was_ahead(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        desk = await opened(log)
        await log.append([registry_output(FeedActivity("cbp", None, START + YEAR))])
        for minutes in (1, 60, 63):
            desk.now = START + minutes * MINUTE
            await desk.route()
        (view,) = await read_outages(log)
        assert view.outage.began_at == START + MINUTE


async def test_a_flood_of_one_party_s_requests_delays_no_other_party(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        desk = await opened(log)
        await log.append([Output(topics.REQUEST_PREFIX + "SLTC", b"", b"garbage")] * 2_000)
        await desk.ask("SLTC", request())
        await desk.ask("NVXA", request("NVXA"))
        with capture_logs() as lines:
            await desk.route()
        assert (await resyncs(desk, "NVXA"), await resyncs(desk)) == (1, 0)
        assert sum(line["event"] == "request_refused" for line in lines) == 11
        await desk.ask("SLTC", request())
        with capture_logs() as lines:
            await desk.route()
        assert await resyncs(desk) == 1
        assert "request_refused" not in {line["event"] for line in lines}
