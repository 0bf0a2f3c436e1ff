"""Routers as the processes that people run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Final, Self

from benchmarks.kafka.scene import Scene

PATIENCE_SECONDS: Final = 60.0


class RouterProcess:
    """`snp-router run`, opened by `async with`; default settings but for the number of replicas."""

    def __init__(self, scene: Scene, name: str, session_timeout_ms: int | None = None, replicas: int = 1) -> None:
        self._command = [sys.executable, "-m", "router.cli", "--log", scene.url, "run"]
        self._log = scene.folder / f"{name}.log"
        self._environment = os.environ | {"SNP_KAFKA__REPLICATION_FACTOR": str(replicas)}
        if session_timeout_ms:
            self._environment["SNP_KAFKA__SESSION_TIMEOUT_MS"] = str(session_timeout_ms)

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - takes no time
                self._command, stdout=log, stderr=log, env=self._environment
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for how in (signal.SIGCONT, signal.SIGTERM):
            self.send(how)
        try:
            await asyncio.to_thread(self._process.wait, PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def send(self, how: signal.Signals) -> None:
        self._process.send_signal(how)

    @property
    def tasks(self) -> set[int]:
        """Those that the group dealt to it last."""
        deals = [line["tasks"] for line in self._said("tasks_assigned")]
        return set(deals[-1]) if deals else set()

    async def assigned(self, count: int) -> None:
        """Until it has so many tasks and has restored them all."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while len(self.tasks) != count or not self.tasks <= self._restored():
            if time.monotonic() > ends or self._process.poll() is not None:
                raise SystemExit(f"a router did not get {count} tasks:\n{self._text()[-3000:]}")
            await asyncio.sleep(0.05)

    def _restored(self) -> set[int]:
        return {line["task"] for line in self._said("task_restored")}

    def _said(self, event: str) -> list[dict[str, Any]]:
        """Its log's lines about something."""
        lines = [line for line in self._text().splitlines() if f'"event": "{event}"' in line and line.endswith("}")]
        return [json.loads(line) for line in lines]

    def _text(self) -> str:
        return self._log.read_text(errors="replace")
