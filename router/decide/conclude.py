"""From a bill before and after a record to who is told what, what the index hears, what waits, and the history.

Kept in one place so that every cause (an event, a filing, a link, an operator, a change of the registry) ends the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from router.clock import MINUTE
from router.decide.audience import Audience, Member, View, audience_of
from router.decide.crossing import said_by, to_send
from router.decide.entered import Entered
from router.decide.facts import Known
from router.decide.identity import decision_id, notice_id
from router.decide.manual import ByHand
from router.decide.notice import (
    CATCH_UP,
    CHANGE,
    DISPOSITION,
    LADING,
    NO_LONGER_NOTIFIED,
    RESYNC,
    Subject,
    hold_added,
    kind_of,
    subject_of_event,
    subject_of_word,
)
from router.decide.offline import Offline
from router.decide.outages import is_behind
from router.decide.paper import REISSUED, handovers, taken_over
from router.decide.registry import Registry, same_name
from router.decide.rules import Rules
from router.decide.state import BillState, Told
from router.decide.status import Assessment
from router.decide.waits import CONTRADICTION, FEED_BEHIND, Waits, lacks_snp, waits_of
from router.model.bill import is_vessel_key
from router.model.facts import Handover, IndexFact, TakenOver
from router.model.inputs import DeadLetter


class Shared(NamedTuple):
    """What notices of a decision have in common; their first part is built from it once for each view."""

    known: Known
    subject: Subject
    after: Assessment
    authorises: tuple[str, ...]
    flags: tuple[str, ...]


class Notice(NamedTuple):
    """One notice, not yet encoded."""

    shared: Shared | None
    """None: a farewell, which says nothing but which bill."""
    member: Member
    kind: str
    cause: str
    notice_id: str
    covers: tuple[str, ...] = ()


class Decision(NamedTuple):
    """What a record did. The order of `notices` is the order in which they go out."""

    state: BillState | None
    """None: nothing is kept of the bill (any more)."""
    entered: Entered | None = None
    """None: the record added nothing; then only `letters` may be filled."""
    before: Assessment | None = None
    after: Assessment | None = None
    flags: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    facts: tuple[IndexFact, ...] = ()
    links: tuple[Handover | TakenOver, ...] = ()
    letters: tuple[DeadLetter, ...] = ()
    waits: Waits | None = None
    waiting_changed: bool = False
    id: str = ""
    """What its notices' ids begin with; empty where there is nothing to tell."""


