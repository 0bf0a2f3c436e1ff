"""Routers on a real broker as processes of their own, and what they say."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from router import topics
from router.engine.administration import prepare
from router.log.kafka import open_kafka_log
from tests.faults.workers import QUICK, ROUTER
from tests.kafka.fixtures import QUICK as SETTINGS
from tests.kafka.fixtures import wipe

PATIENCE_SECONDS = 40


class RouterProcess:
    """`run` with log lines on standard error and its summary as JSON on standard output."""

    def __init__(self, url: str, folder: Path, environment: Mapping[str, str], *words: str) -> None:
        self._said, self._summary = folder / "stderr", folder / "stdout"
        with self._said.open("wb") as said, self._summary.open("wb") as summary:
            self.process = subprocess.Popen(
                [*ROUTER, "--log", url, "run", "--format", "json", *words],
                env=os.environ | QUICK | environment,
                stdout=summary,
                stderr=said,
            )

    @property
    def text(self) -> str:
        return self._said.read_text()

    def messages(self) -> list[str]:
        """Lines for people, beside the log lines."""
        return [line for line in self.text.splitlines() if not line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.text.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if line["event"] == name]

    def restored(self) -> set[int]:
        """Tasks that were ours at some time."""
        return {line["task"] for line in self.events("task_restored")}

    def assigned(self) -> set[int]:
        """Tasks that the group gave us last."""
        assigned = self.events("tasks_assigned")
        return set(assigned[-1]["tasks"]) if assigned else set()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> None:
        if not self.ended():
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_SECONDS)

    def summary(self) -> dict[str, int]:
        """The summary of its run, once it has ended."""
        found: dict[str, int] = json.loads(self._summary.read_text())
        return found


Start = Callable[..., RouterProcess]


@contextmanager
def routers(bootstrap: str, folder: Path, partitions: int) -> Iterator[Start]:
    """Yield a function that starts a router on empty topics. All are stopped at the end."""
    asyncio.run(_prepare(bootstrap, partitions))
    numbers = count(1)
    with ExitStack() as stack:

        def start(*words: str, environment: Mapping[str, str] | None = None) -> RouterProcess:
            own = folder / f"router-{next(numbers)}"
            own.mkdir()
            router = RouterProcess(f"kafka://{bootstrap}", own, environment or {}, *words)
            stack.callback(router.stop)
            return router

        yield start


async def _prepare(bootstrap: str, partitions: int) -> None:
    await wipe(bootstrap)
    async with open_kafka_log(f"kafka://{bootstrap}", SETTINGS) as log:
        await log.create_topics(topics.topic_specs(partitions))
        await prepare(log, partitions)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
