"""Deeds on many bills: foreseen first, then done on those that have not changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from router.codec.packed import BILL_STATE
from router.decide.bill import decide
from router.decide.bill_state import AssessedBill, assess_bill
from router.decide.identity import key_of
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.desk.bill_index import BillIndex
from router.desk.bill_views import NotFoundError, read_state
from router.desk.clearances import IN_BULK, Cleared, clearance_outputs, foresee_clearance
from router.desk.confirmations import (
    AT_ONCE,
    Operator,
    PreviewedBill,
    assessed_bills,
    confirm_previewed,
    confirmation_of,
    fingerprint,
)
from router.desk.operator_deeds import ForeseenBill, ForeseenNotice, letters_behind
from router.engine.administration import read_registry
from router.errors import InputError, UsageError
from router.feeds.forms import ClearanceForm, checked
from router.log.interface import Log
from router.model.identifiers import bill_key
from router.model.inputs import Disposition, Filing, PaperBill, PaperMatch
from router.model.vocabulary import HoldKind

MOST_AT_ONCE: Final = 1000
"""Bills of one deed. Of more, nobody reads the preview."""

DeedName = Literal["confirm", "clear"]


class BulkDeed(NamedTuple):
    """A deed as an operator asks for it."""

    name: DeedName
    operator: Operator
    kind: HoldKind | None = None
    """The kind of hold that `clear` ends; all of that kind end."""
    source: str | None = None
    """The person at CBP who said so, for `clear`."""
    ticket: str | None = None

    def heading(self, bills: int) -> str:
        """`Confirm 2 bills`, `Clear all box holds of 1 bill`."""
        kind = (self.kind or "").replace("_", " ").lower()
        what = "Confirm" if self.name == "confirm" else f"Clear all {kind} holds of"
        return f"{what} {bills:,} bill{'' if bills == 1 else 's'}"

    def form(self) -> ClearanceForm:
        """The form of a clearance. Raises UsageError for what is missing in it."""
        given = {"kind": self.kind, "source": self.source, "ticket": self.ticket}
        return checked(ClearanceForm, given | {"reason": self.operator.reason, "by": self.operator.by})

    def check(self) -> None:
        """Raise UsageError for a deed that is not complete."""
        if self.name == "clear":
            if self.kind not in IN_BULK:
                raise UsageError(f"holds are cleared together by their kind: {', '.join(IN_BULK)}")
            self.form()


class Done(NamedTuple):
    """Receipt of one bill."""

    bill: str
    refusal: str | None
    """Why nothing was done. None: it was."""

    @property
    def is_done(self) -> bool:
        return self.refusal is None


async def foresee(
    index: BillIndex, registry: Registry, rules: Rules, deed: BulkDeed, keys: Sequence[str]
) -> list[ForeseenBill]:
    """Find out what the deed would do to each bill, and write nothing. In the order asked; raises UsageError for a deed
    that is not complete, and for too many bills."""
    deed.check()
    if len(keys) > MOST_AT_ONCE:
        raise UsageError(f"these are {len(keys):,} bills: narrow the list to {MOST_AT_ONCE:,} at most")
    found = []
    for key in keys:
        value = await index.state(key)
        if value is None:
            found.append(ForeseenBill(key, "", "", refusal="it is not known any more"))
            continue
        bill = assess_bill(BILL_STATE.decode(value), rules)
        try:
            found.append(_foreseen(registry, rules, deed, bill))
        except UsageError as error:
            status = bill.status.status
            found.append(ForeseenBill(key, status, status, seen=fingerprint(bill), refusal=str(error)))
    return found


def _foreseen(registry: Registry, rules: Rules, deed: BulkDeed, bill: AssessedBill) -> ForeseenBill:
    key, seen, before = bill.state.key, fingerprint(bill), bill.status.status
    if deed.name == "clear":
        cleared = foresee_clearance(bill, registry, rules, deed.form(), deed.operator.user)
        ended = (f"ends {hold.kind.replace('_', ' ').lower()} {hold.code or ''}".strip() for hold in cleared.holds)
        return ForeseenBill(key, before, cleared.after.status, tuple(ended), cleared.notices, seen)
    confirmation = confirmation_of(bill, rules, deed.operator, (), ())
    decision = decide(bill, confirmation, Context(registry, rules))
    after = (decision.bill or bill).status.status
    notices = tuple(ForeseenNotice(notice.recipient.id, notice.kind) for notice in decision.notices)
    doubts = tuple(f"ends {doubt.replace('_', ' ').lower()}" for doubt in confirmation.doubts)
    return ForeseenBill(key, before, after, doubts, notices, seen)


async def foresee_records(
    index: BillIndex, registry: Registry, rules: Rules, records: Sequence[Disposition | Filing | PaperBill | PaperMatch]
) -> list[ForeseenBill]:
    """Find out what records would do to their bills, each bill once, in the order of the records. Those of a vessel are
    left out."""
    context, bills, found = Context(registry, rules), dict[str, AssessedBill | None](), dict[str, ForeseenBill]()
    for record in records:
        if isinstance(record, Disposition) and record.bill_of_lading is None:
            continue
        key = key_of(record)
        if key not in found:
            value = await index.state(key)
            bills[key] = assess_bill(BILL_STATE.decode(value), rules) if value is not None else None
            before = _status_of(bills[key])
            found[key] = ForeseenBill(key, before, before)
        foreseen = found[key]._replace(by=(*found[key].by, _cause_of(record)))
        try:
            decision = decide(bills[key], record, context)
        except InputError as error:
            found[key] = foreseen._replace(refusal=str(error))
            continue
        bills[key] = decision.bill
        notices = tuple(ForeseenNotice(notice.recipient.id, notice.kind) for notice in decision.notices)
        found[key] = foreseen._replace(after=_status_of(decision.bill), notices=foreseen.notices + notices)
    return list(found.values())


def _cause_of(record: Disposition | Filing | PaperBill | PaperMatch) -> str:
    if isinstance(record, PaperMatch):
        return f"paper bill {bill_key(record.scac, record.bill_of_lading)}"
    if isinstance(record, PaperBill):
        return "on paper"
    return record.disposition_code if isinstance(record, Disposition) else "filing"


def _status_of(bill: AssessedBill | None) -> str:
    return bill.status.status if bill is not None else ""


async def do(log: Log, rules: Rules, deed: BulkDeed, previewed: Mapping[str, str]) -> list[Done]:
    """Do the deed on bills that were foreseen, by key with the `fingerprint` of then. Those that changed since are left
    alone, and say so. Raises UsageError for a deed that is not complete."""
    deed.check()
    if deed.name == "clear":
        return await _clear(log, rules, deed, previewed)
    found: list[PreviewedBill] = []
    refusals: dict[str, str | None] = {}
    for key, seen in previewed.items():
        try:
            bill = assess_bill(await read_state(log, key), rules)
            found.append(PreviewedBill(key, bill.status.status, bill.confirmable_doubts(), seen))
        except NotFoundError as error:
            refusals[key] = str(error)
    confirmed, skipped = await confirm_previewed(log, rules, found, deed.operator)
    refusals |= {one.bill: one.reason for one in skipped}
    refusals |= dict.fromkeys((one.bill for one in confirmed), None)
    return [Done(key, refusals[key]) for key in previewed]


async def _clear(log: Log, rules: Rules, deed: BulkDeed, previewed: Mapping[str, str]) -> list[Done]:
    registry, form = await read_registry(log), deed.form()
    current = {key: bill async for key, bill in assessed_bills(log, rules, previewed.keys())}
    cleared: dict[str, Cleared] = {}
    refusals: dict[str, str | None] = {}
    for key, seen in previewed.items():
        bill = current.get(key)
        if bill is None or fingerprint(bill) != seen:
            refusals[key] = "changed since the preview"
            continue
        try:
            cleared[key] = foresee_clearance(bill, registry, rules, form, deed.operator.user)
        except UsageError as error:
            refusals[key] = str(error)
    letters = await letters_behind(log, {event for one in cleared.values() for event in one.unparsed})
    outputs = [clearance_outputs(one, key, letters) for key, one in cleared.items()]
    for start in range(0, len(outputs), AT_ONCE):
        await log.append([output for one in outputs[start : start + AT_ONCE] for output in one], atomic=True)
    return [Done(key, refusals.get(key)) for key in previewed]
