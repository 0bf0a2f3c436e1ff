"""The reasons why a bill is incomplete, as listed in `snp.waiting`: somebody was not notified, or can't be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from router.decide.audience import Audience, Recipient
from router.decide.bill_state import AssessedBill, BillState
from router.decide.boxes import DERIVED
from router.decide.cargo_facts import Cargo
from router.decide.manual_events import CONTRADICTION
from router.decide.status import Assessment
from router.model.identifiers import is_vessel_key, split_bill_key
from router.model.vocabulary import Status

SAILING_ASSUMED: Final = "SAILING_ASSUMED"
"""Flag and waiting reason: no sailing is positively found, so the operator of a likely one gets stops."""

VESSEL_AMBIGUOUS: Final = "VESSEL_AMBIGUOUS"
"""Waiting reason: two IMO numbers have the vessel's name, and the message has none."""

CONTAINER_UNKNOWN: Final = "CONTAINER_UNKNOWN"
"""Waiting reason: a hold names a container that can't be recognised, so other bills in it are not stopped."""

BILL_UNCERTAIN: Final = "BILL_UNCERTAIN"
"""Waiting reason: only damaged input names the bill, so nobody is told of it."""


class WaitingReasons(Struct, frozen=True, array_like=True):
    """The record of an incomplete bill in `snp.waiting`."""

    reasons: tuple[str, ...]
    parties: tuple[str, ...]
    status: Status
    do_not_load: bool
    since: int


def lacks_snp(key: str, cargo: Cargo) -> bool:
    return not is_vessel_key(key) and not cargo.snps and cargo.needs_snp(split_bill_key(key)[0])


def waiting_reasons(after: AssessedBill, audience: Audience, waiting: tuple[Recipient, ...]) -> tuple[str, ...]:
    """Reasons why the bill is incomplete. A bill without anything to notify waits for nobody."""
    state = after.state
    reasons: list[str] = []
    if state.is_unnamed:
        reasons += [BILL_UNCERTAIN] if _is_open(after) else []
    elif not state.is_superseded:
        if state.is_notifiable:
            reasons.extend(_sailing_reason(audience))
        if state.is_notifiable and lacks_snp(state.key, after.cargo):
            reasons.append("NO_SNP")
        if any(hold.names_unknown_container for hold in after.status.holds if hold.kind not in DERIVED):
            reasons.append(CONTAINER_UNKNOWN)
        if after.relayed.contradictions:
            reasons.append(CONTRADICTION)
    reasons.extend(f"{recipient.unreachable}:{recipient.id}" for recipient in waiting)
    if reasons and after.status.do_not_load:
        reasons.append("DO_NOT_LOAD")
    return tuple(reasons)


def _is_open(after: AssessedBill) -> bool:
    """True unless an operator has cleared or resolved everything that was fed in of a bill."""
    state = after.state
    cleared = {event for event, *_ in state.deeds.cleared}
    return any(event.id not in cleared for event in state.events) or bool(state.unparsed.keys() - state.resolved)


def _sailing_reason(audience: Audience) -> Iterator[str]:
    if audience.assumed is not None:
        yield SAILING_ASSUMED
    elif audience.sailing is None:
        yield VESSEL_AMBIGUOUS if audience.vessel_is_ambiguous else "NO_SAILING"


def waiting_record(
    old: BillState,
    was: Assessment | None,
    after: Assessment,
    reasons: tuple[str, ...],
    waiting: tuple[Recipient, ...],
    now: int,
) -> tuple[WaitingReasons | None, bool]:
    """The bill's record in `snp.waiting`, and True if it is to be written; None deletes it."""
    status_changed = bool(reasons and was and was.status != after.status)
    if reasons == old.waiting and not status_changed:
        return None, False
    if not reasons:
        return None, True
    kinds = tuple(dict.fromkeys(reason.partition(":")[0] for reason in reasons if reason != "DO_NOT_LOAD"))
    parties = tuple(recipient.id for recipient in waiting)
    return WaitingReasons(kinds, parties, after.status, after.do_not_load, old.waiting_since or now), True
