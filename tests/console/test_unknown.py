"""The console's pages and gauges while the log is silent, the index is being built, or nobody routes a partition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from router import topics
from router.console import AccessSettings, ConsoleSettings, backend
from router.console.application import console_app
from router.console.backend import SILENT_SECONDS, Backend, Commits, ConsoleFigures, Follower, keep_refreshed
from router.console.live_stream import LiveStream
from router.console.sessions import LoginSessions
from router.decide.rules import Rules
from router.demo.story import FILES, set_up
from router.desk.bill_index import FOLLOWED, BillIndex, LastCommit
from router.desk.index_records import IndexedEntry
from router.engine.administration import append_tick, prepare
from router.engine.intake import ingest_file
from router.engine.worker import Worker
from router.errors import TaskRetry
from router.http import serving
from router.log.interface import AdministeredLog, Record
from router.log.url import open_log
from router.status import LogProbe
from router.task.outputs import registry_output
from router.task.registry_duties import Position
from tests.console.installation import OUTAGE

EMPTY_PAGES = (
    "/waiting",
    "/bills",
    "/boxes/CSQU3054383",
    "/dead-letters",
    "/search?q=NOSUCH",
    "/sailings",
    "/parties",
    "/unread",
    "/new-do-not-loads",
    "/outages",
    "/notices",
    "/feeds",
    "/audit",
)
MISSING_PAGES = ("/bills/NVXANOSUCH", "/sailings/NOSUCH", "/parties/NOSUCH", "/dead-letters/NOSUCH", "/outages/NOSUCH")
REASSURING = (
    "could be read",
    "Nothing waits",
    "has this",
    "No bill fits",
    "No bill",
    "None is registered",
    "There was none",
    "Nothing yet",
)
DEPENDENT = {"snp_waiting_bills", "snp_dead_letters_waiting", "snp_open_outages", "snp_feed_silence_seconds"}


class Scene:
    """A console whose parts run only when a test says so."""

    def __init__(self, log: AdministeredLog, index: BillIndex, folder: Path) -> None:
        live = LiveStream()
        access = AccessSettings(users_file=folder / "users.json", proxy_addresses=("127.0.0.1",))
        self.follower = Follower(log, Rules(), index, live)
        self.probe = LogProbe(log, FOLLOWED)
        settings = ConsoleSettings(index_file=folder / "index.db", access=access)
        self.backend = Backend(log, index, live, self.follower, LoginSessions(settings.access), self.probe)
        self.figures = ConsoleFigures(self.backend)
        self.address = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow and refresh until everything on the log is known."""
        parts = [self.follower.run(), self.probe.keep_looking(), keep_refreshed(self.backend, self.figures)]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await until(lambda: self.shown()["snp_console_unknown"] == 0)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def page(self, path: str) -> tuple[int, str]:
        headers = {"X-Forwarded-User": "alice", "X-Forwarded-Role": "operator"}
        async with (
            aiohttp.ClientSession(f"http://{self.address}") as client,
            client.get(path, headers=headers) as answer,
        ):
            return answer.status, await answer.text()

    def shown(self) -> dict[str, float]:
        """A sample of each gauge that has any."""
        found = (sample for family in self.figures.registry.collect() for sample in family.samples)
        return {sample.name: sample.value for sample in found}


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.status.PROBE_SECONDS", 0.05)
    monkeypatch.setattr(backend, "REFRESH_SECONDS", 0.05)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[AdministeredLog]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await prepare(opened, 2)
        yield opened


@pytest.fixture
async def scene(log: AdministeredLog, tmp_path: Path) -> AsyncIterator[Scene]:
    index = BillIndex(tmp_path / "index.db")
    await index.open()
    made = Scene(log, index, tmp_path)
    async with serving(console_app(made.backend), "127.0.0.1:0") as made.address:
        yield made
    await index.close()


async def route(log: AdministeredLog) -> None:
    await set_up(log)
    await ingest_file(log, FILES / "1-on-file.x12", Rules())
    await Worker(log, Rules(), until_idle=True).run()


@pytest.mark.parametrize("path", EMPTY_PAGES)
async def test_while_the_index_is_being_built_no_page_says_that_there_is_nothing(scene: Scene, path: str) -> None:
    await scene.probe.look()
    status, text = await scene.page(path)
    assert status == 200
    assert "Not known" in text
    assert [words for words in REASSURING if words in text] == []


@pytest.mark.parametrize("path", MISSING_PAGES)
async def test_what_is_not_found_yet_is_unknown(scene: Scene, path: str) -> None:
    await scene.probe.look()
    status, text = await scene.page(path)
    assert (status, "not known: the index is being built" in text) == (503, True)


async def test_the_first_page_counts_nothing_while_the_index_is_being_built(scene: Scene) -> None:
    await scene.probe.look()
    _, text = await scene.page("/")
    assert "<b>0</b>" not in text
    assert text.count("<b>?</b>") == 7
    assert "0 bills wait" not in text


