"""Who of a bill's audience is told what of a decision: in which kind of notice, and standing for which events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from router.decide.audience import Audience, Disclosure, Recipient
from router.decide.bill_state import BillState, LastNotice
from router.decide.cargo_facts import Cargo
from router.decide.identity import notice_id
from router.decide.notices import (
    CATCH_UP,
    CHANGE,
    DISPOSITION,
    NO_LONGER_NOTIFIED,
    Entered,
    Subject,
    hold_added,
    kind_of,
    subject_of_event,
    subject_of_word,
)
from router.decide.registry import Registry
from router.decide.status import Assessment
from router.model.identifiers import is_vessel_key
from router.model.vocabulary import Authority, Cause, Flag, Kind


class Shared(NamedTuple):
    """What notices of a decision have in common; their first part is built from it once for each view."""

    known: Cargo
    subject: Subject
    after: Assessment
    authorises: tuple[Authority, ...]
    flags: tuple[Flag, ...]


class Notice(NamedTuple):
    """One notice, not yet encoded."""

    shared: Shared | None
    """None: a farewell, which says nothing but which bill."""
    member: Recipient
    kind: Kind
    cause: Cause
    notice_id: str
    covers: tuple[str, ...] = ()


def tell(
    before: BillState,
    entered: Entered,
    shared: Shared,
    was: Assessment | None,
    audience: Audience,
    decision: str,
) -> Iterator[Notice]:
    """Everyone entitled hears of an event, and of a change of status whatever its cause; who is new, and who is to be
    told again, hears the status now, which stands for all events so far."""
    state, after = entered.state, shared.after
    everyone = entered.subject.event_id is not None or entered.all_again or after != was
    status_now: Shared | None = None
    covers: tuple[str, ...] = ()
    vessel = is_vessel_key(state.key)
    waited = {entry.partition(":")[2] for entry in before.waiting}
    added = hold_added(was, after)
    for member in audience.members.values():
        told = before.told.get(member.scac)
        again = member.scac in entered.again
        if member.topic is None or not (again or _entitled(member, told, after)):
            continue
        again = again or entered.all_again
        new = again or (was is not None and _is_new(member, before, was, waited))
        if not new and not everyone:
            continue
        free = (told is not None and told.deliverable) or member.scac in entered.told_free
        kind = CHANGE if vessel else kind_of(after, told, free, added=added, status_now=new)
        number = notice_id(decision, member.scac)
        if not new:
            yield Notice(shared, member, kind, entered.cause, number)
            continue
        if status_now is None:
            subject = shared.subject if entered.subject.event_id else _latest(state)
            status_now = shared._replace(subject=subject, authorises=after.authorises)
            covers = _covers(entered)
        yield Notice(status_now, member, kind, entered.cause if again else CATCH_UP, number, covers)


def tell_superseded(
    before: BillState,
    entered: Entered,
    shared: Shared,
    was: Assessment | None,
    audience: Audience,
    registry: Registry,
    decision: str,
) -> Iterator[Notice]:
    """Under a number that another has replaced only what CBP itself still sends under it is told; and those whom the
    other no longer tells hear that once."""
    if entered.cause == DISPOSITION:
        added = hold_added(was, shared.after)
        for member in audience.members.values():
            told = before.told.get(member.scac)
            if member.topic is not None and _entitled(member, told, shared.after):
                free = told is not None and told.deliverable
                kind = kind_of(shared.after, told, free, added=added, status_now=False)
                yield Notice(shared, member, kind, entered.cause, notice_id(decision, member.scac))
    yield from farewells(before, entered.groundless, registry, decision)


def _latest(state: BillState) -> Subject:
    """What a status-now notice names as the event: the last that CBP posted or somebody said."""
    event = state.latest()
    word = max(state.words.values(), key=lambda word: word.order, default=None)
    if word is None or (event is not None and event.posted > word.posted):
        return subject_of_event(event)
    return subject_of_word(word)


def _entitled(member: Recipient, told: LastNotice | None, after: Assessment) -> bool:
    """Whether the member's grounds hold at this status. Who was told a hold is told of its change and its end."""
    if member.when == "all":
        return True
    if told is not None and told.deliverable and not after.deliverable:
        return True
    if member.when == "holds":
        return after.stopped or (told is not None and told.stopped)
    return after.do_not_load or (told is not None and told.do_not_load)


def is_told_now(member: Recipient, told: LastNotice | None, after: Assessment) -> bool:
    """Whether the member was told of the bill, or would be if it were new to it."""
    return told is not None or _entitled(member, None, after)


def _is_new(member: Recipient, before: BillState, was: Assessment, waited: Collection[str]) -> bool:
    """Whether a member missed something that was said before: it gets the status now instead."""
    return member.scac in waited or (member.scac not in before.told and _entitled(member, None, was))


def covered(state: BillState) -> tuple[str, ...]:
    """What a status-now notice stands for: all events so far, those that could not be read and words too."""
    return tuple(sorted(state.event_ids() | state.unread.keys() | state.words.keys()))


def _covers(entered: Entered) -> tuple[str, ...]:
    covers = covered(entered.state)
    return covers if entered.handover is None else tuple(sorted({*covers, *entered.handover.covers}))


def not_reached(before: BillState, entered: Entered, after: Assessment, audience: Audience) -> Iterator[Recipient]:
    """Those who should be told and can't be: they wait, visibly."""
    for member in audience.unreached:
        if member.scac in entered.again or _entitled(member, before.told.get(member.scac), after):
            yield member


def farewells(before: BillState, gone: Collection[str], registry: Registry, decision: str) -> Iterator[Notice]:
    """One last `Change` to each who was told and has no ground any more: with nothing it had not seen."""
    for scac, told in before.told.items():
        if scac not in gone:
            continue
        party = registry.parties.get(scac)
        if party is None or party.status != "live" or party.topic in registry.missing_topics:
            continue
        member = Recipient(scac, told.roles, Disclosure.AGREEMENT, "all", None, party.topic, None)
        number = notice_id(decision, scac)
        yield Notice(None, member, CHANGE, NO_LONGER_NOTIFIED, number)


def told_after(
    before: BillState, state: BillState, notices: Iterable[Notice], after: Assessment
) -> dict[str, LastNotice]:
    told = before.told.copy()
    for notice in notices:
        scac = notice.member.scac
        if notice.cause == NO_LONGER_NOTIFIED:
            del told[scac]
        else:
            told[scac] = LastNotice(
                notice.kind,
                after.stopped,
                after.do_not_load,
                after.deliverable,
                notice.member.roles,
                state.sequence,
            )
    return told
