"""Router processes to be killed, frozen, added and sent away."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

ROUTER = (sys.executable, str(Path(__file__).with_name("quick_router.py")))

QUICK = {
    "SNP_KAFKA__REPLICATION_FACTOR": "1",
    "SNP_KAFKA__SESSION_TIMEOUT_MS": "1500",
    "SNP_KAFKA__COMMIT_DEADLINE_SECONDS": "4",
    "SNP_KAFKA__START_DEADLINE_SECONDS": "10",
}
"""Quick to notice what is dead."""


class Workers:
    """Processes of one command: routers unless other `words` are given."""

    def __init__(
        self, url: str, folder: Path, command: tuple[str, ...] = ROUTER, words: tuple[str, ...] = ("run",)
    ) -> None:
        self._command = (*command, "--log", url, *words)
        self._name = words[0]
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._frozen: subprocess.Popen[bytes] | None = None
        self._started = 0

    def start(self, count: int = 1) -> None:
        for _ in range(count):
            self._started += 1
            log = (self._folder / f"{self._name}-{self._started}.log").open("wb")
            environment = os.environ | QUICK
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
        for _ in range(200):
            if victim.poll() is not None:
                break
            await asyncio.sleep(0.05)
        late = victim.poll() is None
        victim.kill()
        victim.wait()
        if not self._processes:
            self.start()
        return f"sent worker {victim.pid} away{', which did not leave in 10 s' if late else ''}"

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
