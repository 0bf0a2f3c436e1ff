"""What a task's inputs bring: the value in a record, if it belongs there."""

from __future__ import annotations

from typing import Final, get_args

from router import codec, topics
from router.decide.recipients.registry_values import registry_value
from router.errors import InputError
from router.log.interface import Record
from router.model.facts import Handover, IndexFact, LinkFact, TakenOver
from router.model.inputs import CONTENT_LIMIT, DeadLetter

BELONGS: Final = {
    topics.INDEX: frozenset({IndexFact}),
    topics.LINKS: frozenset({LinkFact, Handover, TakenOver, *get_args(codec.FedValue)}),
    **dict.fromkeys(topics.FED, frozenset(get_args(codec.FedValue))),
}
"""What each input but the registry brings: anything else there was written by another program. What is fed in reaches
`snp.links` from a task that isn't its bill's."""

LARGEST_FED: Final = 500_000
LARGEST_LETTER: Final = CONTENT_LIMIT + 100_000
"""Bytes of a record. No feed of ours makes a larger one; what follows from one, in the history and in dead letters, may
be several times as large, and has to stay below the limit of a record too."""


def value_of(record: Record) -> codec.Value | None:
    """None: what stood under its key was taken away. Raises InputError."""
    if record.topic == topics.REGISTRY:
        return registry_value(record)
    if record.value is None:
        return None
    value = codec.decode_value(record.value)
    limit = LARGEST_LETTER if isinstance(value, DeadLetter) else LARGEST_FED
    if record.topic in topics.FED and len(record.value) > limit:
        raise InputError(f"it has {len(record.value):,} bytes, more than {limit:,}")
    if type(value) not in BELONGS[record.topic]:
        raise InputError(f"a {codec.NAME_OF[type(value)]} record does not belong here")
    return value