async def test_open_pages_are_told_how_far_the_index_is(
    scene: Scene, log: AdministeredLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages fetch themselves anew when the revision is another one."""
    await route(log)
    monkeypatch.setattr(backend, "BATCH", 1)
    write, revisions = scene.backend.index.write_records, list[int]()

    async def noted(records: Sequence[Record], rules: Rules) -> list[IndexedEntry]:
        if not scene.follower.caught_up.is_set():
            revisions.append(scene.backend.live.revision)
        return await write(records, rules)

    monkeypatch.setattr(scene.backend.index, "write_records", noted)
    async with scene.running():
        assert len(set(revisions)) == len(revisions) > 1


async def test_gauges_have_no_sample_until_the_log_is_read(scene: Scene) -> None:
    assert scene.shown()["snp_console_unknown"] == 1
    assert scene.shown().keys().isdisjoint(DEPENDENT)


@pytest.mark.parametrize("path", ["/", *EMPTY_PAGES])
async def test_once_the_log_is_silent_each_page_says_since_when_and_why(
    scene: Scene, log: AdministeredLog, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await route(log)
    async with scene.running():
        assert "Not known" not in (await scene.page(path))[1]
        before = time.time()
        monkeypatch.setattr(log, "end_offsets", refuse)
        await until(lambda: scene.backend.cut_off)
        text = (await scene.page(path))[1]
        assert f'Not known since <time datetime="{time.strftime("%Y-%m-%dT%H", time.gmtime(before))}' in text
        assert "the brokers do not answer. What is shown is from before." in text
        assert [words for words in REASSURING if words in text] == []


async def test_an_outages_page_shows_nothing_old_while_the_log_is_silent(
    scene: Scene, log: AdministeredLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await route(log)
    await log.append([registry_output(OUTAGE)])
    async with scene.running():
        await until(lambda: OUTAGE.id in scene.follower.outages)
        assert "Checklist for port 2704" in (await scene.page(f"/outages/{OUTAGE.id}"))[1]
        monkeypatch.setattr(log, "end_offsets", refuse)
        await until(lambda: scene.backend.cut_off)
        status, text = await scene.page(f"/outages/{OUTAGE.id}")
        assert (status, "not known: the brokers do not answer" in text, "Checklist" in text) == (503, True, False)


async def test_gauges_lose_their_samples_while_the_log_is_silent(
    scene: Scene, log: AdministeredLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await route(log)
    async with scene.running():
        assert scene.shown().keys() >= DEPENDENT - {"snp_feed_silence_seconds"}
        assert scene.backend.unready() == []
        with monkeypatch.context() as silent:
            silent.setattr(log, "end_offsets", refuse)
            await until(lambda: scene.shown()["snp_console_unknown"] == 1)
            assert scene.shown().keys().isdisjoint(DEPENDENT | {"snp_partition_commit_age_seconds"})
            assert scene.backend.unready() == ["the brokers do not answer"]
        await until(lambda: scene.shown()["snp_console_unknown"] == 0)
        assert scene.shown()["snp_dead_letters_waiting"] == 0


async def test_a_log_that_hangs_is_silent_too(
    scene: Scene, log: AdministeredLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await route(log)
    async with scene.running():
        monkeypatch.setattr("router.status.PROBE_DEADLINE_SECONDS", 0.1)
        monkeypatch.setattr(log, "end_offsets", lambda _topic: asyncio.Event().wait())
        await until(lambda: scene.shown()["snp_console_unknown"] == 1)
        assert "did not answer within" in (await scene.page("/waiting"))[1]


async def refuse(_topic: str) -> dict[int, int]:
    raise TaskRetry("the brokers do not answer")


# Partitions


async def test_a_log_that_nobody_ever_routed_is_not_empty_but_unknown(scene: Scene, log: AdministeredLog) -> None:
    await set_up(log)
    async with scene.running():
        await until(lambda: scene.backend.silent)
        text = (await scene.page("/waiting"))[1]
        assert "Not routed: partition 0 yet; partition 1 yet." in text
        assert "Nothing waits" not in text
        assert "Not known: not all partitions are routed." in text
        assert scene.shown()["snp_partition_commit_age_seconds"] >= SILENT_SECONDS


async def test_a_router_that_went_away_is_seen(
    scene: Scene, log: AdministeredLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await route(log)
    async with scene.running():
        assert "Not routed" not in (await scene.page("/"))[1]
        monkeypatch.setattr(backend, "SILENT_SECONDS", 1.0)
        await until(lambda: len(scene.backend.silent) == 2)
        text = (await scene.page("/"))[1]
        assert "Not routed: partition 0 since <time" in text
        assert "see whether <code>snp-router run</code> is running" in text
        monkeypatch.setattr(backend, "SILENT_SECONDS", 10.0)
        await append_tick(log)
        await Worker(log, Rules(), until_idle=True).run()
        await until(lambda: not scene.backend.silent)


async def test_a_partition_that_lost_input_has_the_reason(
    scene: Scene, log: AdministeredLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await route(log)
    async with scene.running():
        begins = await log.end_offsets(topics.DISPOSITIONS)
        found = {**begins, 1: begins[1] + 5}

        async def extents(topic: str) -> dict[int, int]:
            return found if topic == topics.DISPOSITIONS else dict.fromkeys(begins, 0)

        monkeypatch.setattr(log, "begin_offsets", extents)
        monkeypatch.setattr(backend, "SILENT_SECONDS", 0.0)
        await until(lambda: scene.backend.silent)
        text = (await scene.page("/"))[1]
        assert "because records of cbp.dispositions were deleted before they were read" in text
        assert "lost-input list" in text


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [1000.0]
    monkeypatch.setattr("router.console.backend.time.monotonic", lambda: now[0])
    return iter([now])


def commit(at: int) -> LastCommit:
    return LastCommit(at, Position({}))


HOUR = 3_600_000
NOW = 1_784_031_120_000


@pytest.mark.parametrize("skew", [-HOUR, 0, HOUR])
def test_silence_is_told_whatever_the_routers_clock_says(skew: int, clock: Iterator[list[float]]) -> None:
    now, commits = next(clock), Commits()
    for minute in range(5):
        commits.look([0], {0: commit(NOW + skew + minute * 60_000)}, NOW + minute * 60_000)
        now[0] += 60
    assert [one for one in commits.silent() if skew >= 0] == [], "it commits each minute"
    assert commits.ages()[0] == 60
    now[0] += SILENT_SECONDS - 60
    assert [one.partition for one in commits.silent()] == [0]
