"""What keeps a bill incomplete: who could not be told, what is missing or disputed. It is listed in `snp.waiting`.

From a bill before and after a record to who is told what, what the index hears, what waits, and the history.

Kept in one place so that every cause (an event, a filing, a link, an operator, a change of the registry) ends the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from router.decide.audience import Audience, Recipient, audience_of
from router.decide.bill_state import BillState
from router.decide.boxes import changed_facts, facts_of
from router.decide.cargo_facts import Cargo
from router.decide.identity import decision_id
from router.decide.manual_events import DowntimeRecord, RelayedOutcome
from router.decide.notices import LADING, RESYNC, Entered
from router.decide.outages import is_behind
from router.decide.paper import REISSUED, handovers, taken_over
from router.decide.recipients import Notice, Shared, covered, farewells, not_reached, tell, tell_superseded, told_after
from router.decide.registry import Registry, same_name
from router.decide.rules import Rules
from router.decide.status import Assessment
from router.model.eastern import MINUTE
from router.model.identifiers import is_vessel_key, split_bill_key
from router.model.inputs import DeadLetter
from router.model.links import IndexFact, Refiling, RefilingAnswer
from router.model.vocabulary import Authority, Flag

CONTRADICTION: Final = "CONTRADICTION"
"""Flag, and reason to wait: what was said by hand and what CBP sent disagree. Meanwhile what holds stands."""

FEED_BEHIND: Final = "FEED_BEHIND"
"""Flag: an outage covers the bill, so no news of it is no clearance."""


class Incomplete(NamedTuple):
    """That a bill is incomplete: what is missing, and who could not be told."""

    reasons: tuple[str, ...]
    parties: tuple[str, ...]
    status: str
    do_not_load: bool
    since: int


def lacks_snp(key: str, known: Cargo) -> bool:
    return not is_vessel_key(key) and not known.snps and known.needs_snp(split_bill_key(key)[0])


def incompleteness(
    before: BillState,
    state: BillState,
    known: Cargo,
    was: Assessment | None,
    after: Assessment,
    audience: Audience,
    missed: tuple[Recipient, ...],
    registry: Registry,
) -> tuple[Incomplete | None, bool]:
    """What keeps the bill incomplete. Nobody waits for a bill of which there is nothing to tell."""
    reasons = []
    superseded = state.offline is not None and state.offline.is_superseded
    if state.has_news and not superseded:
        if audience.sailing is None:
            reasons.append("NO_SAILING")
        if lacks_snp(state.key, known):
            reasons.append("NO_SNP")
    if state.by_hand is not None and state.by_hand.contradictions and not superseded:
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
    return Incomplete(kinds, parties, after.status, after.do_not_load, state.waiting_since), True


class Decision(NamedTuple):
    """What a record did. The order of `notices` is the order in which they go out."""

    state: BillState | None
    """None: nothing is kept of the bill (any more)."""
    entered: Entered | None = None
    """None: the record added nothing; then only `letters` may be filled."""
    before: Assessment | None = None
    after: Assessment | None = None
    flags: tuple[Flag, ...] = ()
    notices: tuple[Notice, ...] = ()
    facts: tuple[IndexFact, ...] = ()
    links: tuple[Refiling | RefilingAnswer, ...] = ()
    letters: tuple[DeadLetter, ...] = ()
    waits: Incomplete | None = None
    waiting_changed: bool = False
    id: str = ""
    """What its notices' ids begin with; empty where there is nothing to tell."""


def conclude(before: BillState, entered: Entered, registry: Registry, rules: Rules) -> Decision:
    """What follows from a record that is entered already. Changes and returns `entered.state`."""
    state = entered.state
    was = before.assess(rules)[1] if before.has_news else None
    state.view = None
    known, after = state.assess(rules)
    state.sequence = (state.sequence or registry.elapsed // MINUTE) + 1
    if entered.cause != RESYNC:  # nothing was heard of the bill
        state.touched = max(state.touched, registry.elapsed)
    in_box = any(link.kind == "BOX" for link in state.links.values())
    audience = audience_of(state.key, known, in_box, registry)
    flags = _flags(entered, state, known, audience, registry)
    notices: tuple[Notice, ...] = ()
    missed: tuple[Recipient, ...] = ()
    decision = ""
    quiet = state.offline is not None and state.offline.is_superseded
    if state.has_news:
        decision = decision_id(registry.secret, state.key, state.sequence)
        shared = Shared(known, entered.subject, after, _authorises(was, after), flags)
        if quiet:
            notices = tuple(tell_superseded(before, entered, shared, was, audience, registry, decision))
        else:
            missed = tuple(not_reached(before, entered, after, audience))
            notices = (
                *tell(before, entered, shared, was, audience, decision),
                *farewells(before, before.told.keys() - audience.members.keys(), registry, decision),
            )
        state.told = told_after(before, state, notices, after)
    changed_facts = _say(before, state, known, after, audience, quiet=quiet)
    waits, waiting_changed = incompleteness(before, state, known, was, after, audience, missed, registry)
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
    before: BillState, state: BillState, known: Cargo, after: Assessment, audience: Audience, *, quiet: bool
) -> tuple[IndexFact, ...]:
    """What the index is to hear: nothing, where what the bill says follows from the same as before."""
    state.saying = (known, after.holds, audience.sailing, quiet)
    if before.saying == state.saying:
        return ()
    facts = facts_of(state, known, after, audience.sailing)
    if quiet and not any(fact.stopped for fact in facts.values()):
        facts = {}  # the same cargo is in its boxes under its new number
    changed = changed_facts(state.said, facts)
    state.said = facts
    return changed


def _links(before: BillState, entered: Entered, audience: Audience) -> tuple[Refiling | RefilingAnswer, ...]:
    """Between a paper bill and the one it was filed as."""
    answer = (taken_over(entered.handover, audience),) if entered.handover is not None else ()
    return (*answer, *handovers(before, entered.state, covered(before)))


def _authorises(was: Assessment | None, after: Assessment) -> tuple[Authority, ...]:
    if was is not None and was.do_not_load and not after.do_not_load:
        return (LADING, *after.authorises)
    return after.authorises


def _flags(
    entered: Entered, state: BillState, known: Cargo, audience: Audience, registry: Registry
) -> tuple[Flag, ...]:
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


def _offline_flags(offline: DowntimeRecord, by_hand: RelayedOutcome | None) -> Iterator[Flag]:
    """MANUAL also on whatever says that a bill is released, as long as that rests on a word alone."""
    if by_hand is not None and by_hand.releases:
        yield "MANUAL"
    if by_hand is not None and by_hand.contradictions:
        yield CONTRADICTION
    if offline.is_superseded:
        yield REISSUED
