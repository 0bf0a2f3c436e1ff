"""The figures of every part that Prometheus looks at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from router import background
from router.clock import now_milliseconds
from router.console.backend import Commits, ConsoleFigures
from router.desk.receipts import WebhookState
from router.engine.folder_intake import FolderFigures
from router.listener.message_server import ListenerFigures
from router.model.registry_values import Party
from router.observe import Metrics
from router.status import ready_figure
from router.webhooks.delivery import DeliveryStatus


def every_registry(*, is_known: bool) -> dict[str, CollectorRegistry]:
    """By part, its figures: at work, or while it knows nothing yet."""
    metrics = Metrics()
    folder = SimpleNamespace(waiting=lambda _: [1.0] if is_known else None)
    party = Party("NVXA", status="live")
    backend: Any = SimpleNamespace(
        unknown=None if is_known else "the index is being built",
        commits=Commits(),
        registry=SimpleNamespace(parties={"NVXA": party}, feed_activity={}),
        unread=[],
        unread_unknown="the index is being built",
    )
    backend.commits.look([0], {}, now_milliseconds())
    console = ConsoleFigures(backend)
    console.refresh_unread()
    webhooks = DeliveryStatus(cast(Any, None))
    if is_known:
        metrics.restored(0, 1.0)
        metrics.bills(0, 1)
        metrics.lag(0, "cbp.urgent", 0)
        metrics.clock_difference(0, 0.0)
        metrics.stands_still(0, False)
        metrics.requests_failing(0.0)
        console.set_known()
        webhooks.trouble = None
        webhooks.deliveries = {"NVXA": cast(Any, SimpleNamespace(state=WebhookState("NVXA")))}
    return {
        "router": metrics.registry,
        "console": console.registry,
        "listener": ListenerFigures().registry,
        "feed": FolderFigures(cast(Any, folder)).registry,
        "webhooks": webhooks.registry,
        "any": ready_figure(list if is_known else lambda: ["the log does not answer"]),
        "background": background.FIGURES,
    }


RULES = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"
