"""Input that was deleted before it was read, and the judgement by which its task goes on.

A judgement is a record of `snp.registry`, for exactly the gap that the operator saw. The task that stands still for it
goes on; it need not run by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from router import topics
from router.desk.bill_views import NotFoundError
from router.engine.administration import AuditEntry, audit_output
from router.engine.backlog import read_position
from router.log.interface import Log
from router.model.eastern import is_within_years, iso
from router.model.registry_values import LostInput
from router.task.outputs import registry_output
from router.task.registry_duties import Position

SKIPPABLE: Final = (topics.URGENT, topics.INDEX, topics.LINKS, topics.FILINGS, topics.DISPOSITIONS)
"""Every input but the registry, which each task needs whole."""


class Gap(NamedTuple):
    """Records of an input that were deleted before its task read them."""

    topic: str
    task: int
    begin: int
    """First offset that was not read."""
    end: int
    """First offset that is left; below `begin` if the topic was deleted and made again."""
    since: int | None
    """Time of the last record that was read, UTC milliseconds. None: unknown."""
    until: int | None
    """Time of the first record left, UTC milliseconds. None: none is left, or none has a time."""


async def read_gaps(log: Log) -> list[Gap]:
    """All gaps, by input and task. A task's position tells what it has read, whether or not it runs."""
    return await gaps_of(
        log, {task: await read_position(log, task) for task in await log.end_offsets(topics.DISPOSITIONS)}
    )


async def gaps_of(log: Log, positions: Mapping[int, Position | None]) -> list[Gap]:
    """Gaps of the tasks at these positions, by input and task."""
    gaps = []
    for topic in SKIPPABLE:
        begins, ends = await log.begin_offsets(topic), await log.end_offsets(topic)
        for task, position in positions.items():
            offset = position.offsets.get(topic) if position is not None else None
            if position is not None and offset is not None and not begins[task] <= offset <= ends[task]:
                until = await _first_time(log, topic, task, begins[task])
                gaps.append(Gap(topic, task, offset, begins[task], position.read_at.get(topic), until))
    return gaps


async def _first_time(log: Log, topic: str, task: int, begin: int) -> int | None:
    """Time of the first record that is left, of those that have a time a clock may show."""
    first: int | None = None
    async for batch in log.read([topic], from_start=False, until_end=True, begin={(topic, task): begin}):
        for record in batch:
            if record.partition == task and first is None and is_within_years(record.timestamp):
                first = record.timestamp
    return first


async def accept(log: Log, topic: str, task: int, begin: int, end: int, *, by: str, reason: str, now: int) -> LostInput:
    """Let the task go on behind the gap. Raises NotFoundError if that gap is not there, or is another by now."""
    gaps = await read_gaps(log)
    found = next((one for one in gaps if (one.topic, one.task, one.begin, one.end) == (topic, task, begin, end)), None)
    if found is None:
        raise NotFoundError(
            f"nothing is missing of {topic}, task {task}, from offset {begin} up to {end}: see what is missing now in "
            "`snp-router lost-input list`"
        )
    until = found.until if found.until is not None and (found.since or 0) <= found.until <= now else now
    of_index = topic == topics.INDEX
    judged = LostInput(topic, task, begin, end, found.since, until, now, by, reason, of_index)
    since = iso(found.since) if found.since is not None else "an unknown time"
    detail = f"{reason} (offsets {begin} to {end}, from {since} to {iso(until)})"
    deed = AuditEntry(now, by, "lost-input accept", f"{topic} {task}", detail)
    await log.append([registry_output(judged), audit_output(deed)], atomic=True)
    return judged
