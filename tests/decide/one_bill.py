"""One bill decided on its own, without shards and topics: what tests of ledger and status are written with."""

from __future__ import annotations

from router.decide.account import Account
from router.decide.bill import decide
from router.decide.bill_state import BillState
from router.decide.consequences import Decision
from router.decide.identity import BillRecord
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.decide.status import Assessment
from router.model.inputs import Confirmation
from router.model.registry_values import Party, RegistryNote, Sailing
from tests.checking.samples import HOUSE, PARTIES, START, sailing

DEFAULT_RULES = Rules()


def registry_of(*values: Party | Sailing | RegistryNote) -> Registry:
    """With an installation's secret, everybody live, and the usual sailing; `values` come after."""
    registry = Registry()
    for value in (RegistryNote("installation", "secret", 0, "11" * 32), *PARTIES, sailing(), *values):
        registry.apply(value)
    return registry


class OneBill:
    def __init__(self, *records: BillRecord, rules: Rules = DEFAULT_RULES, registry: Registry | None = None) -> None:
        self.rules = rules
        self.registry = registry or registry_of()
        self.state: BillState | None = None
        self.last = Decision(None)
        self.enter(*records)

    def enter(self, *records: BillRecord) -> Decision:
        for record in records:
            self.last = decide(self.state, record, Context(self.registry, self.rules))
            self.state = self.last.state
        return self.last

    def confirm(self, *covers: str) -> Decision:
        """An operator's word on those event ids; on everything, if none is named."""
        assert self.state is not None
        named = covers or tuple(self.state.event_ids() | self.state.unread.keys())
        return self.enter(Confirmation(HOUSE[:4], HOUSE[4:], named, "operator", "seen the papers", START))

    @property
    def now(self) -> Assessment:
        assert self.state is not None
        return self.state.assess(self.rules)[1]

    @property
    def account(self) -> Account:
        assert self.state is not None
        return self.state.account(self.rules)

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
    def told(self) -> dict[str, str]:
        """Of the last decision: who was sent which kind of notice."""
        return {notice.member.scac: notice.kind for notice in self.last.notices}
