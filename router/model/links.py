"""What bills tell each other, through the index: never from one task's memory to another's; and what a paper bill
hands over to the one it was filed as."""

from __future__ import annotations

from typing import NamedTuple

from router.model.inputs import ManualEvent

CONTAINER, MASTER, ORIGINAL = "container", "master", "original"


class IndexFact(NamedTuple):
    """What one bill says under one index key. Written to `snp.index`; `present` False takes it back."""

    key: str
    """`container:CSQU305438` (no check digit), `master:<bill key>` or `original:<bill key>`."""
    bill: str
    present: bool
    stopped: bool = False
    """Under a container: the bill stops the box. Under a master: the house has a hold of its own."""
    do_not_load: bool = False
    since: int | None = None
    """Posted minute of the oldest hold behind `stopped` (Eastern wall clock, minutes since 1970)."""
    sailing_id: str | None = None
    imo_number: str | None = None
    arrival_date: str | None = None


class LinkFact(NamedTuple):
    """What the index says to one bill. Written to `snp.links` under that bill's key."""

    bill: str
    key: str
    """The index key it comes from."""
    kind: str
    """`BOX`, `HOUSE` or `SPLIT`."""
    active: bool
    do_not_load: bool = False
    since: int | None = None
    other_bill: str | None = None
    """Only for `SPLIT`: the other bill. A box or house hold never names the bill behind it."""


class Refiling(NamedTuple):
    """What a paper bill hands over to the bill it was filed as, under another number. Written by the paper bill's task
    to `snp.links` under the electronic bill's key."""

    bill: str
    """The electronic bill."""
    paper_bill: str
    manual: tuple[ManualEvent, ...]
    """What was said by hand under the paper number; it stands there until it is taken over."""
    covers: tuple[str, ...]
    """Event ids that were told under the paper number."""
    told: tuple[str, ...]
    """Parties that were told under it."""
    told_free: tuple[str, ...] = ()
    """Those among them who believe that it may be delivered."""


class RefilingAnswer(NamedTuple):
    """The answer: the electronic bill has it all. Written to `snp.links` under the paper bill's key."""

    bill: str
    """The paper bill."""
    electronic_bill: str
    manual: tuple[str, ...]
    """Ids of the words it took over: they stand there now."""
    groundless: tuple[str, ...]
    """Parties that were told under the paper number and have no ground under the new one."""
