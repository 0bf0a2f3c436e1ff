"""`run --workers N`: several worker processes under one supervisor. One that dies is replaced; a stop drains them all.

Which worker has which task is the log's to say (Kafka's group). A worker's slot gives it a name that is its own and
stays the same when it is replaced.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from router.clock import growing_pauses

SLOT: Final = "SNP_WORKER_SLOT"
"""Environment variable that tells a worker its slot, 0 to N-1."""

HOPELESS: Final = frozenset({2, 4})
"""Exit codes of the command that a new process would only repeat: wrong usage or settings, a fatal log."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    drain_seconds: float = 20.0
    """What workers have to commit what they are at and leave, before they are killed. Nothing is lost or repeated
    either way: a kill costs others the time until it is noticed."""
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 30.0
    """Between two starts of a slot whose workers die at once."""
    steady_seconds: float = 60.0
    """A worker that lived so long died of something new: its slot starts again without a pause."""


class Supervisor:
    """Keeps `workers` processes of `command` alive until it is cancelled or one says that going on is hopeless."""

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        environment: Mapping[str, str] | None = None,
        settings: SupervisorSettings | None = None,
    ) -> None:
        self._command = tuple(command)
        self._workers = workers
        self._environment = dict(os.environ if environment is None else environment)
        self._settings = settings or SupervisorSettings()
        self._processes: dict[int, asyncio.subprocess.Process] = {}

    async def run(self) -> int:
        """The exit code of the first worker that ended for good: 0 if all did as asked. On cancellation all workers are
        drained, within a bound, before it is passed on."""
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
        """Start the slot's worker, again and again; ends with the exit code of one that ended for good."""
        pauses = self._pauses()
        while True:
            started = time.monotonic()
            code = await self._one_life(slot)
            if code == 0 or code in HOPELESS:
                return code
            if time.monotonic() - started >= self._settings.steady_seconds:
                pauses = self._pauses()
            pause = next(pauses)
            _log.warning("worker_died", slot=slot, exit_code=code, again_in_seconds=pause)
            await asyncio.sleep(pause)

    def _pauses(self) -> Iterator[float]:
        return growing_pauses(self._settings.first_pause_seconds, self._settings.longest_pause_seconds)

    async def _one_life(self, slot: int) -> int:
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
        _, late = await asyncio.shield(asyncio.wait(waits, timeout=self._settings.drain_seconds))
        for process, wait in zip(living, waits, strict=True):
            if wait in late:
                _log.warning("worker_killed", process=process.pid, after_seconds=self._settings.drain_seconds)
                process.kill()
                await wait
