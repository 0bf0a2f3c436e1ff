"""What a record of `snp.registry` says, as all read it: every task goes by it, so nothing gets in that can't be.

The commands write nothing else; another program may. Who reads passes over what can't be, and says so.

What a task's inputs bring: the value in a record, if it belongs there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, get_args

from router import codec, topics
from router.errors import InputError
from router.log.interface import Record
from router.model.eastern import day_of
from router.model.identifiers import is_valid_scac
from router.model.inputs import CONTENT_LIMIT, DeadLetter
from router.model.links import IndexFact, LinkFact, Refiling, RefilingAnswer
from router.model.registry_values import Line, LineRole, Party, RegistryNote, RegistryValue, Sailing, Scope

MOST_BYTES: Final = 250_000
"""Of one record: every task holds all of them. A sailing with all its lines needs half of it at most."""


def registry_value(record: Record) -> RegistryValue | None:
    """None: what stood under its key was taken away. Raises InputError, which says where it lies and what to do."""
    if record.value is None:
        return None
    try:
        value = codec.decode_value(record.value)
    except InputError as error:
        raise _passed_over(record, error.reason) from error
    if not isinstance(value, RegistryValue):
        raise _passed_over(record, f"a {codec.NAME_OF[type(value)]} does not belong here")
    for fault in registry_faults(value):
        raise _passed_over(record, fault)
    if len(record.value) > MOST_BYTES:
        raise _passed_over(record, f"it has {len(record.value):,} bytes, more than {MOST_BYTES:,}")
    return value


def _passed_over(record: Record, fault: str) -> InputError:
    key = record.key.decode(errors="replace")
    remedy = {"party": "`snp-router import parties`", "sailing": "`snp-router import sailings`"}
    again = remedy.get(key.partition(":")[0], "whatever wrote it")
    return InputError(
        f"{fault}. It is passed over, and what stood under its key before counts only until a restart: write it again "
        f"({again}; its key is {key[:100]})",
        place=record.place,
    )


BELONGING: Final = {
    topics.INDEX: frozenset({IndexFact}),
    topics.LINKS: frozenset({LinkFact, Refiling, RefilingAnswer, *get_args(codec.FedValue)}),
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
    if type(value) not in BELONGING[record.topic]:
        raise InputError(f"a {codec.NAME_OF[type(value)]} record does not belong here")
    return value
