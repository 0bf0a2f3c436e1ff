"""Clearances: an operator ends holds that CBP ended outside the feed.

Written in one append with its entry on `snp.audit`; `snp-router run` applies it and sends the notices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from router import codec, topics
from router.clock import now_milliseconds
from router.decide.bill import decide
from router.decide.bill_state import AssessedBill, assess_bill
from router.decide.cargo_facts import Cargo
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.decide.standing_holds import CBP_HOLD, MANUAL_HOLD, UNPARSED_KINDS, StandingHold
from router.decide.status import CLEARED_BY_HAND, Assessment
from router.desk.bill_views import NotFoundError, read_state
from router.desk.operator_deeds import CONFIRMED, ForeseenNotice, letters_behind
from router.engine.administration import AuditEntry, audit_output, read_registry
from router.errors import UsageError
from router.feeds.forms import ClearanceForm
from router.log.interface import Log, Output
from router.model.identifiers import container_key, split_bill_key
from router.model.inputs import Clearance, DeadLetter
from router.model.links import MORE_EVENTS
from router.model.vocabulary import HoldKind
from router.task.outputs import letter_output

IN_BULK: Final[tuple[HoldKind, ...]] = ("BOX", *UNPARSED_KINDS, MANUAL_HOLD)
"""Kinds of hold that `--all` clears. Of the others each one is named by its events."""


class Cleared(NamedTuple):
    """A clearance with its consequences as of now."""

    clearance: Clearance
    cargo: Cargo
    holds: tuple[StandingHold, ...]
    """Holds that it ends, in whole or in part."""
    after: Assessment
    notices: tuple[ForeseenNotice, ...]
    letters: tuple[str, ...]
    """Ids of the dead letters that it resolves."""

    @property
    def unparsed(self) -> tuple[str, ...]:
        """Events that could not be read, whose holds it ends."""
        return self.clearance.events if self.clearance.kind in UNPARSED_KINDS else ()

    @property
    def needs_second_person(self) -> bool:
        return CLEARED_BY_HAND in self.after.doubts


async def clear(log: Log, rules: Rules, key: str, form: ClearanceForm, *, user: str, preview: bool = False) -> Cleared:
    """Clear holds of a bill; with `preview` only find out what that would do.

    Raises NotFoundError for a bill or an event that is unknown, UsageError where the form names no holds, or holds that
    can't be cleared together.
    """
    bill = assess_bill(await read_state(log, key), rules)
    cleared = foresee_clearance(bill, await read_registry(log), rules, form, user)
    letters = await letters_behind(log, cleared.unparsed)
    if not preview:
        await log.append(clearance_outputs(cleared, key, letters), atomic=True)
    return cleared._replace(letters=tuple(letter.id for letter in letters.values()))


def foresee_clearance(bill: AssessedBill, registry: Registry, rules: Rules, form: ClearanceForm, user: str) -> Cleared:
    """The clearance of that bill, but for the dead letters that it resolves. Raises as `clear`."""
    key = bill.state.key
    clearance = _clearance(bill, key, form, user, now_milliseconds())
    decision = decide(bill, clearance, Context(registry, rules))
    after = decision.bill.status if decision.bill is not None else bill.status
    left = {place_of(hold): hold for hold in after.holds}
    ended = tuple(hold for hold in bill.status.holds if left.get(place_of(hold)) != hold)
    if not ended:
        raise UsageError(f"this ends nothing on {key}: name the latest event of the hold, see `snp-router bill show`")
    notices = tuple(ForeseenNotice(notice.recipient.id, notice.kind) for notice in decision.notices)
    return Cleared(clearance, bill.cargo, ended, after, notices, ())


def clearance_outputs(cleared: Cleared, key: str, letters: Mapping[str, DeadLetter]) -> list[Output]:
    """The clearance, the dead letters that it resolves, and its entry of the audit. `letters` are by their event."""
    behind = [letters[event] for event in cleared.unparsed if event in letters]
    resolved = [letter_output(letter._replace(resolution=CONFIRMED)) for letter in behind]
    deed = audit_output(_deed(cleared, key))
    return [Output(topics.DISPOSITIONS, key.encode(), codec.encode_value(cleared.clearance)), *resolved, deed]


def place_of(hold: StandingHold) -> tuple[str, str | None, str | None, str | None]:
    """The parts that tell one hold of a bill from another."""
    return hold.kind, hold.code, hold.container_number, hold.id


def _clearance(bill: AssessedBill, key: str, form: ClearanceForm, user: str, now: int) -> Clearance:
    kind, holds = _named_holds(bill, key, form)
    events = (event for hold in holds for event in hold.events if event != MORE_EVENTS)
    named = tuple(dict.fromkeys(event for event in events if not form.events or event.startswith(form.events)))
    if kind == CBP_HOLD and len(named) > 1:
        raise UsageError("holds that CBP sent are cleared one at a time: name one event, with all of its id")
    scope = (holds[0].code, holds[0].container_number) if kind == CBP_HOLD else (None, None)
    scac, number = split_bill_key(key)
    return Clearance(
        scac, number, kind, named, form.source, form.reason, form.by, user, now, form.ticket, *scope
    )  # fmt: skip


def _named_holds(bill: AssessedBill, key: str, form: ClearanceForm) -> tuple[HoldKind, list[StandingHold]]:
    """The holds that the form names, all of one kind."""
    container = form.container and container_key(form.container)
    holds = [
        hold
        for hold in bill.status.holds
        if (form.kind is None or hold.kind == form.kind)
        and (container is None or hold.container_number == container)
        and (not form.events or any(event.startswith(form.events) for event in hold.events))
    ]
    known = {event for hold in holds for event in hold.events}
    for begins in form.events:
        if not any(event.startswith(begins) for event in known):
            raise NotFoundError(f"no hold of {key} has the event {begins}: see `snp-router bill show {key}`")
    if not holds:
        raise UsageError(f"{key} has no such hold: see `snp-router bill show {key}`")
    kinds = {hold.kind for hold in holds}
    if len(kinds) > 1:
        raise UsageError(f"these are holds of several kinds ({', '.join(sorted(kinds))}): clear one kind at a time")
    (kind,) = kinds
    if not form.events and kind not in IN_BULK:
        raise UsageError(f"a {kind} hold is cleared by the ids of its events: name them, see `snp-router bill show`")
    if kind == CBP_HOLD and len(holds) > 1:
        raise UsageError("holds that CBP sent are cleared one at a time: name the container, or one event only")
    return kind, holds


def _deed(cleared: Cleared, key: str) -> AuditEntry:
    one = cleared.clearance
    what = ", ".join(f"{hold.kind} {hold.code or ''} {hold.container_number or ''}".strip() for hold in cleared.holds)
    told = f"{one.source}{f', ticket {one.ticket}' if one.ticket else ''}"
    detail = f"{what}: {one.reason} ({told}; {one.user}; events {', '.join(one.events)})"
    return AuditEntry(one.received_at, one.by, "hold clear", key, detail)
