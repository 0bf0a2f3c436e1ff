"""Confirmations: an operator ends a bill's doubts, or one doubt of many bills at once.

A confirmation binds to the doubts and events that the operator saw. Each is written in one append with its entry on
`snp.audit`; `snp-router run` applies it and sends the notices.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final, NamedTuple

from router import codec, topics
from router.clock import now_milliseconds
from router.codec.packed import BILL_STATE
from router.decide.bill import decide
from router.decide.bill_state import AssessedBill, assess_bill
from router.decide.deeds import same_person
from router.decide.identity import content_hash
from router.decide.registry import Context
from router.decide.rules import Rules
from router.decide.status import CLEARED_BY_HAND, INPUT_UNCERTAIN, Assessment
from router.desk.bill_views import NotFoundError, read_state
from router.desk.operator_deeds import CONFIRMED, ForeseenNotice, letters_behind
from router.engine.administration import AuditEntry, audit_output, read_registry
from router.errors import UsageError
from router.log.interface import Log, Output
from router.model.identifiers import split_bill_key
from router.model.inputs import Confirmation, DeadLetter
from router.model.vocabulary import Confirmable, Doubt
from router.task.outputs import letter_output

AT_ONCE: Final = 200
"""Bills confirmed in one append."""


class Operator(NamedTuple):
    """The person who confirms, and on what evidence."""

    by: str
    user: str
    """The account: `os:<name>` or `console:<name>`."""
    reason: str


class Confirmed(NamedTuple):
    """Result of a confirmation."""

    bill: str
    doubts: tuple[Confirmable, ...]
    """Everything that it ends."""
    covers: tuple[str, ...]
    """Ids of the events covered."""
    letters: tuple[str, ...]
    """Ids of the dead letters resolved."""


class ForeseenConfirmation(NamedTuple):
    """A confirmation's consequences as of now."""

    doubts: tuple[Confirmable, ...]
    """Everything that it ends."""
    after: Assessment
    notices: tuple[ForeseenNotice, ...]
    seen: str
    """The `fingerprint` of the bill to be confirmed."""


async def confirm(
    log: Log,
    rules: Rules,
    key: str,
    operator: Operator,
    *,
    events: Sequence[str] = (),
    doubts: Collection[str] = (),
    seen: str | None = None,
) -> Confirmed:
    """Confirm a bill's doubts, or the named ones, on `events` or else on all events that are on it now.

    `seen` is the `fingerprint` of the bill that the operator saw. Raises NotFoundError; UsageError where there is
    nothing to confirm, where the bill has changed since, and where another person has to do it.
    """
    bill = assess_bill(await read_state(log, key), rules)
    if seen is not None and fingerprint(bill) != seen:
        raise UsageError(f"{key} has changed since you saw it: look at it again, then confirm it")
    confirmation = confirmation_of(bill, rules, operator, events, doubts)
    covers = set(confirmation.covers)
    letters = list((await letters_behind(log, covers & bill.state.unparsed.keys())).values())
    await log.append(_outputs(confirmation, key, letters), atomic=True)
    return Confirmed(key, confirmation.doubts, confirmation.covers, tuple(letter.id for letter in letters))


async def foresee_confirmation(log: Log, rules: Rules, key: str, operator: Operator) -> ForeseenConfirmation:
    """Find out what the confirmation of all of a bill's doubts would do. Raises as `confirm`."""
    bill = assess_bill(await read_state(log, key), rules)
    confirmation = confirmation_of(bill, rules, operator, (), ())
    decision = decide(bill, confirmation, Context(await read_registry(log), rules))
    after = decision.bill.status if decision.bill is not None else bill.status
    notices = tuple(ForeseenNotice(notice.recipient.id, notice.kind) for notice in decision.notices)
    return ForeseenConfirmation(confirmation.doubts, after, notices, fingerprint(bill))


