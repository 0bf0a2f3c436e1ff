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
from router.model.identifiers import scac_ok
from router.model.inputs import CONTENT_LIMIT, DeadLetter
from router.model.links import IndexFact, LinkFact, Refiling, RefilingAnswer
from router.model.registry_values import Line, LineRole, Party, RegistryNote, RegistryValue, Sailing, Scope

MOST_ALIASES: Final = 100
"""SCACs of one party: the largest groups of carriers have some dozens."""
MOST_LINES: Final = 500
"""Aboard one sailing, each told by itself: vessels are shared by some dozens."""
MOST_BYTES: Final = 250_000
"""Of one record: every task holds all of them. A sailing with all its lines needs half of it at most."""

STATUSES: Final = ("certifying", "live", "suspended", "external")
ROLES: Final[tuple[str, ...]] = get_args(LineRole)
SCOPES: Final[tuple[str, ...]] = get_args(Scope)


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


def registry_faults(value: RegistryValue) -> Iterator[str]:
    """What can't be of a value, though it is a record of ours."""
    match value:
        case Party():
            yield from _of_party(value)
        case Sailing():
            yield from _of_sailing(value)
        case RegistryNote(kind="installation"):
            if not re.fullmatch(r"(?:[0-9a-f]{2})+", value.detail or ""):
                yield "the installation's secret is no hexadecimal number"


def _of_party(party: Party) -> Iterator[str]:
    """Its SCAC names its topics, its user and its groups: letters alone keep those apart from all others'."""
    wrong = [scac for scac in (party.scac, *party.aliases) if not scac_ok(scac)]
    if wrong:
        yield f"{wrong[0][:100]!r} is no SCAC of a party: two to four capital letters"
    if len(party.aliases) > MOST_ALIASES:
        yield f"party {party.scac} has {len(party.aliases):,} aliases, more than {MOST_ALIASES}"
    if party.status not in STATUSES:
        yield f"party {party.scac}: status {party.status[:100]!r} is none of {', '.join(STATUSES)}"


def _of_sailing(sailing: Sailing) -> Iterator[str]:
    where = f"sailing {sailing.sailing_id[:100]}"
    if len(sailing.lines) > MOST_LINES:
        yield f"{where} has {len(sailing.lines):,} lines aboard, more than {MOST_LINES}"
    for line in sailing.lines:
        yield from (f"{where}, line {line.scac[:100]}: {fault}" for fault in _of_line(line))
    if sailing.arrival_date is not None and day_of(sailing.arrival_date) is None:
        yield f"{where}: arrival_date {sailing.arrival_date[:100]!r} is no date such as 2026-07-28"


def _of_line(line: Line) -> Iterator[str]:
    if not scac_ok(line.scac):
        yield "it is no SCAC: two to four capital letters"
    if line.role not in ROLES:
        yield f"role {line.role[:100]!r} is none of {', '.join(ROLES)}"
    if line.scope not in SCOPES:
        yield f"scope {line.scope[:100]!r} is none of {', '.join(SCOPES)}"


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
