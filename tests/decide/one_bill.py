"""One bill decided on its own, without shards and topics: what tests of ledger and status are written with."""

from __future__ import annotations

from typing import Any

from router.decide.account import Account
from router.decide.bill import decide
from router.decide.bill_state import AssessedBill, BillState
from router.decide.consequences import Decision
from router.decide.identity import BillRecord
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.decide.standing_holds import StandingHold
from router.decide.status import Assessment
from router.model.identifiers import container_key
from router.model.inputs import Clearance, Confirmation
from router.model.registry_values import Party, RegistryNote, Sailing
from router.model.vocabulary import HoldKind
from tests.checking.samples import HOUSE, PARTIES, START, at, sailing

DEFAULT_RULES = Rules()


def registry_of(*values: Party | Sailing | RegistryNote) -> Registry:
    """With an installation's secret, everybody live, and the usual sailing; `values` come after."""
    registry = Registry()
    for value in (RegistryNote("installation", "secret", 0, "11" * 32), *PARTIES, sailing(), *values):
        registry.apply(value)
    return registry


def clearance(kind: HoldKind, *events: str, user: str = "os:anna", minute: int = 60, **more: Any) -> Clearance:
    words = ("J. Smith, CBP Los Angeles", "lifted, message lost", "Anna", user)
    return Clearance(HOUSE[:4], HOUSE[4:], kind, events, *words, at(minute), **more)


def _in(container: str | None, hold: StandingHold) -> bool:
    return container is None or hold.container_number == container_key(container)


class OneBill:
    def __init__(self, *records: BillRecord, rules: Rules = DEFAULT_RULES, registry: Registry | None = None) -> None:
        self.rules = rules
        self.registry = registry or registry_of()
        self.bill: AssessedBill | None = None
        self.last = Decision(None)
        self.enter(*records)

    def enter(self, *records: BillRecord) -> Decision:
        for record in records:
            self.last = decide(self.bill, record, Context(self.registry, self.rules))
            self.bill = self.last.bill
        return self.last

    def confirm(self, *covers: str, user: str = "os:operator") -> Decision:
        """An operator's word on those event ids; on everything, if none is named."""
        assert self.bill is not None
        named = covers or tuple(self.bill.confirmable_ids())
        return self.enter(
            Confirmation(
                *(HOUSE[:4], HOUSE[4:], named, "operator", "seen the papers", START),
                doubts=self.bill.confirmable_doubts(),
                user=user,
            )
        )

    def clear(self, code: str, container: str | None = None, user: str = "os:anna", minute: int = 60) -> Decision:
        """The word of somebody at CBP that the hold of that code, sent electronically, has ended."""
        (hold,) = (one for one in self.now.holds if (one.kind, one.code) == ("CBP", code) and _in(container, one))
        return self.clear_hold(hold, user, minute)

    def clear_hold(self, hold: StandingHold, user: str = "os:anna", minute: int = 60) -> Decision:
        scope = {"disposition_code": hold.code, "container_number": hold.container_number}
        return self.enter(clearance("CBP", hold.events[-1], user=user, minute=minute, **scope))

    def clear_all(self, kind: HoldKind) -> Decision:
        events = (event for hold in self.now.holds if hold.kind == kind for event in hold.events)
        return self.enter(clearance(kind, *events))

    @property
    def state(self) -> BillState | None:
        return self.bill.state if self.bill is not None else None

    @property
    def now(self) -> Assessment:
        assert self.bill is not None
        return self.bill.status

    @property
    def account(self) -> Account:
        assert self.bill is not None
        return self.bill.account

    @property
    def status(self) -> str:
        return self.now.status

    @property
    def doubts(self) -> tuple[str, ...]:
        return self.now.doubts

    @property
    def holds(self) -> dict[tuple[str | None, str | None], int | None]:
        """(code, container) to pieces held."""
        return {(hold.code, hold.container_number): hold.quantity for hold in self.now.holds}

    @property
    def notified(self) -> dict[str, str]:
        """Recipients of the last decision's notices, with the kind of notice."""
        return {notice.recipient.id: notice.kind for notice in self.last.notices}
