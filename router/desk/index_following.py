"""Bringing the desk's index up to the log's end, for the console and for commands, with progress."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from router.decide.rules import Rules, UnknownRules
from router.desk.bill_index import FOLLOWED, BillIndex
from router.engine.administration import read_rules
from router.log.interface import Log, Place, Record

BATCH: Final = 2000
"""Records indexed in one transaction; readers of the index wait for no more."""

SURE_SECONDS: Final = 2.0
"""Time after which the rate of a build says how long it will take."""


@dataclass
class IndexProgress:
    """Progress of the index towards the log's end as it was at the start."""

    begin: dict[Place, int]
    """The offset from which each partition is read."""
    ends: dict[Place, int]
    is_anew: bool = False
    """True if an index that was built from another log was thrown away."""
    started: float = field(default_factory=time.monotonic)
    positions: dict[Place, int] = field(init=False)
    """The next offset to read of each partition."""

    def __post_init__(self) -> None:
        self.positions = dict(self.begin)

    def advance(self, records: Iterable[Record]) -> None:
        """Count records that were indexed."""
        for record in records:
            self.positions[record.topic, record.partition] = record.offset + 1

    @property
    def total(self) -> int:
        """Records to be read."""
        return sum(max(0, end - self.begin.get(place, 0)) for place, end in self.ends.items())

    @property
    def done(self) -> int:
        """Records of them that were read."""
        return sum(
            max(0, min(end, self.positions.get(place, 0)) - self.begin.get(place, 0))
            for place, end in self.ends.items()
        )

    def sentence(self) -> str:
        """`43 % of 280,000 records are in it; about 2 minutes to go`."""
        done, total = self.done, self.total
        share = f"{100 * done // max(1, total)} % of {total:,} records are in it"
        passed = time.monotonic() - self.started
        if not done or passed < SURE_SECONDS:
            return share
        left = passed * (total - done) / done
        text = f"{left:.0f} seconds" if left < 100 else f"{left / 60:.0f} minutes"
        return f"{share}; about {text} to go"


async def begin_following(log: Log, index: BillIndex) -> IndexProgress:
    """Mend the index, and begin it anew if it was built from another log. Returns where it stands."""
    await index.mend()
    positions = await index.positions()
    ends = {(topic, partition): end for topic in FOLLOWED for partition, end in (await log.end_offsets(topic)).items()}
    is_of_another = any(offset > ends.get(place, 0) for place, offset in positions.items())
    if is_of_another:
        await index.rebuild()
    return IndexProgress({} if is_of_another else positions, ends, is_of_another)


@asynccontextmanager
async def current_index(
    path: Path, log: Log, rules: Rules, on_progress: Callable[[IndexProgress], None]
) -> AsyncIterator[BillIndex]:
    """The index as of now. What it lacks is read first; `on_progress` is called at the start and after each batch.

    A console may keep the same file meanwhile. Raises UsageError, LogError.
    """
    index = BillIndex(path)
    await index.open()
    try:
        progress = await begin_following(log, index)
        on_progress(progress)
        async for batch in log.read(FOLLOWED, begin=progress.begin, until_end=True):
            for start in range(0, len(batch), BATCH):
                records = batch[start : start + BATCH]
                try:
                    await index.write_records(records, rules)
                except UnknownRules:
                    rules = await read_rules(log, rules)
                    await index.write_records(records, rules)
                progress.advance(records)
                on_progress(progress)
        yield index
    finally:
        await index.close()
