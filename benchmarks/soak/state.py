"""The state of one run in its folder, from which an interrupted run goes on, and what was fed and done in it."""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.soak.lives import Told
from router.log.interface import Record
from router.model.inputs import (
    Disposition,
    disposition_fields,
    disposition_of,
    filing_fields,
    filing_of,
)

MARK: Final = "SNP_SOAK"
"""Environment variable of every process of a run: its folder."""


@dataclass
class State:
    """Written after every batch that is fed and every fault."""

    seed: int
    kafka: str
    minutes: float
    rate: float
    ports: list[int] = field(default_factory=list)
    phase: str = "faults"
    """faults, drain, read, judge or done."""
    seconds: float = 0.0
    """Seconds of faults, up to now."""
    shipments: int = 0
    batch: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    """Number of faults by kind."""
    interrupted: int = 0


class Deleted(NamedTuple):
    """A party's topic that was deleted, with all that was read of it before."""

    topic: str
    since: int
    """Notices written from this moment on may have gone with the topic unread; UTC milliseconds."""
    until: int
    records: list[Record]


class RunFolder:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.inboxes = [path / f"inbox-{number}" for number in (1, 2)]
        for inbox in self.inboxes:
            inbox.mkdir(exist_ok=True)

    # State

    def load(self) -> State | None:
        file = self.path / "state.json"
        return State(**json.loads(file.read_text())) if file.exists() else None

    def save(self, state: State) -> None:
        self._write("state.json", asdict(state))

    def summarize(self, summary: dict[str, Any]) -> None:
        self._write("summary.json", summary)

    def _write(self, name: str, fields: dict[str, Any]) -> None:
        new = self.path / f"{name}.new"
        new.write_text(json.dumps(fields, indent=1))
        new.rename(self.path / name)

    def note(self, what: str, **more: Any) -> None:
        """To the history."""
        line = {"at": round(time.time(), 3), "what": what} | more
        with (self.path / "history.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    # What was fed

    def will_feed(self, batch: int, records: Iterable[Told]) -> None:
        """Before they are fed."""
        with (self.path / "fed.jsonl").open("a") as file:
            for record in records:
                is_event = isinstance(record, Disposition)
                fields = disposition_fields(record) if isinstance(record, Disposition) else filing_fields(record)
                file.write(json.dumps({"batch": batch, "event": is_event, "fields": fields}) + "\n")

    def fed(self, batch: int | None = None) -> Iterator[Told]:
        """All of it, or one batch."""
        file = self.path / "fed.jsonl"
        if not file.exists():
            return
        for line in file.read_text().splitlines():
            one = json.loads(line)
            if batch is None or one["batch"] == batch:
                yield disposition_of(one["fields"]) if one["event"] else filing_of(one["fields"])

    # What was read

    def keep(self, name: str, value: Any) -> None:
        new = self.path / f"{name}.new"
        new.write_bytes(pickle.dumps(value))
        new.rename(self.path / f"{name}.pickle")

    def kept(self, name: str) -> Any:
        return pickle.loads((self.path / f"{name}.pickle").read_bytes())

    def deleted(self) -> list[Deleted]:
        """In the order in which they were deleted."""
        return [self.kept(file.stem) for file in sorted(self.path.glob("deleted-*.pickle"))]

    def end_processes(self, but: Collection[int] = ()) -> int:
        """Kill what a run left behind, but for some processes. Returns the number killed."""
        wanted, spared = f"{MARK}={self.path}".encode(), (os.getpid(), *but)
        ended = 0
        for folder in Path("/proc").iterdir():
            try:
                if int(folder.name) not in spared and wanted in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)
                    ended += 1
            except (ValueError, OSError):
                continue
        return ended
