"""Records by which bills affect each other: facts for the index, its answers, and a paper bill's refiling.

They travel over the log, never from one task's memory to another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from router.model.inputs import ManualEvent

MOST_STOPPING_EVENTS: Final = 32
"""Events that a fact or a link names."""
MORE_EVENTS: Final = "more"
"""Stands for the events beyond them. No event has this id."""

CONTAINER, MASTER, ORIGINAL = "container", "master", "original"


class IndexFact(NamedTuple):
    """One bill's statement under one index key. Topic `snp.index`; `present` False withdraws it."""

    key: str
    """`container:CSQU305438` (no check digit), `master:<bill key>` or `original:<bill key>`."""
    bill: str
    present: bool
    stopped: bool = False
    """Under a container: the bill stops the box. Under a master: the house has a hold of its own."""
    do_not_load: bool = False
    since: int | None = None
    """Posted minute of the oldest hold behind `stopped`."""
    sailing_id: str | None = None
    imo_number: str | None = None
    arrival_date: str | None = None
    events: tuple[str, ...] = ()
    """Ids of the bill's events behind `stopped`, bounded by `bounded_events`."""
    alias: bool = False
    """The bill replaces the paper bill of this key, and gets the links that the index writes to it."""


class LinkFact(NamedTuple):
    """The index's answer to one bill. Topic `snp.links`, under that bill's key."""

    bill: str
    key: str
    """The index key that it answers."""
    kind: str
    """`BOX`, `HOUSE` or `SPLIT`."""
    active: bool
    do_not_load: bool = False
    since: int | None = None
    other_bill: str | None = None
    """The other bill of a `SPLIT`. A box or house hold never names the bill behind it."""
    events: tuple[str, ...] = ()
    """Ids of the other bills' events behind it, bounded by `bounded_events`."""


def bounded_events(events: Iterable[str]) -> tuple[str, ...]:
    """Distinct ids, in their order. Beyond `MOST_STOPPING_EVENTS` the rest is `MORE_EVENTS`."""
    distinct = tuple(dict.fromkeys(events))
    if len(distinct) <= MOST_STOPPING_EVENTS:
        return distinct
    kept = tuple(event for event in distinct if event != MORE_EVENTS)[:MOST_STOPPING_EVENTS]
    return (*kept, MORE_EVENTS)


class RefilingRequest(NamedTuple):
    """The electronic bill's request for the history of the paper bill that was filed as it. Topic `snp.links`, under
    the paper bill's key."""

    bill: str
    """The paper bill."""
    electronic_bill: str


class RefilingRefusal(NamedTuple):
    """The paper bill's answer that it was not filed as that bill: it is not on paper, or was filed as another. Topic
    `snp.links`, under the electronic bill's key."""

    bill: str
    """The electronic bill."""
    paper_bill: str


class Refiling(NamedTuple):
    """A paper bill's history, for the bill under whose other number it was filed.

    Written by the paper bill's task to `snp.links` under the electronic bill's key.
    """

    bill: str
    """The electronic bill."""
    paper_bill: str
    manual_events: tuple[ManualEvent, ...]
    """Manual events under the paper number; they stand there until the electronic bill has them."""
    covers: tuple[str, ...]
    """Ids of the events notified under the paper number."""
    notified: tuple[str, ...]
    """Parties notified under it."""
    notified_release: tuple[str, ...] = ()
    """Those of them whose last notice was a Release."""
    replaces: tuple[str, ...] = ()
    """Earlier paper bills that were filed as this one."""


class RefilingAnswer(NamedTuple):
    """The electronic bill's acknowledgement of a refiling. Topic `snp.links`, under the paper bill's key."""

    bill: str
    """The paper bill."""
    electronic_bill: str
    manual_events: tuple[str, ...]
    """Ids of the manual events it has now."""
    not_entitled: tuple[str, ...]
    """Parties notified under the paper number that have no ground under the new one."""


RefilingRecord = RefilingRequest | RefilingRefusal | Refiling | RefilingAnswer
"""Records between a paper bill and the bill it was filed as, in this order."""
