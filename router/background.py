"""Background parts: coroutines that run beside the main flow of a process, which awaits none of their results.

A part that fails is logged with its reason, makes `/ready` false until it has run well again for `STEADY_SECONDS`, and
is restarted after a pause that grows. A part without which the process is of no use raises into its owner instead: it
runs in a TaskGroup, or its owner awaits it. `tests/test_background.py` lists every task of those kinds. A step that is
repeated until it succeeds makes `/ready` false meanwhile, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import structlog
from prometheus_client import Counter
from prometheus_client.registry import CollectorRegistry

from router.clock import growing_pauses
from router.errors import RouterError

PAUSES = 0.5, 30.0
"""The first and the longest pause before a failed part is restarted, in seconds."""
STEADY_SECONDS = 10.0
"""After a run this long a restarted part counts as well, and its pauses begin anew."""

FIGURES: Final = CollectorRegistry()
"""Shown by every process that serves `/metrics`."""
_FAILURES: Final = Counter(
    "snp_background_failures", "Failures of parts that run in the background; each is restarted.", ["part"],
    registry=FIGURES,
)  # fmt: skip

_failed: Final[dict[BackgroundPart, None]] = {}
"""Failed parts of this process, the longest failed first."""

_held_up: Final[dict[object, str]] = {}
"""Reasons why steps that are repeated until they succeed did not, each under a key of its own."""

_log = structlog.get_logger(__name__)


def failed_parts() -> list[str]:
    """Reasons why background parts of this process do not work, or have not long enough since, and those of steps that
    are held up."""
    failed = [part.reason for part in list(_failed) if not part.is_well()]
    return [*failed, *dict.fromkeys(_held_up.values())]


@contextmanager
def held_up_steps() -> Iterator[Callable[[str | None], None]]:
    """A function that notes why a step could not be done yet; None, and the end of the block, forget the reason."""
    key = object()

    def held_up(reason: str | None) -> None:
        _held_up.pop(key, None)
        if reason is not None:
            _held_up[key] = reason

    try:
        yield held_up
    finally:
        held_up(None)


class BackgroundPart:
    """One part, while its owner needs it. `reason` names it and its latest failure."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """`name` is stable and holds no identifier: it labels a metric."""
        self.name = name
        self.reason = ""
        self._work = work
        self._runs_since: float | None = None
        """By `time.monotonic`; None during a pause."""
        _FAILURES.labels(name)  # `rate` can't see the first increase of a series that begins with it

    def is_well(self) -> bool:
        return self._runs_since is not None and time.monotonic() - self._runs_since >= STEADY_SECONDS

    async def keep(self) -> None:
        """Run the part, and again after each failure, until it returns or is cancelled."""
        pauses = growing_pauses(*PAUSES)
        try:
            while True:
                self._runs_since = time.monotonic()
                try:
                    return await self._work()
                except Exception as error:  # noqa: BLE001 - whatever it is, the part must not die of it unseen
                    if self.is_well():
                        pauses = growing_pauses(*PAUSES)
                    pause = next(pauses)
                    self._fail(error, pause)
                await asyncio.sleep(pause)
        finally:
            _failed.pop(self, None)

    def _fail(self, error: Exception, pause: float) -> None:
        self._runs_since = None
        cause = str(error) if isinstance(error, RouterError) else f"{type(error).__name__}: {error}"
        self.reason = f"{self.name} failed: {cause}"
        _failed[self] = None
        _FAILURES.labels(self.name).inc()
        # The traceback of an error of ours tells nothing that its text does not.
        traceback = None if isinstance(error, RouterError) else error
        _log.error("background_failed", part=self.name, reason=cause, again_in_seconds=pause, exc_info=traceback)


def start_background(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Keep a background part running until the task returned is cancelled."""
    return asyncio.create_task(BackgroundPart(name, work).keep(), name=name)


@asynccontextmanager
async def background(name: str, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Keep a background part running while the block runs. Its cancellation is awaited."""
    keeping = start_background(name, work)
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
