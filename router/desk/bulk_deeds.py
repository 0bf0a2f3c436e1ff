"""One deed on many bills: foreseen first, then done on those that have not changed since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from router.codec.packed import BILL_STATE
from router.decide.bill import decide
from router.decide.bill_state import AssessedBill, assess_bill
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.desk.bill_index import BillIndex
from router.desk.bill_views import NotFoundError, read_state
from router.desk.clearances import IN_BULK, clear
from router.desk.confirmations import Operator, PreviewedBill, confirm_previewed, confirmation_of, fingerprint
from router.desk.operator_deeds import ForeseenNotice
from router.errors import UsageError
from router.feeds.forms import ClearanceForm, checked
from router.log.interface import Log
from router.model.vocabulary import Confirmable, HoldKind

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


class ForeseenBill(NamedTuple):
    """Consequences of the deed for one bill, if nothing else comes first."""

    bill: str
    before: str
    """Its status now."""
    after: str
    doubts: tuple[Confirmable, ...]
    """Doubts that end."""
    holds: tuple[str, ...]
    """Holds that end, by kind and code."""
    notices: tuple[ForeseenNotice, ...]
    seen: str
    """Its `fingerprint`."""
    refusal: str | None = None
    """Why the deed can't be done on it. None: it can."""


class Foreseen(NamedTuple):
    """Consequences of a deed for all the bills, in the order asked."""

    bills: tuple[ForeseenBill, ...]

    @property
    def possible(self) -> list[ForeseenBill]:
        return [one for one in self.bills if one.refusal is None]

    @property
    def refused(self) -> list[ForeseenBill]:
        return [one for one in self.bills if one.refusal is not None]

    def notices_by_party(self) -> dict[str, Counter[str]]:
        """Number of notices of each kind, by recipient."""
        counts: dict[str, Counter[str]] = {}
        for one in self.possible:
            for notice in one.notices:
                counts.setdefault(notice.recipient, Counter())[notice.kind] += 1
        return dict(sorted(counts.items()))


class Done(NamedTuple):
    """Receipt of one bill."""

    bill: str
    refusal: str | None
    """Why nothing was done. None: it was."""

    @property
    def is_done(self) -> bool:
        return self.refusal is None


async def foresee(
    index: BillIndex, log: Log, registry: Registry, rules: Rules, deed: BulkDeed, keys: Sequence[str]
) -> Foreseen:
    """Find out what the deed would do, and write nothing. Raises UsageError for a deed that is not complete, and for
    too many bills."""
    deed.check()
    if len(keys) > MOST_AT_ONCE:
        raise UsageError(f"these are {len(keys):,} bills: narrow the list to {MOST_AT_ONCE:,} at most")
    found = []
    for key in keys:
        value = await index.state(key)
        if value is None:
            found.append(ForeseenBill(key, "", "", (), (), (), "", "it is not known any more"))
            continue
        bill = assess_bill(BILL_STATE.decode(value), rules)
        try:
            found.append(await _foreseen(log, registry, rules, deed, bill))
        except UsageError as error:
            status = bill.status.status
            found.append(ForeseenBill(key, status, status, (), (), (), fingerprint(bill), str(error)))
    return Foreseen(tuple(found))


async def _foreseen(log: Log, registry: Registry, rules: Rules, deed: BulkDeed, bill: AssessedBill) -> ForeseenBill:
    key, seen, before = bill.state.key, fingerprint(bill), bill.status.status
    if deed.name == "clear":
        cleared = await clear(log, rules, key, deed.form(), user=deed.operator.user, preview=True)
        holds = tuple(" ".join(filter(None, (hold.kind, hold.code))) for hold in cleared.holds)
        return ForeseenBill(key, before, cleared.after.status, (), holds, cleared.notices, seen)
    confirmation = confirmation_of(bill, rules, deed.operator, (), ())
    decision = decide(bill, confirmation, Context(registry, rules))
    after = (decision.bill or bill).status.status
    notices = tuple(ForeseenNotice(notice.recipient.id, notice.kind) for notice in decision.notices)
    return ForeseenBill(key, before, after, confirmation.doubts, (), notices, seen)


async def do(log: Log, rules: Rules, deed: BulkDeed, previewed: Mapping[str, str]) -> list[Done]:
    """Do the deed on bills that were foreseen, by key with the `fingerprint` of then. Those that changed since are left
    alone, and say so. Raises UsageError for a deed that is not complete."""
    deed.check()
    if deed.name == "clear":
        return [await _clear(log, rules, deed, key, seen) for key, seen in previewed.items()]
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


async def _clear(log: Log, rules: Rules, deed: BulkDeed, key: str, seen: str) -> Done:
    try:
        if fingerprint(assess_bill(await read_state(log, key), rules)) != seen:
            return Done(key, "changed since the preview")
        await clear(log, rules, key, deed.form(), user=deed.operator.user)
    except UsageError as error:
        return Done(key, str(error))
    return Done(key, None)
