"""`/metrics`, `/live` and `/ready` of a running part. No secrets and no identifiers of cargo are in any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Healthy(Protocol):
    """What is asked how it is; each answers with the reasons against it."""

    def hanging(self) -> list[str]: ...

    def unready(self) -> list[str]: ...


def status_app(figures: CollectorRegistry, health: Healthy) -> Starlette:
    async def metrics(_: Request) -> Response:
        return Response(generate_latest(figures), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/live", _probe("live", health.hanging)),
            Route("/ready", _probe("ready", health.unready)),
        ]
    )


def _probe(name: str, reasons_of: Callable[[], Sequence[str]]) -> Callable[[Request], object]:
    """200 where there is no reason against it, else 503 with the reasons."""

    async def answer(_: Request) -> Response:
        reasons = list(reasons_of())
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return JSONResponse({name: not reasons, "reasons": reasons}, status)

    return answer
