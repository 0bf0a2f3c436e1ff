"""The walk through every figure and every alert: what each says while the truth is unknown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric

from tests.deploy.figures import RULES, every_registry

ALWAYS_KNOWN = {
    "snp_seconds_since_commit": "time since this process's last commit, or its start",
    "snp_listener_bodies": "requests under way in this process",
}
"""Gauges of which the process itself is the source."""
FLAGS = {"snp_task_lag_unknown", "snp_unread_unknown", "snp_console_unknown", "snp_feed_folder_unknown"}
"""1 while other figures are unknown."""
READY = "snp_ready"

ALERTS: dict[str, tuple[str, str]] = {
    "SnpRouterDown": ("deploy/test_played_alerts", "SnpNoRouter"),
    "SnpNoRouter": ("deploy/test_played_alerts", ""),
    "SnpNothingCommitted": ("kafka/test_alerts", "SnpNoRouter"),
    "SnpTaskFails": ("kafka/test_alerts", "SnpRouterDown"),
    "SnpUrgentNotRouted": ("deploy/test_deploy", "SnpLagUnknown"),
    "SnpBehind": ("deploy/test_deploy", "SnpLagUnknown"),
    "SnpSlow": ("deploy/test_deploy", "SnpNothingCommitted"),
    "SnpTransactionsFail": ("deploy/test_deploy", "SnpRouterDown"),
    "SnpDestinationMissing": ("kafka/test_alerts", "SnpRouterDown"),
    "SnpTaskStopped": ("kafka/test_lost_input", "SnpPartitionNotRouted"),
    "SnpRequestsNotRead": ("deploy/test_deploy", "SnpTaskFails"),
    "SnpRequestsDropped": ("deploy/test_deploy", "SnpRequestsNotRead"),
    "SnpTaskRestoresLong": ("deploy/test_deploy", "SnpRouterDown"),
    "SnpLagUnknown": ("kafka/test_alerts", "SnpRouterDown"),
    "SnpClocksDiffer": ("engine/test_arrivals", "SnpTaskFails"),
    "SnpPartFailed": ("deploy/test_deploy", "SnpNotReady"),
    "SnpNotReady": ("deploy/test_played_alerts", "SnpRouterDown"),
    "SnpFeedDown": ("deploy/test_played_alerts", ""),
    "SnpFeedFilesWait": ("deploy/test_played_alerts", "SnpFeedFolderUnknown"),
    "SnpFeedFolderUnknown": ("deploy/test_played_alerts", "SnpFeedDown"),
    "SnpWebhooksDown": ("deploy/test_played_alerts", ""),
    "SnpWebhookFails": ("deploy/test_deploy", "SnpWebhooksDown"),
    "SnpListenerDown": ("deploy/test_played_alerts", ""),
    "SnpListenerRefuses": ("deploy/test_played_alerts", "SnpListenerDown"),
    "SnpDoNotLoadUnread": ("deploy/test_deploy", "SnpReadingUnknown"),
    "SnpReadingUnknown": ("deploy/test_played_alerts", "SnpConsoleDown"),
    "SnpPartitionNotRouted": ("deploy/test_played_alerts", "SnpConsoleUnknown"),
    "SnpConsoleUnknown": ("deploy/test_played_alerts", "SnpConsoleDown"),
    "SnpDoNotLoadWaits": ("deploy/test_played_alerts", "SnpConsoleUnknown"),
    "SnpFeedSilent": ("deploy/test_deploy", "SnpConsoleUnknown"),
    "SnpDeadLetters": ("deploy/test_played_alerts", "SnpConsoleUnknown"),
    "SnpConsoleDown": ("deploy/test_played_alerts", ""),
}
"""By alert, the tests in which a real fault makes it fire (`deploy/test_deploy`: figures in `alerts.test.yml` alone),
and the alert that fires while its own figures are unknown. Without one, Prometheus itself is the source."""
BY_FIGURES = "deploy/test_deploy"


def gauges(*, is_known: bool) -> list[Metric]:
    registries = every_registry(is_known=is_known).values()
    return [family for one in registries for family in one.collect() if family.type == "gauge"]


def samples(family: Metric) -> list[float]:
    return [sample.value for sample in family.samples]


def rules() -> dict[str, Any]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_a_gauge_has_no_sample_while_it_is_unknown() -> None:
    """A new gauge fails here until it has an answer."""
    unknown = {family.name: samples(family) for family in gauges(is_known=False)}
    assert {name for name, values in unknown.items() if values} == FLAGS | ALWAYS_KNOWN.keys() | {READY}
    assert all(unknown[name] == [1] for name in FLAGS)
    assert unknown[READY] == [0]


def test_a_known_gauge_is_flagged_by_nothing() -> None:
    known = {family.name: samples(family) for family in gauges(is_known=True)}
    assert all(known[name] == [0] for name in FLAGS - {"snp_unread_unknown"})
    assert known[READY] == [1]
    assert {"snp_waiting_bills", "snp_task_lag_records", "snp_feed_files_waiting"} <= known.keys()


@pytest.mark.parametrize("flag", sorted({*FLAGS, READY}))
def test_an_alert_tells_that_figures_are_unknown(flag: str) -> None:
    assert [name for name, rule in rules().items() if flag in rule["expr"]]


def test_every_alert_was_walked_through() -> None:
    found = rules()
    assert found.keys() == ALERTS.keys()
    assert {companion for _, companion in ALERTS.values() if companion} <= found.keys()
    tests = Path(__file__).parents[1]
    for name, (place, _) in ALERTS.items():
        text = (RULES.parent / "alerts.test.yml" if place == BY_FIGURES else tests / f"{place}.py").read_text()
        assert re.search(rf"\b{name}\b", text), f"{name} is not in {place}"


def test_every_alert_ends_where_its_figures_are_known_by_another() -> None:
    """The chain of companions ends at what Prometheus itself sees."""
    for name in ALERTS:
        seen = {name}
        while companion := ALERTS[name][1]:
            assert companion not in seen
            seen.add(companion)
            name = companion
