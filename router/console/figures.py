"""The desk's figures for Prometheus: what nobody has read, what waits, what could not be read, who is silent."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Gauge

OUTAGE_KINDS: Final = ("DECLARED", "SILENT")


class DeskFigures:
    """Set anew by the console every now and then. No figure names a bill."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.waiting = self._gauge("snp_waiting_bills", "Bills of which somebody could not be told.", "do_not_load")
        self.letters = self._gauge("snp_dead_letters_waiting", "Dead letters that wait to be settled.")
        self.outages = self._gauge("snp_open_outages", "Outages that are on.", "kind")
        self.silence = self._gauge("snp_feed_silence_seconds", "Since a feed was last heard.", "feed", "port")
        self.unread = self._gauge("snp_unread_do_not_loads", "Do-not-loads that a party has not read.", "party")
        self.unread_age = self._gauge(
            "snp_unread_do_not_load_age_seconds", "How long a party has left its oldest do-not-load unread.", "party"
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
