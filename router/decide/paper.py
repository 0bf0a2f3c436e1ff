"""Bills taken on paper: until the electronic filing comes they are like any other; then all that was said of them is
said again under the electronic identifiers, once.

Under the same number that is this bill's own doing. Under another number (an operator says so) the paper bill hands
over to that bill, goes quiet, and keeps what stands on it until the other has answered that it has it: so no box is let
go in between.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from router.decide.audience import Audience
from router.decide.bill_state import BillState
from router.decide.cargo_facts import content_of, supersedes
from router.decide.identity import manual_id
from router.model.limits import MOST_WORDS
from router.decide.manual_events import DowntimeRecord, Paper, RelayedEvent
from router.decide.notices import FILING, OPERATOR, REISSUE, Entered, subject_of_word
from router.decide.registry import Context
from router.errors import InputError
from router.model.inputs import PaperBill, PaperMatch
from router.model.links import Refiling, RefilingAnswer

REISSUED: Final = "REISSUED"


def enter_paper_bill(state: BillState, record: PaperBill, context: Context) -> Entered | None:
    """It counts as a filing. What was filed electronically is never taken for paper any more; a later record corrects
    an earlier one."""
    filing = record.filing._replace(received_at=record.received_at)
    known, offline = state.facts.filing, state.offline or DowntimeRecord({})
    paper = Paper(record.delivered_at, record.form, record.by, record.ticket)
    if known is not None:
        same = paper == offline.paper and content_of(filing) == content_of(known)
        if same or not offline.is_on_paper or not supersedes(filing, known, paper, offline.paper):
            return None
    state.facts = replace(state.facts, filing=filing)
    state.offline = offline._replace(paper=paper)
    return Entered(state, FILING)


def reissue(state: BillState) -> Entered:
    """The electronic filing came under the paper bill's own number."""
    assert state.offline is not None
    assert state.offline.paper is not None
    state.offline = state.offline._replace(paper=state.offline.paper._replace(electronic=True))
    return Entered(state, REISSUE, flags=(REISSUED,), again=frozenset(state.told))


def enter_paper_match(state: BillState, record: PaperMatch, context: Context) -> Entered | None:
    """The first one counts, and only of a bill that is on paper."""
    offline = state.offline
    if offline is None or not offline.is_on_paper or record.electronic_bill == state.key:
        return None
    assert offline.paper is not None
    state.offline = offline._replace(paper=offline.paper._replace(filed_as=record.electronic_bill))
    return Entered(state, REISSUE, flags=(REISSUED,))


def handovers(before: BillState, state: BillState, covers: tuple[str, ...]) -> tuple[Refiling, ...]:
    """What a superseded bill has to hand over: everything when it is superseded, later what is said of it since."""
    offline = state.offline
    if offline is None or offline.paper is None or offline.paper.filed_as is None:
        return ()
    first = before.offline is None or not before.offline.is_superseded
    words = tuple(word.said for word in state.words.values() if first or word.id not in before.words)
    if not first and not words:
        return ()
    free = tuple(scac for scac, told in state.told.items() if told.deliverable)
    told = tuple(state.told)
    return (Refiling(offline.paper.filed_as, state.key, words, covers if told else (), told, free),)


def enter_handover(state: BillState, record: Refiling, context: Context) -> Entered | None:
    """Everyone is told the status now, once: who is told of this bill, and who was told under the old number. What is
    said under the old number after that comes as any word does."""
    offline = state.offline or DowntimeRecord({})
    words = [RelayedEvent(manual_id(context.registry.secret, said), said) for said in record.manual]
    words = [word for word in words if word.id not in offline.words]
    known = record.paper_bill in offline.replaces
    if known and not words:
        return None
    if len(offline.words) + len(words) > MOST_WORDS or len(offline.replaces) > MOST_WORDS:
        raise InputError(f"it has more than {MOST_WORDS} words or paper bills with what was to be handed over")
    replaces = offline.replaces if known else (*offline.replaces, record.paper_bill)
    state.offline = offline._replace(words=offline.words | {word.id: word for word in words}, replaces=replaces)
    if known:
        return Entered(state, OPERATOR, subject_of_word(words[-1]), ("MANUAL",), handover=record)
    again, free = frozenset(record.told), frozenset(record.told_free)
    return Entered(state, REISSUE, flags=(REISSUED,), again=again, all_again=True, told_free=free, handover=record)


def taken_over(handover: Refiling, audience: Audience) -> RefilingAnswer:
    groundless = tuple(scac for scac in handover.told if scac not in audience.members)
    return RefilingAnswer(handover.paper_bill, handover.bill, tuple(said.id for said in handover.manual), groundless)


def enter_taken_over(state: BillState, record: RefilingAnswer, context: Context) -> Entered | None:
    """What was handed over stands there now, so here no longer."""
    if state.offline is None:
        return None
    taken = set(record.manual)
    words = {number: word for number, word in state.words.items() if word.said.id not in taken}
    groundless = frozenset(record.groundless) & state.told.keys()
    if words == state.words and not groundless:
        return None
    state.offline = state.offline._replace(words=words)
    return Entered(state, REISSUE, groundless=groundless)
