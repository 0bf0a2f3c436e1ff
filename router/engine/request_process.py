"""The process that reads what parties wrote: a memory limit, little CPU, and an end with its parent."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from router.engine.party_requests import FoundRecord, ReadingDied, find_records
from router.errors import TaskRetry
from router.log.interface import Log
from router.log.processes import end_with_parent

MEMORY_BYTES: Final = 256 << 20
"""For data: three times what reading usual requests takes."""
SECONDS: Final = 60
"""Longest life."""
NICENESS: Final = 10
"""Routing comes first."""
READY: Final = "ready"
DONE: Final = "done"
LONGEST_FAULT: Final = 200


class RequestProcess:
    """Reads requests by running `command`, each time anew: nothing that a party wrote outlives a look."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    async def __call__(self, spans: Mapping[str, range]) -> list[FoundRecord]:
        """See `FindRecords`. Raises TaskRetry if the process died before it read anything."""
        process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        asked = json.dumps({topic: [span.start, span.stop] for topic, span in spans.items()})
        try:
            async with asyncio.timeout(SECONDS):
                output, _ = await process.communicate(asked.encode())
        except TimeoutError:
            raise ReadingDied(f"it took more than {SECONDS} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        lines = output.decode().splitlines()
        if lines[:1] != [READY]:
            raise TaskRetry(f"the process that reads requests did not start: exit code {process.returncode}")
        if lines[-1] != DONE or process.returncode != 0:
            raise ReadingDied(f"exit code {process.returncode}")
        return [FoundRecord(*json.loads(line)) for line in lines[1:-1]]


def confine() -> None:
    """Limit this process and let it end with its parent. The memory limit and the tie to the parent are Linux's; on
    other systems there is the longest life alone."""
    signal.alarm(SECONDS + 1)
    os.nice(NICENESS)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    end_with_parent(signal.SIGKILL)


async def answer(log: Log) -> None:
    """Read the spans that standard input names, and print what is found: JSON lines between READY and DONE."""
    asked = json.loads(sys.stdin.read())
    spans = {topic: range(start, stop) for topic, (start, stop) in asked.items()}
    _say(READY)
    try:
        found = await find_records(log, spans)
    except MemoryError:
        os._exit(1)  # whatever else would run now may lack memory too
    for one in found:
        fault = one.fault[:LONGEST_FAULT] if one.fault is not None else None
        _say(json.dumps(one._replace(fault=fault)))
    _say(DONE)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
