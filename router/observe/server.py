"""`/metrics`, `/live` and `/ready` of a running router. No secrets and no identifiers of cargo are in any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from router.observe.health import Health
from router.observe.metrics import Metrics


def status_app(metrics: Metrics, health: Health) -> Starlette:
    async def figures(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/metrics", figures),
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
