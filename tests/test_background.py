"""Background parts: none dies silently, whichever it is and whatever it dies of."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

import router
from router import background as parts
from router import http, observe
from router.background import background, failed_parts
from router.console.backend import Backend, Follower, keep_refreshed
from router.decide.rules import Rules
from router.desk.bill_index import FOLLOWED
from router.engine.administration import prepare
from router.engine.supervisor import Supervisor
from router.engine.worker import Worker
from router.errors import TaskRetry
from router.http import serving
from router.log.kafka.group import AssignedTasks, GroupMember
from router.log.sqlite import SqliteLog, open_sqlite_log, store
from router.log.sqlite.connection import ChangeWatch
from router.log.sqlite.task import Lease
from router.observe import Health, Metrics, watch_lag
from router.status import LogProbe, status_app
from tests.test_observe import figures, get

FAULT = "RuntimeError: a fault that nobody thought of"
PACKAGE = Path(router.__file__).parent

OWNED = {
    "background.py:start_background": "the one place for parts that nobody awaits",
    "log/kafka/task.py:poll": "awaited by the call",
    "log/kafka/failures.py:ended_within": "awaited by the call",
    "log/kafka/producer.py:commit": "awaited by the call",
    "log/kafka/producer.py:_written_unless_deleted": "awaited by the call",
    "log/kafka/hung_brokers.py:gives_sign": "awaited by the call, or by a later one",
    "log/kafka/hung_brokers.py:_watch": "looks at requests, which have deadlines of their own too",
    "log/kafka/hung_brokers.py:_look": "ends requests, which have deadlines of their own too",
    "log/kafka/group.py:_direct_while_watching": "its error ends `Log.work`",
    "log/kafka/group.py:_follow": "a task of the group, collected by `_collect`: its error ends `Log.work`",
    "log/sqlite/log.py:work": "a TaskGroup: an error ends `Log.work`",
    "engine/folder_intake.py:ingest_folder": "a TaskGroup: an error ends the command",
    "engine/supervisor.py:_run_in": "a slot, awaited: its error ends the command",
    "engine/supervisor.py:_drain": "awaited by the call",
    "engine/intake.py:ingest_chunks": "a thread, awaited by the call",
    "cli/tail_command.py:gather": "awaited by the call",
    "console/backend.py:run": "a TaskGroup within a background part",
    "webhooks/delivery.py:run": "a TaskGroup: an error ends `Log.work`",
    "webhooks/delivery.py:_start": "in that TaskGroup",
    "http.py:connection_made": "closes an idle connection",
    "http.py:shutdown": "closes a connection at a stop",
    "http.py:_close_if_idle": "closes an idle connection",
    "http.py:_watch_reading": "closes a connection whose client takes nothing of its answer",
}
"""Everything else that starts a task, a thread or a timer, with the reason why it can't die unseen."""
STARTS = {"create_task", "ensure_future", "run_in_executor", "call_later", "call_at", "Thread", "start_background"}


def starts() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Call):
                        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                        if name in STARTS - {"start_background"}:
                            yield f"{path.relative_to(PACKAGE)}:{function.name}"


def test_whatever_starts_a_task_is_a_background_part_or_awaited() -> None:
    found = set(starts())
    assert found - OWNED.keys() == set(), "use router.background, or say here who awaits it"
    assert OWNED.keys() - found == set()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PAUSES", (0.05, 0.1))
    monkeypatch.setattr(parts, "STEADY_SECONDS", 0.2)


@pytest.fixture
async def log(tmp_path: Path) -> Any:
    async with open_sqlite_log(str(tmp_path / "snp.db")) as opened:
        await prepare(opened, 2)
        yield opened


def failing(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, times: int = 1) -> list[int]:
    """Have a function die of an unexpected error. Returns a list that grows with each call."""
    calls: list[int] = []
    works = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if len(calls) <= times:
            raise RuntimeError("a fault that nobody thought of")
        return works(*arguments, **options)

    monkeypatch.setattr(owner, name, call)
    return calls


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_part_that_fails_is_logged_named_counted_and_restarted() -> None:
    tries: list[int] = []

    async def work() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("boom")
        if len(tries) == 3:
            raise TaskRetry("the log does not answer")
        await asyncio.Event().wait()

    async with serving(status_app(CollectorRegistry(), Health()), "127.0.0.1:0") as address:
        with capture_logs() as lines:
            async with background("weighing", work):
                await until(lambda: failed_parts())
                assert failed_parts() == ["weighing failed: RuntimeError: boom"]
                status, body = await get(address, "/ready")
                assert status == 503
                assert "weighing failed: RuntimeError: boom" in json.loads(body)["reasons"]
                await until(lambda: len(tries) == 4)
                assert failed_parts() == ["weighing failed: the log does not answer"], "it has not run well for long"
                await until(lambda: not failed_parts())
                assert (await figures(address))["snp_background_failures_total", (("part", "weighing"),)] == 3
    assert [(line["event"], line["log_level"], line["part"]) for line in lines] == [
        ("background_failed", "error", "weighing")
    ] * 3
    assert [line["again_in_seconds"] for line in lines] == [0.05, 0.1, 0.1]
    assert [line["exc_info"] is not None for line in lines] == [True, True, False], "a traceback only where it helps"


