"""Runs several worker processes for `run --workers N`: replaces those that die, and stops all of them together.

The log (Kafka's group) assigns tasks to workers. A worker's slot gives it a name of its own, which its replacement
inherits.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from router.clock import growing_pauses

SLOT: Final = "SNP_WORKER_SLOT"
"""Environment variable that holds a worker's slot, 0 to N-1."""

HOPELESS: Final = frozenset({2, 4})
"""Exit codes that a replacement would repeat: wrong usage or settings, a fatal error of the log."""

DRAIN_SECONDS = 20.0
"""Time for workers to commit and leave before they are killed. A kill loses and duplicates nothing, but others take the
worker's tasks over only after the session's time-out."""
PAUSES = 0.5, 30.0
"""The first and the longest pause before a worker that died at once is replaced, in seconds."""
STEADY_SECONDS = 60.0
"""After a life this long the pauses begin anew: the death has a new cause."""

_log = structlog.get_logger(__name__)


class Supervisor:
    """Keeps `workers` processes of `command` alive, until it is cancelled or one ends with a hopeless exit code."""

    def __init__(self, command: Sequence[str], workers: int, environment: Mapping[str, str] = os.environ) -> None:
        self._command = tuple(command)
        self._workers = workers
        self._environment = dict(environment)
        self._processes: dict[int, asyncio.subprocess.Process] = {}

    async def run(self) -> int:
        """Returns the first hopeless exit code, or 0 if all workers ended by themselves. Drains all workers first, also
        when cancelled."""
        slots = [asyncio.create_task(self._keep(slot), name=f"slot {slot}") for slot in range(self._workers)]
        try:
            pending: set[asyncio.Task[int]] = set(slots)
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if code := max(task.result() for task in done):
                    return code
            return 0
        finally:
            await self._drain(slots)

    async def _keep(self, slot: int) -> int:
        """Start the slot's worker again and again. Returns an exit code after which it is not replaced."""
        pauses = growing_pauses(*PAUSES)
        while True:
            started = time.monotonic()
            code = await self._run_once(slot)
            if code == 0 or code in HOPELESS:
                return code
            if time.monotonic() - started >= STEADY_SECONDS:
                pauses = growing_pauses(*PAUSES)
            pause = next(pauses)
            _log.warning("worker_died", slot=slot, exit_code=code, again_in_seconds=pause)
            await asyncio.sleep(pause)

    async def _run_once(self, slot: int) -> int:
        environment = self._environment | {SLOT: str(slot)}
        # A session of its own: Ctrl-C at the terminal reaches the supervisor alone, which drains its workers once.
        process = await asyncio.create_subprocess_exec(*self._command, env=environment, start_new_session=True)
        self._processes[slot] = process
        _log.info("worker_started", slot=slot, process=process.pid)
        return await process.wait()

    async def _drain(self, slots: Sequence[asyncio.Task[int]]) -> None:
        for slot in slots:
            slot.cancel()
        await asyncio.wait(slots)
        living = [process for process in self._processes.values() if process.returncode is None]
        for process in living:
            process.send_signal(signal.SIGTERM)
        if not living:
            return
        waits = [asyncio.create_task(process.wait()) for process in living]
        _, late = await asyncio.shield(asyncio.wait(waits, timeout=DRAIN_SECONDS))
        for process, wait in zip(living, waits, strict=True):
            if wait in late:
                _log.warning("worker_killed", process=process.pid, after_seconds=DRAIN_SECONDS)
                process.kill()
                await wait
