"""From a bill before and after a record to who is told what, what the index hears, what waits, and the history.

Kept in one place so that every cause (an event, a filing, a link, an operator, a change of the registry) ends the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from router.clock import MINUTE
from router.decide.audience import Audience, Member, View, audience_of
from router.decide.crossing import said_by, to_send
from router.decide.facts import Known
from router.decide.identity import decision_id, notice_id
from router.decide.manual import ByHand
from router.decide.notice import (
    CATCH_UP,
    CHANGE,
    LADING,
    NO_LONGER_NOTIFIED,
    Subject,
    kind_of,
    subject_of_event,
    subject_of_word,
)
from router.decide.registry import Registry, same_name
from router.decide.rules import Rules
from router.decide.state import BillState, Told
from router.decide.status import Assessment
from router.model.bill import is_vessel_key, split_bill_key
from router.model.facts import IndexFact
from router.model.inputs import DeadLetter

CONTRADICTION: Final = "CONTRADICTION"
"""Flag, and reason to wait: what was said by hand and what CBP sent disagree. Meanwhile what holds stands."""


class Entered(NamedTuple):
    """A bill's state with a record entered, and what that was."""

    state: BillState
    cause: str
    subject: Subject = Subject()
    flags: tuple[str, ...] = ()
    repeated: bool = False
    letters: tuple[DeadLetter, ...] = ()


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


class Waits(NamedTuple):
    """That a bill is incomplete: what is missing, and who could not be told."""

    reasons: tuple[str, ...]
    parties: tuple[str, ...]
    status: str
    do_not_load: bool
    since: int


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
    state.touched = max(state.touched, registry.now)
    in_box = any(link.kind == "BOX" for link in state.links.values())
    audience = audience_of(state.key, known, in_box, registry)
    flags = _flags(entered, state, known, audience, registry)
    notices: tuple[Notice, ...] = ()
    missed: tuple[Member, ...] = ()
    decision = ""
    if state.has_news:
        missed = tuple(_missed(before, after, audience))
        decision = decision_id(registry.secret, state.key, state.sequence)
        shared = Shared(known, entered.subject, after, _authorises(was, after), flags)
        notices = (
            *_tell(before, entered, shared, was, audience, decision),
            *_farewells(before, audience, registry, decision),
        )
        state.told = _told_after(before, state, notices, after)
    facts = said_by(state, known, after, audience.sailing)
    changed_facts = to_send(state.said, facts)
    state.said = facts
    waits, waiting_changed = _waits(before, state, known, was, after, audience, missed, registry)
    return Decision(
        state, entered, was, after, flags, notices, changed_facts, entered.letters, waits, waiting_changed, decision
    )


def _tell(
    before: BillState,
    entered: Entered,
    shared: Shared,
    was: Assessment | None,
    audience: Audience,
    decision: str,
) -> Iterator[Notice]:
    """Everyone entitled hears of an event, and of a change of status whatever its cause; who is new hears the status
    now, which stands for all events so far."""
    state, after = entered.state, shared.after
    everyone = entered.subject.event_id is not None or after != was
    status_now: Shared | None = None
    for member in audience.members.values():
        told = before.told.get(member.scac)
        if member.topic is None or not _entitled(member, told, after):
            continue
        new = was is not None and _is_new(member, before, was)
        if not new and not everyone:
            continue
        kind = CHANGE if is_vessel_key(state.key) else kind_of(was, after, told, status_now=new)
        number = notice_id(decision, member.scac)
        if not new:
            yield Notice(shared, member, kind, entered.cause, number)
            continue
        if status_now is None:
            subject = shared.subject if entered.subject.event_id else _latest(state)
            status_now = shared._replace(subject=subject, authorises=after.authorises)
        yield Notice(status_now, member, kind, CATCH_UP, number, _covered(state))


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


def _is_new(member: Member, before: BillState, was: Assessment) -> bool:
    """Whether a member missed something that was said before: it gets the status now instead."""
    if any(entry.partition(":")[2] == member.scac for entry in before.waiting):
        return True
    return member.scac not in before.told and _entitled(member, None, was)


def _covered(state: BillState) -> tuple[str, ...]:
    """What a status-now notice stands for: all events so far, those that could not be read and words too."""
    return tuple(sorted(state.event_ids() | state.unread.keys() | state.words.keys()))


def _missed(before: BillState, after: Assessment, audience: Audience) -> Iterator[Member]:
    """Those who should be told and can't be: they wait, visibly."""
    for member in audience.members.values():
        told = before.told.get(member.scac)
        if member.topic is None and member.why_not != "EXTERNAL" and _entitled(member, told, after):
            yield member


def _farewells(before: BillState, audience: Audience, registry: Registry, decision: str) -> Iterator[Notice]:
    """One last `Change` to each who was told and has no ground any more: with nothing it had not seen."""
    for scac, told in before.told.items():
        if scac in audience.members:
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
    found = (
        ("HOLD_UNSEEN", entered.subject.event_id in state.unseen),
        ("SAILING_UNKNOWN", audience.sailing is None),
        ("NO_SNP", _lacks_snp(state.key, known)),
        ("VESSEL_MISMATCH", mismatch),
    )
    flags = (*entered.flags, *(flag for flag, applies in found if applies))
    return flags if state.by_hand is None else tuple(dict.fromkeys((*flags, *flags_by_hand(state.by_hand))))


def flags_by_hand(by_hand: ByHand) -> tuple[str, ...]:
    """MANUAL also on whatever says that a bill is released, as long as that rests on a word alone."""
    flags = (("MANUAL", by_hand.releases), (CONTRADICTION, bool(by_hand.contradictions)))
    return tuple(flag for flag, applies in flags if applies)


def _lacks_snp(key: str, known: Known) -> bool:
    return not is_vessel_key(key) and not known.snps and known.needs_snp(split_bill_key(key)[0])


def _waits(
    before: BillState,
    state: BillState,
    known: Known,
    was: Assessment | None,
    after: Assessment,
    audience: Audience,
    missed: tuple[Member, ...],
    registry: Registry,
) -> tuple[Waits | None, bool]:
    """What keeps the bill incomplete. Nobody waits for a bill of which there is nothing to tell."""
    reasons = []
    if state.has_news:
        if audience.sailing is None:
            reasons.append("NO_SAILING")
        if _lacks_snp(state.key, known):
            reasons.append("NO_SNP")
    if state.by_hand is not None and state.by_hand.contradictions:
        reasons.append(CONTRADICTION)
    reasons.extend(f"{member.why_not}:{member.scac}" for member in missed)
    state.waiting = (*reasons, *(("DO_NOT_LOAD",) if reasons and after.do_not_load else ()))
    if state.waiting == before.waiting and not (reasons and was and was.status != after.status):
        return None, False
    if not reasons:
        state.waiting_since = 0
        return None, True
    state.waiting_since = before.waiting_since or registry.now
    kinds = tuple(dict.fromkeys(reason.partition(":")[0] for reason in reasons))
    parties = tuple(member.scac for member in missed)
    return Waits(kinds, parties, after.status, after.do_not_load, state.waiting_since), True
