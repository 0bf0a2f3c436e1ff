"""Where each microsecond of one event goes, in the real loop: `python -m benchmarks.stages [--log kafka]`.

The router routes a backlog of lives of many bills, four recipients an event, while its stack is looked at every few
milliseconds of CPU time. Each look counts for the stage of the innermost function that the table below names; so the
rows add up to the whole, and no timer stands between the stages. The run's CPU is measured without being looked at.
`--log kafka` starts a broker, or uses the one at SNP_TEST_KAFKA, whose `cbp.` and `snp.` topics are DELETED.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from types import CodeType, FrameType
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.cargo import Trade
from benchmarks.kafka.brokers import broker
from benchmarks.kafka.scene import Feeder, Scene
from benchmarks.options import Options
from router import codec
from router.decide import audience, bill, bill_state, boxes, cargo_facts, consequences, folding, identity, registry
from router.decide.rules import Rules
from router.engine import worker
from router.log.interface import AdministeredLog
from router.log.kafka import producer
from router.log.url import open_log
from router.task import bill_table, outputs, registry_duties, shard

LOOK_SECONDS: Final = 0.001
"""Of CPU time; the system's clock makes it 4 ms where it ticks 250 times a second."""

STAGES: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("decode the event", (codec.decode_value,)),
    ("ledger: find and read", (bill_table.Bills.get,)),
    ("decide: what is known of the bill", (cargo_facts.CargoFacts.with_disposition, cargo_facts.CargoFacts.cargo)),
    ("decide: holds, releases, status", (folding.with_event, bill_state.assess_bill)),
    ("decide: identities", (identity.identity, identity.keyed_id, identity.notice_id, identity.decision_id)),
    ("decide: what the index hears", (boxes.facts_of, boxes.changed_facts, boxes.answer)),
    ("decide: the rest", (bill.decide, consequences.conclude)),
    ("audience", (audience.audience_of,)),
    ("encode notices, facts, history", (shard.Shard._keep, outputs.outputs_of)),
    ("ledger: encode and keep", (shard.Shard.take_outputs, shard.Shard.committed)),
    ("registry", (registry_duties.RegistryDuties.apply, registry.Registry.apply)),
    (
        "rest of the task",
        (shard.Shard.process, shard.Shard.step, worker.Worker._decide, worker.Worker._commit, worker.Worker._poll),
    ),
    ("batch", (producer.grouped, producer.send, producer.check_sizes)),
)
"""Stage and the functions that it begins with."""

PLACES: Final = (
    ("/router/log/sqlite/task.py", "_poll", "client: read"),
    ("/router/log/sqlite/store.py", "read", "client: read"),
    ("/router/log/sqlite/", "", "client: write and commit"),
    ("/router/log/kafka/producer.py", "", "batch"),
    ("/aiokafka/producer/message_accumulator.py", "append", "batch"),
    ("/aiokafka/record/", "", "client: records of Kafka"),
    ("/aiokafka/consumer/", "", "client: read"),
    ("/router/log/kafka/reader.py", "", "client: read"),
    ("/router/log/kafka/task.py", "", "client: read"),
    ("/aiokafka/producer/", "", "client: write and commit"),
    ("/aiokafka/", "", "client: connections"),
    ("/asyncio/", "", "event loop"),
    ("/selectors.py", "", "event loop"),
)
"""For what no stage begins: part of a file's path, the function if it matters, and the stage."""

WAITING: Final = ("/selectors.py", "/concurrent/futures/", "/threading.py", "/queue.py")
"""Innermost frames of a thread that has nothing to do."""


def main() -> None:
    options = Options(__doc__, parties=(100, 8), events=(20_000, 1_000), rounds=(3, 1))
    options.add_argument("--log", choices=("sqlite", "kafka"), default="sqlite")
    asked = options.asked()
    trade = Trade(asked.parties)
    with tempfile.TemporaryDirectory() as folder:
        if asked.log == "kafka":
            with broker(Path(folder)) as address:
                table = asyncio.run(measure(Backlog(Scene(address, Path(folder), trade), trade), asked))
        else:
            table = asyncio.run(measure(Backlog(Path(folder), trade), asked))
    Console().print(table)


