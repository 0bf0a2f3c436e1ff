"""The status of a running part, for probes and Prometheus: its health, its figures, and whether the log answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from prometheus_client.registry import CollectorRegistry

from router import background, topics
from router.background import failed_parts
from router.clock import now_milliseconds
from router.errors import LogError, TaskRetry
from router.log.interface import Log

if TYPE_CHECKING:
    from starlette.applications import Starlette

PROBE_SECONDS = 10.0
"""Between two looks whether the log answers."""
PROBE_DEADLINE_SECONDS = 10.0
NOT_ASKED: Final = "the log was not asked yet"

_log = structlog.get_logger(__name__)


class CutOff(NamedTuple):
    """A source that does not answer. What it says now is unknown."""

    since: int
    """When it last answered, or when it was first asked. UTC milliseconds."""
    reason: str


class LogProbe:
    """Looks from time to time whether the log answers. A part that has nothing to read or write would not notice."""

    def __init__(self, log: Log, names: Sequence[str] = (topics.REGISTRY,)) -> None:
        """Every partition of the topics `names` has to answer."""
        self._log, self._names = log, names
        self._answered_at = now_milliseconds()
        self.cut_off: CutOff | None = CutOff(self._answered_at, NOT_ASKED)
        self.partitions: dict[str, int] = {}
        """By topic, as of the last answer."""

    async def keep_looking(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PROBE_SECONDS)

    async def look(self) -> None:
        """Set `cut_off`."""
        now = now_milliseconds()
        try:
            async with asyncio.timeout(PROBE_DEADLINE_SECONDS):
                found = {name: len(await self._log.end_offsets(name)) for name in self._names}
            if missing := [name for name in self._names if not found[name]]:
                raise TaskRetry(f"{self._log.url} shows us no topic {', '.join(missing)}")
        except TimeoutError:
            self.fails(f"{self._log.url} did not answer within {PROBE_DEADLINE_SECONDS:.0f} s")
        except LogError as error:
            self.fails(str(error))
        else:
            self._answered_at, self.cut_off, self.partitions = now, None, found

    def fails(self, reason: str) -> None:
        """Note that the log failed, until the next look finds that it answers."""
        self.cut_off = CutOff(self._answered_at, reason)

    def answers(self) -> None:
        """Note that the log did what it was asked for."""
        self._answered_at, self.cut_off = now_milliseconds(), None

    def hanging(self) -> list[str]:
        """Empty: each step has a deadline and is repeated, so a restart would not help."""
        return []

    def unready(self) -> list[str]:
        return [] if self.cut_off is None else [self.cut_off.reason]


class HealthSource(Protocol):
    """A part whose health can be asked for; each method returns the reasons against it."""

    def hanging(self) -> list[str]: ...

    def unready(self) -> list[str]: ...


def ready_figure(unready: Callable[[], list[str]]) -> CollectorRegistry:
    """The gauge `snp_ready`."""
    registry = CollectorRegistry()
    Gauge("snp_ready", "1 if `/ready` says so, else 0.", registry=registry).set_function(lambda: not unready())
    return registry


def status_app(figures: CollectorRegistry, health: HealthSource) -> Starlette:
    """`/metrics`, `/live` and `/ready` of a running part. The probes answer 503 with their reasons."""
    from starlette.requests import Request  # here: no other command needs it, and each would load it
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from router.http import web_application

    def unready() -> list[str]:
        return [*health.unready(), *failed_parts()]

    ready = ready_figure(unready)

    async def metrics(_: Request) -> Response:
        shown = b"".join(generate_latest(one) for one in (figures, background.FIGURES, ready))
        return Response(shown, media_type=CONTENT_TYPE_LATEST)

    def probe(name: str, reasons_against: Callable[[], list[str]]) -> Route:
        async def answer(_: Request) -> Response:
            reasons = reasons_against()
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            return JSONResponse({name: not reasons, "reasons": reasons}, status)

        return Route(f"/{name}", answer)

    probes = [probe("live", health.hanging), probe("ready", unready)]
    return web_application(routes=[Route("/metrics", metrics), *probes])


@asynccontextmanager
async def status_served(figures: CollectorRegistry, health: HealthSource, listen: str | None) -> AsyncIterator[None]:
    """Serve `status_app` at `listen` while the block runs. Raises as `serving`. None: nothing is served."""
    if listen is None:
        yield
        return
    from router.http import serving

    async with serving(status_app(figures, health), listen) as address:
        _log.info("status_served", address=address)
        yield
