"""Router processes to be killed, frozen, added and sent away."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROUTER = (sys.executable, str(Path(__file__).with_name("quick_router.py")))

QUICK = {
    "SNP_KAFKA__REPLICATION_FACTOR": "1",
    "SNP_KAFKA__SESSION_TIMEOUT_MS": "1500",
    "SNP_KAFKA__COMMIT_DEADLINE_SECONDS": "4",
    "SNP_KAFKA__START_DEADLINE_SECONDS": "10",
}
"""Quick to notice what is dead."""

ASSIGNED_SECONDS = 60.0
NEVER_LOGGED = ("Traceback", "was never retrieved", "was destroyed but it is pending", "was never awaited")
LONGEST_SHOWN = 1000


def errors_in(folder: Path, names: str = "*") -> list[str]:
    """Lines of the processes' logs in a folder that no fault excuses: errors that nobody expected or took."""
    return [
        f"{file.name}, line {number}: {line[:LONGEST_SHOWN]}"
        for file in sorted(folder.glob(f"{names}.log"))
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if any(one in line for one in NEVER_LOGGED)
    ]


class Workers:
    """Processes of one command: routers unless other `words` are given."""

    def __init__(
        self,
        url: str,
        folder: Path,
        command: tuple[str, ...] = ROUTER,
        words: tuple[str, ...] = ("run",),
        settings: Mapping[str, str] = QUICK,
        name: str = "",
    ) -> None:
        """`name` is that of their logs; the first word unless given."""
        self._settings = settings
        self._command = (*command, "--log", url, *words)
        self._name = name or words[0]
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._frozen: subprocess.Popen[bytes] | None = None
        self._started = 0

    def start(self, count: int = 1) -> None:
        for _ in range(count):
            self._started += 1
            log = (self._folder / f"{self._name}-{self._started}.log").open("ab")
            environment = os.environ | self._settings
            self._processes.append(subprocess.Popen(self._command, stderr=log, stdout=log, env=environment))
            log.close()

    async def kill(self, chance: random.Random) -> str:
        """SIGKILL one, and start another in its place."""
        victim = self._processes.pop(chance.randrange(len(self._processes)))
        self._thaw_if(victim)
        victim.kill()
        victim.wait()
        self.start()
        return f"killed {self._name} {victim.pid}, started {self._processes[-1].pid}"

    async def freeze(self, chance: random.Random) -> str:
        """SIGSTOP one for longer than the group waits, so that it wakes up as a zombie, or for shorter."""
        return await self._freeze(chance.choice(self._processes), chance.choice((0.5, 3.0, 7.0)))

    async def make_zombie(self, chance: random.Random) -> str:
        """SIGSTOP one until its tasks have just moved."""
        return await self._freeze(chance.choice(self._processes), 3.0)

    async def _freeze(self, victim: subprocess.Popen[bytes], seconds: float) -> str:
        victim.send_signal(signal.SIGSTOP)
        self._frozen = victim
        await asyncio.sleep(seconds)
        self._thaw_if(victim)
        return f"froze worker {victim.pid} for {seconds} s"

    async def add(self, chance: random.Random) -> str:
        if len(self._processes) >= 3:
            return await self.send_away(chance)
        self.start()
        return f"added worker {self._processes[-1].pid}"

    async def send_away(self, chance: random.Random) -> str:
        """SIGTERM: it drains and leaves."""
        victim = self._processes.pop(chance.randrange(len(self._processes)))
        victim.terminate()
        left = await self._left(victim)
        if not self._processes:
            self.start()
        return f"sent worker {victim.pid} away{'' if left else ', which did not leave in 10 s'}"

    async def restart_each(self, chance: random.Random) -> str:
        """SIGTERM one after another, each replaced before the next: a new version is rolled out."""
        for victim in list(self._processes):
            self._processes.remove(victim)
            victim.terminate()
            self.start()
            if not await self._left(victim):
                return f"{self._name} {victim.pid} did not leave in 10 s"
            await asyncio.sleep(chance.uniform(1.0, 3.0))
        return f"restarted every {self._name}"

    async def start_and_wait(self, count: int = 1) -> None:
        """Start some, and wait until each has tasks."""
        first = self._started + 1
        self.start(count)
        async with asyncio.timeout(ASSIGNED_SECONDS):
            for number in range(first, self._started + 1):
                while "task_restored" not in (self._folder / f"{self._name}-{number}.log").read_text():
                    await asyncio.sleep(0.1)

    async def replace_oldest(self) -> None:
        """SIGTERM it, and start another, as a service manager does that asks `/ready` before it goes on."""
        victim = self._processes.pop(0)
        victim.terminate()
        assert await self._left(victim), f"{self._name} {victim.pid} did not leave in 10 s"
        await self.start_and_wait()

    async def leave(self) -> None:
        """SIGTERM all, and wait until they have left."""
        victims, self._processes = self._processes, []
        for victim in victims:
            victim.terminate()
        for victim in victims:
            assert await self._left(victim), f"{self._name} {victim.pid} did not leave in 10 s"

    async def _left(self, victim: subprocess.Popen[bytes]) -> bool:
        """Wait up to 10 s; then kill it."""
        for _ in range(200):
            if victim.poll() is not None:
                return True
            await asyncio.sleep(0.05)
        victim.kill()
        victim.wait()
        return False

    def replace_dead(self) -> None:
        """Start another for each that ended by itself, as a service manager does."""
        living = [process for process in self._processes if process.poll() is None]
        dead = len(self._processes) - len(living)
        self._processes = living
        self.start(dead)

    @property
    def errors(self) -> list[str]:
        """Lines of their logs that no fault excuses."""
        return errors_in(self._folder, f"{self._name}-*")

    @property
    def processes(self) -> list[int]:
        return [process.pid for process in self._processes]

    def stop(self) -> None:
        for process in self._processes:
            self._thaw_if(process)
            process.kill()
            process.wait()
        self._processes.clear()

    def _thaw_if(self, process: subprocess.Popen[bytes]) -> None:
        if self._frozen is process:
            process.send_signal(signal.SIGCONT)
            self._frozen = None


def children_of(process: int) -> list[int]:
    """Processes that a supervisor runs; none if it is gone."""
    try:
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []
