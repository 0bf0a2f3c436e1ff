"""Runs several worker processes for `run --workers N`: replaces those that die, and stops all of them together.

The log (Kafka's group) assigns tasks to workers. A worker's slot gives it a name of its own, which its replacement
inherits. Supervisors of one log on one machine have different slots, or their workers would drive each other out.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from typing import Final

import structlog

from router.clock import growing_pauses
from router.log.processes import end_with_parent

SLOT: Final = "SNP_WORKER_SLOT"
"""Environment variable that holds a worker's slot: 0 to N-1, or higher where another supervisor has some of these."""

SUPERVISOR_PROCESS: Final = "SNP_WORKER_SUPERVISOR"
"""Environment variable that holds the process number of a worker's supervisor."""

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

    def __init__(
        self, command: Sequence[str], workers: int, log: str, environment: Mapping[str, str] = os.environ
    ) -> None:
        """`log` is the URL of the log that the workers share."""
        self._command = tuple(command)
        self._log = log
        self._workers = workers
        self._environment = dict(environment)
        self._processes: dict[int, asyncio.subprocess.Process] = {}

    async def run(self) -> int:
        """Returns the first hopeless exit code, or 0 if all workers ended by themselves. Drains all workers first, also
        when cancelled."""
        with claimed_slots(self._log, self._workers) as slots:
            return await self._run_in(slots)

    async def _run_in(self, claimed: Sequence[int]) -> int:
        slots = [asyncio.create_task(self._keep(slot), name=f"slot {slot}") for slot in claimed]
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
        environment = self._environment | {SLOT: str(slot), SUPERVISOR_PROCESS: str(os.getpid())}
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


def leave_with_supervisor() -> None:
    """Stop this worker as SIGTERM does when its supervisor is gone: nobody would replace it, stop it or know of it."""
    if SUPERVISOR_PROCESS not in os.environ:
        return
    end_with_parent(signal.SIGTERM)
    if os.getppid() != int(os.environ[SUPERVISOR_PROCESS]):
        signal.raise_signal(signal.SIGTERM)


@contextmanager
def claimed_slots(log: str, workers: int) -> Iterator[list[int]]:
    """The lowest slots that no other supervisor of that log has on this machine, claimed until the block ends.

    A claim is an abstract socket (unix(7)): the kernel ends it with its process, and there is no file to be left
    behind or hidden by a service's private /tmp. Other systems than Linux have none: one supervisor a machine.
    """
    if sys.platform != "linux":
        yield list(range(workers))
        return
    name = sha256(log.encode()).hexdigest()[:16]
    claims: dict[int, socket.socket] = {}
    try:
        for slot in count():
            if len(claims) == workers:
                break
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0snp-router-{name}-{slot}")
                claims[slot] = claim
            except OSError as error:
                claim.close()
                if error.errno != errno.EADDRINUSE:
                    raise
        yield list(claims)
    finally:
        for claim in claims.values():
            claim.close()
