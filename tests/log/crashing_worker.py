"""A small router to kill or freeze: `python crashing_worker.py URL [LEASE_SECONDS]`. Prints `at work` once restored."""

from __future__ import annotations

import asyncio
import sys

from router import topics
from router.log.interface import Log, Output, Task
from router.log.url import open_log

APPENDED, COMMITTED = 7, 5
POSITION = topics.POSITION_KEY + b"0"
PARTY = "snp.party.AAAA"


async def position_of(task: Task) -> int:
    state = {record.key: record.value async for batch in task.restore([topics.BILLS]) for record in batch}
    return int(state.get(POSITION) or 0)


async def commit_next(task: Task, count: int) -> None:
    notices = [Output(PARTY, b"k", b"%d" % (count * COMMITTED + number)) for number in range(COMMITTED)]
    await task.commit([*notices, Output(topics.BILLS, POSITION, b"%d" % (count + 1))])


async def commit_for_ever(task: Task) -> None:
    count = await position_of(task)
    sys.stdout.write("at work\n")
    sys.stdout.flush()
    while True:
        await commit_next(task, count)
        count += 1


async def append_for_ever(log: Log) -> None:
    while True:
        await log.append([Output(topics.TIMELINE, b"k", b"v")] * APPENDED)


async def main(url: str, lease_seconds: str = "10") -> None:
    async with open_log(url, {"lease_seconds": float(lease_seconds)}) as log:
        await asyncio.gather(log.work([topics.DISPOSITIONS], commit_for_ever), append_for_ever(log))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