class Backlog:
    """The same events, to be routed as often as one likes."""

    def __init__(self, where: Scene | Path, trade: Trade) -> None:
        self._where = where
        self._trade = trade
        self._files = 0

    @asynccontextmanager
    async def fed(self, events: int) -> AsyncIterator[AdministeredLog]:
        if isinstance(self._where, Scene):
            async with self._where.log() as log:
                await self._where.begin(log)
                await Feeder(log).append_all(self._trade.feed(events))
                yield log
            return
        self._files += 1
        async with open_log(f"sqlite:///{self._where}/{self._files}.db") as log:
            await self._trade.register(log)
            await Feeder(log).append_all(self._trade.feed(events))
            yield log


async def measure(backlog: Backlog, asked: argparse.Namespace) -> Table:
    plain, looked_at, looks = [], [], Looks()
    for number in range(asked.rounds):
        plain.append(await one_run(backlog, asked.events, f"plain-{number}"))
        with looks:
            looked_at.append(await one_run(backlog, asked.events, f"looked-at-{number}", looks))
    return table(asked, median(plain), median(looked_at), looks.found)


async def one_run(backlog: Backlog, events: int, group: str, looks: Looks | None = None) -> float:
    """CPU µs an event."""
    async with backlog.fed(events) as log:
        routing = worker.Worker(log, Rules(), until_idle=True)
        started = time.process_time()
        if looks:
            looks.begin()
        totals = await routing.run(group)
        if looks:
            looks.end()
        taken = time.process_time() - started
    if totals.counts["events"] != events:
        raise SystemExit(f"routed {totals.counts['events']} of {events} events")
    return taken / events * 1e6


class Looks:
    """Counts what this process is at, by looks at equal distances of CPU time. As a context: the signal is ours."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self._stage_of = {_code(function): stage for stage, functions in STAGES for function in functions}
        self._of_place: dict[CodeType, str | None] = {}

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGPROF, self._look)

    def __exit__(self, *_: object) -> None:
        self.end()
        signal.signal(signal.SIGPROF, self._before)

    def begin(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, LOOK_SECONDS, LOOK_SECONDS)

    def end(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _look(self, number: int, frame: FrameType | None) -> None:
        if frame is not None and _is_waiting(frame):
            frame = self._working_thread() or frame
        self.found[self._stage(frame)] += 1

    def _working_thread(self) -> FrameType | None:
        """The main thread waits, so the time is another's: that of the log's, where it is not waiting as well."""
        own = threading.main_thread().ident
        frames = [frame for thread, frame in sys._current_frames().items() if thread != own]
        return next((frame for frame in frames if not _is_waiting(frame)), None)

    def _stage(self, frame: FrameType | None) -> str:
        while frame is not None:
            code = frame.f_code
            stage = self._stage_of.get(code) or self._place(code)
            if stage is not None:
                return stage
            frame = frame.f_back
        return "elsewhere"

    def _place(self, code: CodeType) -> str | None:
        if code not in self._of_place:
            path = code.co_filename
            fits = (stage for part, name, stage in PLACES if part in path and name in ("", code.co_name))
            self._of_place[code] = next(fits, None)
        return self._of_place[code]


def _code(function: Callable[..., object]) -> CodeType:
    code: CodeType = getattr(function, "__wrapped__", function).__code__
    return code


def _is_waiting(frame: FrameType) -> bool:
    return any(part in frame.f_code.co_filename for part in WAITING)


def table(asked: argparse.Namespace, plain: float, looked_at: float, found: Counter[str]) -> Table:
    made = Table(
        *("stage", "µs", "%"),
        title=f"CPU of one event, {asked.events:,} events on {asked.log}; medians of {asked.rounds} rounds",
        caption=f"{found.total():,} looks; being looked at costs {looked_at - plain:+.0f} µs, which are not counted",
    )
    order = [stage for stage, _ in STAGES]
    order += [stage for stage in dict.fromkeys(stage for *_, stage in PLACES) if stage not in order]
    for stage in [*order, "elsewhere"]:
        if found[stage]:
            share = found[stage] / found.total()
            made.add_row(stage, f"{share * plain:.1f}", f"{share * 100:.0f}")
    made.add_row("[bold]all[/]", f"[bold]{plain:.1f}[/]", "100")
    return made


if __name__ == "__main__":
    main()