def conclude(before: BillState, entered: Entered, registry: Registry, rules: Rules) -> Decision:
    """What follows from a record that is entered already. Changes and returns `entered.state`."""
    state = entered.state
    was = before.assess(rules)[1] if before.has_news else None
    state.view = None
    known, after = state.assess(rules)
    state.sequence = (state.sequence or registry.now // MINUTE) + 1
    if entered.cause != RESYNC:  # nothing was heard of the bill
        state.touched = max(state.touched, registry.now)
    in_box = any(link.kind == "BOX" for link in state.links.values())
    audience = audience_of(state.key, known, in_box, registry)
    flags = _flags(entered, state, known, audience, registry)
    notices: tuple[Notice, ...] = ()
    missed: tuple[Member, ...] = ()
    decision = ""
    quiet = state.offline is not None and state.offline.is_superseded
    if state.has_news:
        decision = decision_id(registry.secret, state.key, state.sequence)
        shared = Shared(known, entered.subject, after, _authorises(was, after), flags)
        if quiet:
            notices = tuple(_tell_superseded(before, entered, shared, was, audience, registry, decision))
        else:
            missed = tuple(_missed(before, entered, after, audience))
            notices = (
                *_tell(before, entered, shared, was, audience, decision),
                *_farewells(before, before.told.keys() - audience.members.keys(), registry, decision),
            )
        state.told = _told_after(before, state, notices, after)
    changed_facts = _say(before, state, known, after, audience, quiet=quiet)
    waits, waiting_changed = waits_of(before, state, known, was, after, audience, missed, registry)
    links = _links(before, entered, audience) if state.offline is not None else ()
    return Decision(
        state,
        entered,
        was,
        after,
        flags,
        notices,
        changed_facts,
        links,
        entered.letters,
        waits,
        waiting_changed,
        decision,
    )


def _say(
    before: BillState, state: BillState, known: Known, after: Assessment, audience: Audience, *, quiet: bool
) -> tuple[IndexFact, ...]:
    """What the index is to hear: nothing, where what the bill says follows from the same as before."""
    state.saying = (known, after.holds, audience.sailing, quiet)
    if before.saying == state.saying:
        return ()
    facts = said_by(state, known, after, audience.sailing)
    if quiet and not any(fact.stopped for fact in facts.values()):
        facts = {}  # the same cargo is in its boxes under its new number
    changed = to_send(state.said, facts)
    state.said = facts
    return changed


def _links(before: BillState, entered: Entered, audience: Audience) -> tuple[Handover | TakenOver, ...]:
    """Between a paper bill and the one it was filed as."""
    answer = (taken_over(entered.handover, audience),) if entered.handover is not None else ()
    return (*answer, *handovers(before, entered.state, _covered(before)))


def _tell(
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
    added = hold_added(was, after)
    for member in audience.members.values():
        told = before.told.get(member.scac)
        again = member.scac in entered.again
        if member.topic is None or not (again or _entitled(member, told, after)):
            continue
        again = again or entered.all_again
        new = again or (was is not None and _is_new(member, before, was))
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


def _tell_superseded(
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
    yield from _farewells(before, entered.groundless, registry, decision)


def _latest(state: BillState) -> Subject:
    """What a status-now notice names as the event: the last that CBP posted or somebody said."""
    event = state.latest()
    word = max(state.words.values(), key=lambda word: word.order, default=None)
    if word is None or (event is not None and event.posted > word.posted):
        return subject_of_event(event)
    return subject_of_word(word)


def _entitled(member: Member, told: Told | None, after: Assessment) -> bool:
    """Whether the member's grounds hold at this status. Who was told a hold is told of its change and its end."""
    if member.when == "all":
        return True
    if told is not None and told.deliverable and not after.deliverable:
        return True
    if member.when == "holds":
        return after.stopped or (told is not None and told.stopped)
    return after.do_not_load or (told is not None and told.do_not_load)


def is_told_now(member: Member, told: Told | None, after: Assessment) -> bool:
    """Whether the member was told of the bill, or would be if it were new to it."""
    return told is not None or _entitled(member, None, after)


def _is_new(member: Member, before: BillState, was: Assessment) -> bool:
    """Whether a member missed something that was said before: it gets the status now instead."""
    if before.waiting and any(entry.partition(":")[2] == member.scac for entry in before.waiting):
        return True
    return member.scac not in before.told and _entitled(member, None, was)


def _covered(state: BillState) -> tuple[str, ...]:
    """What a status-now notice stands for: all events so far, those that could not be read and words too."""
    return tuple(sorted(state.event_ids() | state.unread.keys() | state.words.keys()))


def _covers(entered: Entered) -> tuple[str, ...]:
    covers = _covered(entered.state)
    return covers if entered.handover is None else tuple(sorted({*covers, *entered.handover.covers}))


def _missed(before: BillState, entered: Entered, after: Assessment, audience: Audience) -> Iterator[Member]:
    """Those who should be told and can't be: they wait, visibly."""
    for member in audience.unreached:
        if member.scac in entered.again or _entitled(member, before.told.get(member.scac), after):
            yield member


def _farewells(before: BillState, gone: Collection[str], registry: Registry, decision: str) -> Iterator[Notice]:
    """One last `Change` to each who was told and has no ground any more: with nothing it had not seen."""
    for scac, told in before.told.items():
        if scac not in gone:
            continue
        party = registry.parties.get(scac)
        if party is None or party.status != "live" or party.topic in registry.missing_topics:
            continue
        member = Member(scac, told.roles, View.AGREEMENT, "all", None, party.topic, None)
        number = notice_id(decision, scac)
        yield Notice(None, member, CHANGE, NO_LONGER_NOTIFIED, number)


def _told_after(before: BillState, state: BillState, notices: Iterable[Notice], after: Assessment) -> dict[str, Told]:
    told = before.told.copy()
    for notice in notices:
        scac = notice.member.scac
        if notice.cause == NO_LONGER_NOTIFIED:
            del told[scac]
        else:
            told[scac] = Told(
                notice.kind,
                after.stopped,
                after.do_not_load,
                after.deliverable,
                notice.member.roles,
                state.sequence,
            )
    return told


def _authorises(was: Assessment | None, after: Assessment) -> tuple[str, ...]:
    if was is not None and was.do_not_load and not after.do_not_load:
        return (LADING, *after.authorises)
    return after.authorises


def _flags(entered: Entered, state: BillState, known: Known, audience: Audience, registry: Registry) -> tuple[str, ...]:
    vessel_name = registry.vessel_name(known.imo_number) if known.imo_number else None
    mismatch = bool(vessel_name and known.vessel_name and not same_name(vessel_name, known.vessel_name))
    flags = [*entered.flags]
    if entered.subject.event_id in state.unseen:
        flags.append("HOLD_UNSEEN")
    if audience.sailing is None:
        flags.append("SAILING_UNKNOWN")
    if lacks_snp(state.key, known):
        flags.append("NO_SNP")
    if mismatch:
        flags.append("VESSEL_MISMATCH")
    if registry.outages and is_behind(registry.outages, known, registry.party_scac):
        flags.append(FEED_BEHIND)
    if state.offline is not None:
        flags.extend(_offline_flags(state.offline, state.by_hand))
        return tuple(dict.fromkeys(flags))
    return tuple(flags)


def _offline_flags(offline: Offline, by_hand: ByHand | None) -> Iterator[str]:
    """MANUAL also on whatever says that a bill is released, as long as that rests on a word alone."""
    if by_hand is not None and by_hand.releases:
        yield "MANUAL"
    if by_hand is not None and by_hand.contradictions:
        yield CONTRADICTION
    if offline.is_superseded:
        yield REISSUED
