"""Bills taken on paper: until the electronic filing comes they are like any other; then everything is reissued once.

If the electronic filing comes under the same number, the bill itself reissues its notices. If it comes under another
number, an operator states the match to the electronic bill. From then on nothing frees that bill. It asks the index for
all links to the paper bill's number, under which houses and splits may still refer to it, then the paper bill for its
history. The paper bill sends it as a `Refiling`, goes quiet, and keeps its holds until the other bill has acknowledged
them: no box is released in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from router.decide.audience import Audience
from router.decide.bill_state import BillState
from router.decide.cargo_facts import content_of, supersedes
from router.decide.folding import with_relayed
from router.decide.identity import manual_id
from router.decide.manual_events import DowntimeRecord, Paper, RelayedEvent
from router.decide.notices import FILING, OPERATOR, REISSUE, AppliedRecord, manual_disposition
from router.decide.registry import Context
from router.errors import InputError
from router.model.identifiers import bill_key
from router.model.inputs import PaperBill, PaperMatch
from router.model.limits import MOST_MANUAL_EVENTS
from router.model.links import (
    MASTER,
    LinkFact,
    Refiling,
    RefilingAnswer,
    RefilingRefusal,
    RefilingRequest,
    Stop,
    bounded_stops,
)
from router.model.vocabulary import Flag

REISSUED: Final = "REISSUED"
_FLAGS: Final[tuple[Flag, ...]] = (REISSUED,)


def apply_paper_bill(state: BillState, record: PaperBill, context: Context) -> AppliedRecord | None:
    """A paper bill counts as a filing unless an electronic one is known. A later record corrects an earlier one."""
    filing = record.filing._replace(received_at=record.received_at)
    known, downtime = state.facts.filing, state.downtime or DowntimeRecord({})
    if state.facts.declarations and not downtime.is_on_paper:
        return None
    paper = Paper(record.delivered_at, record.form, record.by, record.ticket, filed_as=downtime.match)
    if known is not None:
        same = paper == downtime.paper and content_of(filing) == content_of(known)
        if same or not downtime.is_on_paper or not supersedes(filing, known, paper, downtime.paper):
            return None
    facts = state.facts._replace(filing=filing)
    return AppliedRecord(replace(state, facts=facts, downtime=downtime._replace(paper=paper)), FILING)


def reissue(state: BillState) -> AppliedRecord:
    """The electronic filing came under the paper bill's own number."""
    assert state.downtime is not None
    assert state.downtime.paper is not None
    downtime = state.downtime._replace(paper=state.downtime.paper._replace(electronic=True))
    notified = frozenset(state.last_notices)
    return AppliedRecord(replace(state, downtime=downtime), REISSUE, flags=_FLAGS, renotify=notified)


def apply_paper_match(state: BillState, record: PaperMatch, context: Context) -> AppliedRecord | None:
    """From now on nothing frees this bill, until the index has answered under the paper bill's number and the paper
    bill's history has come."""
    paper, downtime = bill_key(record.scac, record.bill_of_lading), state.downtime or DowntimeRecord({})
    if paper == state.key or paper in downtime.aliases:
        return None
    if len(downtime.aliases) >= MOST_MANUAL_EVENTS:
        raise InputError(f"the bill replaces {MOST_MANUAL_EVENTS} paper bills already, and takes no more")
    matched, unanswered = (*downtime.matched, paper), (*downtime.unanswered, paper)
    return AppliedRecord(replace(state, downtime=downtime._replace(matched=matched, unanswered=unanswered)), OPERATOR)


def with_index_answer(state: BillState, key: str) -> tuple[BillState, RefilingRequest | None]:
    """The state once the index has answered under a key, and the request for the history of that key's paper bill.

    The history comes last, so that what is reissued is complete.
    """
    kind, _, paper = key.partition(":")
    downtime = state.downtime
    if downtime is None or kind != MASTER or paper not in downtime.unanswered:
        return state, None
    unanswered = tuple(one for one in downtime.unanswered if one != paper)
    request = RefilingRequest(paper, state.key) if paper in downtime.matched else None
    return replace(state, downtime=downtime._replace(unanswered=unanswered)), request


def apply_refiling_request(state: BillState, record: RefilingRequest, context: Context) -> AppliedRecord | None:
    """Go quiet if the bill is on paper; `refilings` sends its history to the bill that it was filed as. The first match
    counts, also one that came before the bill was taken on paper."""
    downtime, other = state.downtime or DowntimeRecord({}), record.electronic_bill
    if downtime.paper is not None and downtime.paper.filed_as == other:
        return None
    if downtime.is_on_paper and other not in downtime.aliases:
        assert downtime.paper is not None
        paper = downtime.paper._replace(filed_as=other)
        return AppliedRecord(replace(state, downtime=downtime._replace(paper=paper)), REISSUE, flags=_FLAGS)
    is_first = not state.facts.is_filed and downtime.match in (None, other) and other not in downtime.aliases
    if is_first:
        state = replace(state, downtime=downtime._replace(match=other))
    return AppliedRecord(state, OPERATOR, refiling_refusal=RefilingRefusal(other, state.key, is_first))