def confirmation_of(
    bill: AssessedBill, rules: Rules, operator: Operator, events: Sequence[str], doubts: Collection[str]
) -> Confirmation:
    """The confirmation of the named doubts, or else all, on the named events, or else all. Raises NotFoundError,
    UsageError as `confirm` does."""
    key, known = bill.state.key, bill.confirmable_ids()
    if unknown := [event for event in events if event not in known]:
        raise NotFoundError(f"{key} has no event {', '.join(unknown)}: see the ids in `snp-router bill show {key}`")
    possible = bill.confirmable_doubts()
    if not possible:
        raise UsageError(
            f"nothing to confirm on {key}: its status is {bill.status.status}, without doubts and contradictions, and "
            "none of its holds stands for an unreadable event or an unknown code"
        )
    if absent := [doubt for doubt in doubts if doubt not in possible]:
        raise UsageError(f"{key} has no doubt {', '.join(absent)}: it has {', '.join(possible)}")
    chosen = tuple(doubt for doubt in possible if not doubts or doubt in doubts)
    if CLEARED_BY_HAND in chosen and rules.four_eyes and (own := _cleared_by(bill, operator.user)):
        more = "" if len(chosen) == 1 else "; the other doubts you may confirm with --doubt"
        raise UsageError(
            f"you cleared {', '.join(own)} of {key} yourself ({operator.user}): another person has to confirm that, "
            f"logged in to this machine or to the console under another name{more}"
        )
    covers = tuple(sorted(set(events) or known))
    return Confirmation(
        *split_bill_key(key), covers, operator.by, operator.reason, now_milliseconds(), chosen, operator.user
    )


def _cleared_by(bill: AssessedBill, user: str) -> list[str]:
    """Codes of the cleared holds, if this person cleared all of them."""
    cleared = bill.state.deeds.cleared
    waiting = [
        by
        for hold in bill.status.cleared
        for event in hold.events
        if (by := cleared.get((event, hold.code, hold.container_number))) is not None and not by.confirmed
    ]
    is_own = bool(waiting) and all(same_person(by.user, user) for by in waiting)
    return [hold.code or hold.kind for hold in bill.status.cleared] if is_own else []


def _outputs(confirmation: Confirmation, key: str, letters: Sequence[DeadLetter] = ()) -> list[Output]:
    doubts, events = ", ".join(confirmation.doubts), len(confirmation.covers)
    detail = f"{confirmation.reason} ({confirmation.user}; {doubts}; covers {events} events)"
    deed = AuditEntry(confirmation.received_at, confirmation.by, "bill confirm", key, detail)
    resolved = [letter_output(letter._replace(resolution=CONFIRMED)) for letter in letters]
    return [
        Output(topics.DISPOSITIONS, key.encode(), codec.encode_value(confirmation)), *resolved, audit_output(deed)
    ]  # fmt: skip


def fingerprint(bill: AssessedBill) -> str:
    """Token of what an operator sees before a confirmation: status, doubts, holds and events."""
    status = bill.status
    seen = (bill.state.key, status.status, bill.confirmable_doubts(), status.holds, sorted(bill.confirmable_ids()))
    return content_hash(repr(seen))


# One doubt of many bills


class BillFilter(NamedTuple):
    """The bills that one doubt keeps from being released, no hold standing; for `INPUT_UNCERTAIN`, held ones too."""

    doubt: Doubt
    carrier: str | None = None
    vessel: str | None = None
    """Name or IMO number."""
    port: str | None = None
    """Port of unlading."""
    hold_code: str | None = None
    """Code of a hold that was posted after the release."""

    def matches(self, bill: AssessedBill) -> bool:
        status, shipment = bill.status, bill.cargo.shipment
        if self.doubt not in status.doubts:
            return False
        if self.doubt != INPUT_UNCERTAIN and (status.holds or not bill.account.releases):
            return False
        vessels = {(shipment.vessel_name or "").upper(), shipment.imo_number}
        return (
            self.carrier in (None, shipment.carrier_scac)
            and (self.vessel is None or self.vessel.upper() in vessels)
            and self.port in (None, shipment.port_of_unlading)
            and (self.hold_code is None or self.hold_code in _codes_of_later_holds(bill))
        )


