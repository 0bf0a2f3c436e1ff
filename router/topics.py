"""Names and properties of all topics."""

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
AUDIT_SEALS = "snp.audit-seals"
WEBHOOKS = "snp.webhooks"
PARTY_PREFIX = "snp.party."
REQUEST_PREFIX = "snp.request."

INPUTS = (REGISTRY, URGENT, INDEX, LINKS, FILINGS, DISPOSITIONS)
"""A task's inputs, in reading order."""

FED = (URGENT, FILINGS, DISPOSITIONS)
"""Inputs written by feeds and people."""

STATE = (BILLS, INDEX_STATE)
"""Topics that a task restores."""

PARTITIONED = (DISPOSITIONS, URGENT, FILINGS, LINKS, INDEX, TIMELINE, BILLS, INDEX_STATE, WAITING, DEAD_LETTERS)
"""Topics spread by key; all have the same number of partitions, for good. Every other topic has one."""

REQUEST_DAYS = 7
"""Retention of a party's requests. Those accepted stay in the registry until they are done."""

REQUEST_BATCH_BYTES = 64 << 10
"""A request has some 100 bytes; a compressed batch may stand for a thousand times its size."""

POSITION_KEY = b"\x00position:"
"""Begins the reserved keys of `snp.bills`, which hold the tasks' positions."""


def position_key(task: int) -> bytes:
    return POSITION_KEY + str(task).encode()


class TopicSpec(NamedTuple):
    name: str
    partitions: int
    compacted: bool = False
    retention_days: int | None = None
    """None: for ever, or as long as the key lives if the topic is compacted."""
    batch_limit_bytes: int | None = None
    """Largest batch that the topic takes; None: the router's own limit."""


def topic_specs(partitions: int) -> list[TopicSpec]:
    """All topics but the parties' own."""
    compacted = (BILLS, INDEX_STATE, WAITING, DEAD_LETTERS)
    return [
        *(TopicSpec(name, partitions, compacted=name in compacted) for name in PARTITIONED),
        *(TopicSpec(name, 1, compacted=True) for name in (REGISTRY, ALERTS, WEBHOOKS)),
        *(TopicSpec(name, 1) for name in (FEED_STATUS, AUDIT, AUDIT_SEALS)),
    ]


def party_topic_spec(topic: str) -> TopicSpec:
    return TopicSpec(topic, 1)


def party_topic_specs(party_id: str) -> list[TopicSpec]:
    """A party's own topics: its notices and its requests."""
    requests = TopicSpec(
        REQUEST_PREFIX + party_id, 1, retention_days=REQUEST_DAYS, batch_limit_bytes=REQUEST_BATCH_BYTES
    )
    return [party_topic_spec(PARTY_PREFIX + party_id), requests]
