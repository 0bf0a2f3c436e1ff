"""Commits of unknown outcome, so that the figures of all routers together equal what is on the topics.

Each commit has a name of its own, in a header of the position that it writes: after a rebalance another router may
decide the same records, and write the same position. Where to go on, the restored position says; this is for the counts
alone.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from itertools import count
from typing import Final

import structlog

from router import topics
from router.errors import LogError
from router.log.interface import Log, Output, Record
from router.model.vocabulary import Tally

COMMIT_HEADER: Final = "commit"
LOOK_SECONDS = 5.0
"""Between two looks for commits of tasks that another router has now."""
LAST_LOOK_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class UncertainCommits:
    """The commits of one router whose outcome is unknown, by task. Each made one is counted once."""

    def __init__(self, log: Log, counted: Callable[[Tally], None]) -> None:
        """`counted` takes the tally of a commit that was made after all."""
        self._log = log
        self._counted = counted
        self._router = uuid.uuid4().hex.encode()
        self._numbers = count(1)
        self._commits: defaultdict[int, dict[bytes, Tally]] = defaultdict(dict)
        """By task and name."""
        self._read: dict[int, int] = {}
        """By task, the offset up to which its partition of `snp.bills` is known to hold none of these commits."""

    def named(self, outputs: list[Output]) -> list[Output]:
        """A transaction's outputs, of which the position comes last, with a new name on it."""
        header = COMMIT_HEADER, b"%b-%d" % (self._router, next(self._numbers))
        position = outputs[-1]
        return [*outputs[:-1], position._replace(headers=(*position.headers, header))]

    def add(self, task: int, outputs: Sequence[Output], tally: Tally) -> None:
        """Keep the tally of a named transaction, which may have been committed or not."""
        name = name_of(outputs[-1])
        if tally and name is not None:
            self._commits[task][name] = tally

    def read(self, task: int, records: Collection[Record]) -> bool:
        """Count those commits whose positions are among `records`, which follow what was read before. Returns whether
        another router's position is among them, too: it fenced us before, so that no commit of ours can follow."""
        key = topics.position_key(task)
        fenced = False
        for record in records:
            if record.key == key and record.topic == topics.BILLS:
                name = name_of(record) or b""
                if tally := self._commits[task].pop(name, None):
                    self._counted(tally)
                fenced = fenced or not name.startswith(self._router)
                self._read[task] = record.offset + 1
        return fenced

    def restored(self, task: int) -> None:
        """Forget the task's commits that were not read: they were not made."""
        self._commits[task] = {}

    async def keep_looking(self, is_open: Callable[[int], bool]) -> None:
        """Look for ever for commits of tasks that are no longer ours. Those that are open again have been restored."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look([task for task, waiting in self._commits.items() if waiting and not is_open(task)])
            except LogError as error:
                _log.warning("uncertain_commits_not_sought", reason=str(error))

    async def look_a_last_time(self) -> None:
        """Look once more before the process ends, for a second at most."""
        try:
            async with asyncio.timeout(LAST_LOOK_SECONDS):
                await self.look([task for task, waiting in self._commits.items() if waiting])
        except (LogError, TimeoutError) as error:
            _log.warning("uncertain_commits_not_sought", reason=str(error) or "no answer in time")

    async def look(self, tasks: Collection[int]) -> None:
        """Count those commits of `tasks` that were made. Raises LogError."""
        for task in tasks:
            sought = list(self._commits[task])
            begin = {(topics.BILLS, task): self._read.get(task, 0)}
            reading = self._log.read([topics.BILLS], until_end=True, key=topics.position_key(task), begin=begin)
            if any([self.read(task, batch) async for batch in reading]):
                for name in sought:
                    self._commits[task].pop(name, None)


def name_of(position: Output | Record) -> bytes | None:
    """The name of the commit that wrote this position, if it has one."""
    return dict(position.headers).get(COMMIT_HEADER)
