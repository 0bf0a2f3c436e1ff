"""The router, which stops itself (SIGSTOP) once when it commits its first notices: `python freezing_router.py WHEN …`.

WHEN is `within` the transaction, or `before` it.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
from collections.abc import Iterable, Sequence

from router import topics
from router.cli.main import main
from router.log.interface import Output
from router.log.sqlite import task
from router.log.sqlite.task import SqliteTask

write, commit = task.write, SqliteTask.commit
froze: list[int] = []


def freeze_once(outputs: Iterable[Output]) -> None:
    if not froze and any(output.topic.startswith(topics.PARTY_PREFIX) for output in outputs):
        froze.append(threading.get_ident())
        signal.pthread_kill(froze[0], signal.SIGSTOP)  # stops this thread here and now, and all others with it


def freezing_write(connection: sqlite3.Connection, outputs: Sequence[Output]) -> None:
    write(connection, outputs)
    freeze_once(outputs)


async def freezing_commit(self: SqliteTask, outputs: Sequence[Output]) -> None:
    await self._writer.run(lambda connection: freeze_once(outputs))  # in its thread: nothing else is written there
    await commit(self, outputs)


if __name__ == "__main__":
    if sys.argv.pop(1) == "within":
        task.write = freezing_write
    else:
        SqliteTask.commit = freezing_commit  # type: ignore[method-assign]
    main()
