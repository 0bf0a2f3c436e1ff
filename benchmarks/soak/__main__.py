"""The router on three real brokers through mixed faults, then judged whole: `python -m benchmarks.soak FOLDER`.

Each run has a folder of its own in FOLDER, by its seed and Kafka version. Run again, an interrupted run goes on: with
the faults that are left, or with judging. FOLDER/summary.json sums up all runs there. Needs Java 17, and for the full
disk root (a small disk of memory is mounted); without it that fault is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from benchmarks.options import quiet
from benchmarks.soak.faults import Scene, scene, unmount
from benchmarks.soak.judge import judge
from benchmarks.soak.lives import Lives, Told, sailings
from benchmarks.soak.state import MARK, RunFolder, State
from router import topics
from router.codec import encode_value
from router.decide.rules import Rules
from router.engine.administration import append_tick, import_parties, import_sailings, prepare
from router.engine.worker import Worker
from router.errors import LogError
from router.log.interface import Output
from router.model.eastern import iso
from router.model.inputs import Disposition, disposition_fields
from tests.checking.routine import PARTIES
from tests.faults.workers import errors_in
from tests.kafka.jars import VERSION

PARTITIONS: Final = 4
GROUP: Final = "snp-router"
BATCH_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = (1.0, 6.0)
LONGEST_FAULT_SECONDS: Final = 120.0
DRAIN_SECONDS: Final = 90.0
"""For the routers to notice that a party's topic is back, after the last fault."""
LONGEST_FEEDING_SECONDS: Final = 180.0
OWN_FIELDS: Final = ("received_at", "transmitted_at")
"""Fields that a feeder stamps."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, help="without it, only the summary is printed")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=30.0, help="records fed in a second")
    parser.add_argument("--kafka", default=VERSION, help=f"version of the brokers, {VERSION} unless given")
    options = parser.parse_args()
    quiet()
    folder = options.folder.resolve()
    if options.seed is not None:
        run_folder = RunFolder(folder / f"run-{options.seed}-{options.kafka}")
        asyncio.run(Soak(run_folder, State(options.seed, options.kafka, options.minutes, options.rate)).go_on())
    sys.exit(1 if sum_up(folder) else 0)


class Soak:
    """One run, from wherever it was."""

    def __init__(self, folder: RunFolder, fresh: State) -> None:
        os.environ[MARK] = str(folder.path)
        self.folder = folder
        self.state = folder.load() or fresh
        if self.state.seconds or self.state.phase != "faults":
            ended = folder.end_processes()
            self.state.interrupted += self.state.phase != "done"
            folder.note("goes on", phase=self.state.phase, ended=ended)
        self._chance = random.Random(f"faults {self.state.seed} {self.state.seconds}")

    async def go_on(self) -> None:
        if self.state.phase in ("faults", "drain", "read"):
            async with scene(self.folder, self.state) as at:
                self.folder.save(self.state)
                if self.state.phase == "faults":
                    await self._suffer(at)
                    self._enter("drain")
                if self.state.phase == "drain":
                    await self._drain(at)
                    self._enter("read")
                await self._read(at)
                self._enter("judge")
            self.folder.end_processes()
            unmount(self.folder.path)
            for node in self.folder.path.glob("node-*/data"):
                shutil.rmtree(node, ignore_errors=True)
        if self.state.phase == "judge":
            await asyncio.to_thread(self._judge)
            self._enter("done")

    def _enter(self, phase: str) -> None:
        self.state.phase = phase
        self.folder.save(self.state)
        self.folder.note("phase", phase=phase)

    # Faults

    async def _suffer(self, at: Scene) -> None:
        """Feed all the time, and do one fault after another."""
        if not self.state.seconds:
            await _prepare(at)
        await at.make_parties()
        at.start()
        feeding = asyncio.create_task(self._feed(at))
        began, done = time.monotonic(), self.state.seconds
        while (left := self.state.minutes * 60 - self.state.seconds) > 0:
            await asyncio.sleep(min(left, self._chance.uniform(*PAUSE_SECONDS)))
            await self._do(at)
            self.state.seconds = done + time.monotonic() - began
            self.folder.save(self.state)
            if feeding.done():
                feeding.result()
        await feeding

    async def _do(self, at: Scene) -> None:
        kind, fault = self._chance.choice(sorted(at.faults.items()))
        try:
            async with asyncio.timeout(LONGEST_FAULT_SECONDS):
                told = await fault(self._chance)
        except (LogError, KafkaError, OSError, TimeoutError) as error:
            told = f"not done: {type(error).__name__}: {error}"
        at.heal()
        at.replace_dead()
        self.state.faults[kind] = self.state.faults.get(kind, 0) + 1
        self.folder.note(kind, did=told)

    async def _feed(self, at: Scene) -> None:
        """Until the run's time is over; then the rest of the lives begun."""
        lives = Lives(self.state.seed, self.state.rate, self.state.shipments)
        await self._feed_batch(at, list(self.folder.fed(self.state.batch)))  # maybe fed in half
        began, done = time.monotonic(), self.state.seconds
        while (seconds := time.monotonic() - began) + done < self.state.minutes * 60:
            await self._feed_new(at, lives.until(seconds))
            self.state.shipments = lives.shipments
            await asyncio.sleep(BATCH_SECONDS)
        await self._feed_new(at, lives.rest())

    async def _feed_new(self, at: Scene, records: list[Told]) -> None:
        self.state.batch += 1
        self.folder.will_feed(self.state.batch, records)
        self.folder.save(self.state)
        await self._feed_batch(at, records)

    async def _feed_batch(self, at: Scene, records: list[Told]) -> None:
        """Events through a feeder, as a file; filings straight to the log."""
        events = [record for record in records if isinstance(record, Disposition)]
        if events:
            inbox = self.folder.inboxes[self.state.batch % len(self.folder.inboxes)]
            file = self.folder.path / f"{self.state.batch:06d}.jsonl"
            file.write_text("".join(f"{json.dumps(_form(event))}\n" for event in events))
            file.rename(inbox / file.name)
        filings = [
            Output(topics.FILINGS, f"{record.scac}{record.bill_of_lading}".encode(), encode_value(record))
            for record in records
            if not isinstance(record, Disposition)
        ]
        while filings:
            try:
                await at.log.append(filings)
                break
            except LogError as error:  # fed again: what did get through changes nothing the second time
                self.folder.note("append failed", error=str(error))
                await asyncio.sleep(0.5)

    # The end

    async def _drain(self, at: Scene) -> None:
        """Let routers and feeders finish without faults; then route in this process what is left."""
        if not at.routers.processes:
            at.start()
        await at.make_parties()
        deadline = time.monotonic() + LONGEST_FEEDING_SECONDS
        while waiting := [file.name for inbox in self.folder.inboxes for file in inbox.glob("*.jsonl")]:
            if time.monotonic() > deadline:
                self.folder.note("feeders are not done", files=waiting)
                break
            at.replace_dead()
            await asyncio.sleep(0.5)
        await asyncio.sleep(DRAIN_SECONDS)
        at.stop_feeders()
        at.stop_routers()
        self.folder.end_processes([node.process for node in at.cluster.nodes])
        await asyncio.sleep(2 * 3.0)  # the group notices that they are gone
        totals = await Worker(at.log, Rules(), until_idle=True).run(GROUP)
        self.folder.note("routed the rest", **dict(totals.counts))

    async def _read(self, at: Scene) -> None:
        names = sorted(name for name in await at.log.topics() if name.startswith(topics.PARTY_PREFIX))
        self.folder.keep("notices", await at.read(names))
        for topic in (topics.TIMELINE, topics.REGISTRY, topics.WAITING, topics.DEAD_LETTERS):
            self.folder.keep(topic, await at.read([topic]))

    def _judge(self) -> None:
        began = time.monotonic()
        verdict = judge(self.folder)
        verdict.violations.extend(errors_in(self.folder.path))
        summary: dict[str, Any] = {
            "seed": self.state.seed,
            "kafka": self.state.kafka,
            "minutes": round(self.state.seconds / 60, 1),
            "interrupted": self.state.interrupted,
            **verdict.figures,
            "faults": self.state.faults,
            "violations": len(verdict.violations),
            "judging_seconds": round(time.monotonic() - began, 1),
        }
        (self.folder.path / "violations.txt").write_text("".join(f"{one}\n" for one in verdict.violations))
        self.folder.summarize(summary)