def _codes_of_later_holds(bill: AssessedBill) -> set[str]:
    later = {event for release in bill.account.releases for event in release.stale_by.values()}
    return {event.code for event in bill.state.events if event.id in later}


class PreviewedBill(NamedTuple):
    """A bill as the operator saw it before a confirmation."""

    bill: str
    status: str
    doubts: tuple[Confirmable, ...]
    """The bills to be confirmed."""
    seen: str
    """Its `fingerprint`."""


class SkippedBill(NamedTuple):
    bill: str
    reason: str


async def preview(log: Log, rules: Rules, wanted: BillFilter) -> list[PreviewedBill]:
    """The bills that fit, by key. Reads all of `snp.bills`."""
    found: dict[str, PreviewedBill] = {}
    async for key, bill in assessed_bills(log, rules):
        found.pop(key, None)
        if bill is not None and wanted.matches(bill):
            found[key] = PreviewedBill(key, bill.status.status, (wanted.doubt,), fingerprint(bill))
    return [found[key] for key in sorted(found)]


async def preview_bill(log: Log, rules: Rules, key: str) -> PreviewedBill:
    """Raises NotFoundError."""
    bill = assess_bill(await read_state(log, key), rules)
    return PreviewedBill(key, bill.status.status, bill.confirmable_doubts(), fingerprint(bill))


async def confirm_previewed(
    log: Log, rules: Rules, previewed: Sequence[PreviewedBill], operator: Operator
) -> tuple[list[Confirmed], list[SkippedBill]]:
    """Confirm the doubts previewed. Bills that changed since, or that another person has to confirm, are skipped."""
    wanted = {one.bill: one for one in previewed}
    current = {key: bill async for key, bill in assessed_bills(log, rules, wanted.keys())}
    confirmations: dict[str, Confirmation] = {}
    skipped: list[SkippedBill] = []
    unparsed: set[str] = set()
    for key in wanted:
        bill = current.get(key)
        if bill is None or fingerprint(bill) != wanted[key].seen:
            skipped.append(SkippedBill(key, "changed since the preview"))
            continue
        try:
            confirmations[key] = confirmation_of(bill, rules, operator, (), wanted[key].doubts)
        except UsageError as error:
            skipped.append(SkippedBill(key, str(error)))
            continue
        unparsed |= bill.state.unparsed.keys() & set(confirmations[key].covers)
    letters = await letters_behind(log, unparsed)
    confirmed: list[Confirmed] = []
    outputs: list[list[Output]] = []
    for key, confirmation in confirmations.items():
        behind = [letters[event] for event in confirmation.covers if event in letters]
        outputs.append(_outputs(confirmation, key, behind))
        ended = tuple(letter.id for letter in behind)
        confirmed.append(Confirmed(key, confirmation.doubts, confirmation.covers, ended))
    for start in range(0, len(outputs), AT_ONCE):
        await log.append([output for one in outputs[start : start + AT_ONCE] for output in one], atomic=True)
    return confirmed, skipped


async def assessed_bills(
    log: Log, rules: Rules, keys: Collection[str] | None = None
) -> AsyncIterator[tuple[str, AssessedBill | None]]:
    """Bills as of now, or those of `keys`; None for one that was forgotten. One bill may come several times: the last
    counts."""
    async for batch in log.read([topics.BILLS], until_end=True):
        for record in batch:
            if record.key.startswith(topics.POSITION_KEY):
                continue
            key = record.key.decode()
            if keys is None or key in keys:
                value = record.value
                yield key, assess_bill(BILL_STATE.decode(value), rules) if value is not None else None