async def test_a_part_that_ends_while_it_had_failed_is_forgotten() -> None:
    async def work() -> None:
        raise RuntimeError("boom")

    async with background("weighing", work):
        await until(lambda: failed_parts())
    assert failed_parts() == []


async def _lag(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> Any:
    return background("watching the lag", lambda: watch_lag(log, dict, Metrics())), observe, "measure_lag"


async def _file(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> Any:
    return _running(Worker(log, Rules()).run), ChangeWatch, "_number"


async def _sweep(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> Any:
    return _running(Worker(log, Rules()).run), store, "sweep"


async def _http(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> Any:
    return serving(status_app(CollectorRegistry(), Health()), "127.0.0.1:0"), http._Server, "serve"


async def _probe(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("router.status.PROBE_SECONDS", 0.01)
    return background("asking the log", LogProbe(log).keep_looking), SqliteLog, "end_offsets"


LIVE: Any = SimpleNamespace(publish=lambda *_: None)
"""A stream that no browser reads."""


def _follower(log: SqliteLog) -> Follower:
    async def nothing(*_: object) -> dict[str, int]:
        return {}

    index = SimpleNamespace(mend=nothing, positions=nothing, write_registry=nothing)
    return Follower(log, Rules(), index, LIVE)  # type: ignore[arg-type]


async def _console(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> Any:
    return background("following the log", _follower(log).run), SqliteLog, "end_offsets"


async def _refreshing(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> Any:
    async def nothing(*_: object) -> None:
        await asyncio.sleep(0.01)

    follower = _follower(log)
    follower.caught_up.set()

    async def commits() -> dict[int, Any]:
        return {}

    index: Any = SimpleNamespace(
        unconfirmed=nothing,
        last_commits=commits,
        write_unread=nothing,
        read_positions=commits,
        write_observations=nothing,
    )
    probe = LogProbe(log, FOLLOWED)
    await probe.look()
    absent: Any = None
    backend = Backend(log, index, LIVE, follower, absent, probe)
    shown: Any = SimpleNamespace(refresh=nothing, refresh_unread=lambda: None)
    return (
        background("refreshing figures", lambda: keep_refreshed(backend, shown)),
        "router.console.backend",
        "read_unread",
    )


def _running(work: Callable[[], Any]) -> Any:
    return background("running", work)


@pytest.mark.parametrize("part", [_lag, _file, _sweep, _http, _probe, _console, _refreshing])
async def test_each_part_is_restarted_and_takes_ready_down(
    part: Any, log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, owner, name = await part(log, monkeypatch)
    if isinstance(owner, str):
        calls: list[int] = []
        works = 1

        async def once(*_: object) -> dict[str, object]:
            calls.append(works)
            if len(calls) == 1:
                raise RuntimeError("a fault that nobody thought of")
            return {}

        monkeypatch.setattr(f"{owner}.{name}", once)
    else:
        calls = failing(monkeypatch, owner, name)
    with capture_logs() as lines:
        async with running:
            await until(lambda: failed_parts())
            assert "RuntimeError: a fault that nobody thought of" in failed_parts()[0]
            await until(lambda: len(calls) > 1)
            await until(lambda: not failed_parts())
    assert {line["reason"] for line in lines if line["event"] == "background_failed"} == {FAULT}


async def test_a_server_that_failed_answers_at_its_address_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = failing(monkeypatch, http._Server, "serve", times=2)
    async with serving(status_app(CollectorRegistry(), Health()), "127.0.0.1:0") as address:
        status, _ = await get(address, "/live")
        assert (status, len(calls)) == (200, 3)
        assert any("serving HTTP" in reason for reason in json.loads((await get(address, "/ready"))[1])["reasons"])


async def test_a_lease_that_fails_ends_the_router(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, Lease, "_renew", times=9)
    with pytest.raises(RuntimeError, match="nobody thought of"):
        async with asyncio.timeout(10):
            await Worker(log, Rules()).run()


async def test_a_slot_that_fails_ends_the_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, Supervisor, "_run_once", times=9)
    with pytest.raises(RuntimeError, match="nobody thought of"):
        await Supervisor(["true"], 1, "kafka://none").run()


class QuietMember:
    """A member of a group that assigns nothing."""

    tasks: frozenset[int] = frozenset()

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    async def watch(self) -> None:
        await asyncio.Event().wait()

    async def show_positions(self, positions: object) -> None:
        pass


@pytest.mark.parametrize(("name", "ends"), [("show_positions", False), ("watch", True)])
async def test_parts_of_a_groups_member(name: str, ends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.log.kafka.group.SHOW_POSITIONS_SECONDS", 0.01)
    assert hasattr(GroupMember, name)
    calls = failing(monkeypatch, QuietMember, name)
    tasks: Any = AssignedTasks(None, None, None, asyncio.Event().wait, SimpleNamespace(close_deadline_seconds=1.0))  # type: ignore[arg-type]
    directing = asyncio.create_task(tasks._direct(QuietMember()))
    if ends:
        with pytest.raises(RuntimeError, match="nobody thought of"):
            await directing
        return
    await until(lambda: failed_parts())
    assert failed_parts()[0].startswith("showing positions to the group failed: RuntimeError")
    await until(lambda: len(calls) > 2 and not failed_parts())
    directing.cancel()
    await asyncio.wait([directing])
