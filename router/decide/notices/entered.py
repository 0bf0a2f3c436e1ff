"""A record entered in a bill's state, before what follows from it is worked out."""

from __future__ import annotations

from typing import NamedTuple

from router.decide.ledger.state import BillState
from router.decide.notices.notice import Subject
from router.model.facts import Handover
from router.model.inputs import DeadLetter
from router.model.words import Cause, Flag


class Entered(NamedTuple):
    """A bill's state with a record entered, and what that was."""

    state: BillState
    cause: Cause
    subject: Subject = Subject()
    flags: tuple[Flag, ...] = ()
    repeated: bool = False
    letters: tuple[DeadLetter, ...] = ()
    again: frozenset[str] = frozenset()
    """Parties that are told the status now, with this cause, whatever they were told."""
    all_again: bool = False
    """The same for everybody whose grounds hold."""
    told_free: frozenset[str] = frozenset()
    """Parties that believe, from the bill's former number, that it may be delivered."""
    handover: Handover | None = None
    """What a paper bill handed over here; its `covers` are covered too."""
    groundless: frozenset[str] = frozenset()
    """Parties that were told of a superseded bill and have no ground under its new number."""