def apply_refiling_refusal(state: BillState, record: RefilingRefusal, context: Context) -> AppliedRecord | None:
    """Undo the match; one with a bill that is unknown yet stands, but nothing waits for it any more."""
    downtime, paper = state.downtime, record.paper_bill
    if downtime is None or paper not in downtime.matched:
        return None
    left = downtime._replace(
        matched=tuple(one for one in downtime.matched if one != paper),
        unknown=(*downtime.unknown, paper) if record.unknown else downtime.unknown,
        unanswered=tuple(one for one in downtime.unanswered if one != paper),
    )
    state = replace(state, downtime=left if left != DowntimeRecord({}) else None)
    return AppliedRecord(_with_stops(state, record), OPERATOR)


def refilings(before: BillState, state: BillState, covers: tuple[str, ...]) -> tuple[Refiling, ...]:
    """The refiling of a superseded bill: its whole history at first, later its new manual events and paper bills."""
    downtime = state.downtime
    if downtime is None or downtime.paper is None or downtime.paper.filed_as is None:
        return ()
    first = not before.is_superseded
    events = tuple(one.event for one in _uncleared(state) if first or one.id not in before.relayed)
    known = before.downtime.replaces if before.downtime is not None and not first else ()
    replaces = tuple(one for one in downtime.replaces if one not in known)
    if not first and not events and not replaces:
        return ()
    released = tuple(party for party, last in state.last_notices.items() if last.deliverable)
    notified = tuple(state.last_notices)
    covered = covers if notified else ()
    history = (events, covered, notified, released, replaces, own_stops(state))
    return (Refiling(downtime.paper.filed_as, state.key, *history),)


def own_stops(state: BillState) -> tuple[Stop, ...]:
    """Holds that CBP placed under the number of a paper bill, as published to the index."""
    own = state.index_facts.get(f"{MASTER}:{state.key}")
    return own.stops if own is not None else ()


def _uncleared(state: BillState) -> Iterator[RelayedEvent]:
    """Manual events without the holds that an operator cleared under this number."""
    return (one for one in state.relayed.values() if not state.deeds.clear(one.id))


def apply_refiling(state: BillState, record: Refiling, context: Context) -> AppliedRecord | None:
    """Every recipient of this bill, and everyone notified under the paper number, gets the status now, once.

    Later manual events under the paper number come like any manual event.
    """
    downtime = state.downtime or DowntimeRecord({})
    events = [
        RelayedEvent(manual_id(context.registry.secret, one), one, rules=context.rules.number)
        for one in record.manual_events
    ]
    events = [one for one in events if one.id not in downtime.relayed]
    is_known = record.paper_bill in downtime.replaces
    papers = (record.paper_bill, *record.replaces)
    new = tuple(one for one in papers if one != state.key and one not in downtime.replaces)
    if is_known and not events and not new:
        return None
    most = MOST_MANUAL_EVENTS
    if len(downtime.relayed) + len(events) > most or len(downtime.replaces) + len(new) > most:
        raise InputError(
            f"the bill would have more than {most} manual events or paper bills with those of its refiling"
        )
    downtime = downtime._replace(
        replaces=(*downtime.replaces, *new),
        matched=tuple(one for one in downtime.matched if one not in new),
        unknown=tuple(one for one in downtime.unknown if one not in new),
        unanswered=(*downtime.unanswered, *(one for one in new if one not in downtime.aliases)),
    )
    state = _with_stops(with_relayed(replace(state, downtime=downtime), events), record)
    if is_known and events:
        latest = events[-1]
        event = manual_disposition(latest)
        return AppliedRecord(state, OPERATOR, event, latest.id, ("MANUAL",), refiling=record)
    if is_known:
        return AppliedRecord(state, OPERATOR, refiling=record)
    return AppliedRecord(
        state,
        REISSUE,
        flags=_FLAGS,
        renotify=frozenset(record.notified),
        renotify_all=True,
        believing_release=frozenset(record.notified_release),
        refiling=record,
    )


def _with_stops(state: BillState, record: Refiling | RefilingRefusal) -> BillState:
    """The state stopped by what CBP holds under the paper number, until the index answers anew."""
    if not record.stops:
        return state
    key = f"{MASTER}:{record.paper_bill}"
    known = state.links.get(key)
    stops = bounded_stops({*(known.stops if known is not None else ()), *record.stops})
    return replace(state, links={**state.links, key: LinkFact(state.key, key, "HOUSE", True, stops)})


def refiling_answer(refiling: Refiling, audience: Audience) -> RefilingAnswer:
    """The electronic bill's acknowledgement of a refiling."""
    not_entitled = tuple(party for party in refiling.notified if party not in audience.recipients)
    ids = tuple(event.id for event in refiling.manual_events)
    return RefilingAnswer(refiling.paper_bill, refiling.bill, ids, not_entitled)


def apply_refiling_answer(state: BillState, record: RefilingAnswer, context: Context) -> AppliedRecord | None:
    """Acknowledged manual events stand under the electronic number, so no longer here."""
    if state.downtime is None:
        return None
    acknowledged = set(record.manual_events)
    relayed = {number: one for number, one in state.relayed.items() if one.event.id not in acknowledged}
    not_entitled = frozenset(record.not_entitled) & state.last_notices.keys()
    if relayed == state.relayed and not not_entitled:
        return None
    state = replace(state, downtime=state.downtime._replace(relayed=relayed))
    return AppliedRecord(state, REISSUE, not_entitled=not_entitled)
