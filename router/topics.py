"""The names of all topics, in one place, and how each is to be."""

from __future__ import annotations

from typing import NamedTuple

DISPOSITIONS = "cbp.dispositions"
URGENT = "cbp.urgent"
FILINGS = "cbp.filings"
REGISTRY = "snp.registry"
LINKS = "snp.links"
INDEX = "snp.index"
INDEX_STATE = "snp.index-state"
BILLS = "snp.bills"
TIMELINE = "snp.timeline"
DEAD_LETTERS = "snp.dead-letters"
WAITING = "snp.waiting"
FEED_STATUS = "snp.feed-status"
ALERTS = "snp.alerts"
AUDIT = "snp.audit"
WEBHOOKS = "snp.webhooks"
PARTY_PREFIX = "snp.party."
REQUEST_PREFIX = "snp.request."

INPUTS = (REGISTRY, URGENT, INDEX, LINKS, FILINGS, DISPOSITIONS)
"""What a task reads, in this order of what is waiting."""

FED = (URGENT, FILINGS, DISPOSITIONS)
"""Those that others write to."""

STATE = (BILLS, INDEX_STATE)
"""What a task restores."""

REQUEST_DAYS = 7
"""A party's own requests are of the day; what became of them stands in the registry."""

POSITION_KEY = b"\x00position:"
"""Begins the reserved keys of `snp.bills`, which hold the tasks' positions."""


def position_key(task: int) -> bytes:
    return POSITION_KEY + str(task).encode()


class TopicSpec(NamedTuple):
    """How a topic is to be."""

    name: str
    partitions: int
    compacted: bool = False
    retention_days: int | None = None
    """None: for ever (or, if compacted, as long as the key lives)."""


def topic_specs(partitions: int) -> list[TopicSpec]:
    """Every topic but the parties' own. All partitioned topics have the same number of partitions, for good."""
    many = [DISPOSITIONS, URGENT, FILINGS, LINKS, INDEX, TIMELINE]
    return [
        *(TopicSpec(name, partitions) for name in many),
        TopicSpec(BILLS, partitions, compacted=True),
        TopicSpec(INDEX_STATE, partitions, compacted=True),
        TopicSpec(WAITING, partitions, compacted=True),
        TopicSpec(DEAD_LETTERS, partitions, compacted=True),
        TopicSpec(REGISTRY, 1, compacted=True),
        TopicSpec(FEED_STATUS, 1),
        TopicSpec(ALERTS, 1, compacted=True),
        TopicSpec(AUDIT, 1),
        TopicSpec(WEBHOOKS, 1, compacted=True),
    ]


def party_topic_spec(topic: str) -> TopicSpec:
    return TopicSpec(topic, 1)


def party_topic_specs(scac: str) -> list[TopicSpec]:
    """A party's own: what it is told, and what it asks for."""
    requests = TopicSpec(REQUEST_PREFIX + scac, 1, retention_days=REQUEST_DAYS)
    return [party_topic_spec(PARTY_PREFIX + scac), requests]