def sum_up(folder: Path) -> int:
    """Print all judged runs of the folder as a table, and write them to summary.json. Returns their violations."""
    runs = [json.loads(file.read_text()) for file in sorted(folder.glob("run-*/summary.json"))]
    table = Table("run", "Kafka", "minutes", "events", "decisions", "notices", "faults", "violations", "judged in s")
    for run in runs:
        counts = (run["events"], run["decisions"], run["notices"], sum(run["faults"].values()), run["violations"])
        table.add_row(
            str(run["seed"]),
            run["kafka"],
            str(run["minutes"]),
            *(f"{n:,}" for n in counts),
            str(run["judging_seconds"]),
        )
    totals = {name: sum(run[name] for run in runs) for name in ("events", "decisions", "notices", "violations")}
    faults = sum((Counter(run["faults"]) for run in runs), Counter())
    (folder / "summary.json").write_text(json.dumps({"runs": runs, **totals, "faults": dict(faults)}, indent=1))
    Console(width=120).print(table)
    return int(totals["violations"])


async def _prepare(at: Scene) -> None:
    await at.log.create_topics(topics.topic_specs(PARTITIONS))
    await prepare(at.log, PARTITIONS)
    await append_tick(at.log)
    await import_parties(at.log, PARTIES)
    await import_sailings(at.log, sailings())


def _form(event: Disposition) -> dict[str, Any]:
    """The event's fields in the form that other programs write."""
    fields = {name: value for name, value in disposition_fields(event).items() if value not in (None, ())}
    for name in OWN_FIELDS:
        fields.pop(name, None)
    return fields | {"action_at": iso(event.action_at)}


if __name__ == "__main__":
    main()
