"""The filers that a line's own outage concerns: those with open bills that name the line.

Each task searches its bills once, a bounded number at a time, and notes the bills that come during the outage. It
reports the filers in the registry, where the task of partition 0 announces the outage to each of them once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from router.decide.bill_state import AssessedBill
from router.decide.outages import Outages
from router.decide.registry import Registry
from router.decide.status import OVER
from router.log.interface import Output
from router.model.identifiers import concerns_a_bill, split_bill_key
from router.model.registry_values import OutageFilers
from router.task.bill_table import BillTable
from router.task.outputs import registry_output
from router.task.walks import Walk


class FilerSearch(NamedTuple):
    """One task's search for one outage."""

    outage: str
    line: str
    """SCAC of the line that is down."""
    cursor: str | None = ""
    """The last bill visited; None: all were."""
    filers: frozenset[str] = frozenset()
    """SCACs found so far."""
    reported: frozenset[str] = frozenset()


class FilerSearches:
    """The searches of one task. `running` is part of its position."""

    def __init__(self, partition: int) -> None:
        self.running: tuple[FilerSearch, ...] = ()
        self._partition = partition

    @property
    def is_walking(self) -> bool:
        return any(search.cursor is not None for search in self.running)

    def follow(self, outages: Outages) -> None:
        """Begin the search for each line's outage that is new, and end those for outages that are over."""
        known = {search.outage: search for search in self.running}
        self.running = tuple(
            known.get(number) or FilerSearch(number, watch.outage.carrier)
            for number, watch in outages.items()
            if watch.outage.carrier is not None and watch.outage.ended_at is None
        )

    def next(self, bills: BillTable, limit: int) -> list[str]:
        """The next bills to `note`."""
        for number, search in enumerate(self.running):
            if search.cursor is not None and limit > 0:
                walk = Walk(0, search.cursor)
                keys = walk.next(bills, limit)
                searched = search._replace(cursor=walk.cursor)
                self.running = (*self.running[:number], searched, *self.running[number + 1 :])
                return keys
        return []

    def note(self, bill: AssessedBill, registry: Registry) -> None:
        """Add the bill's filer to the searches for the lines that it names."""
        filer, _ = split_bill_key(bill.state.key)
        if all(filer in search.filers for search in self.running) or not _is_open(bill):
            return
        named = frozenset(_named(bill, registry))
        self.running = tuple(
            search._replace(filers=search.filers | {filer}) if registry.party_id(search.line) in named else search
            for search in self.running
        )

    def reports(self, at: int) -> Iterator[Output]:
        """Reports of the searches that found more filers and have visited all bills."""
        due = [search for search in self.running if search.cursor is None and search.filers != search.reported]
        if due:
            self.running = tuple(
                search._replace(reported=search.filers) if search in due else search for search in self.running
            )
        for search in due:
            yield registry_output(OutageFilers(search.outage, self._partition, tuple(sorted(search.filers)), at))


def _is_open(bill: AssessedBill) -> bool:
    is_bill = concerns_a_bill(bill.state.key) and not bill.state.is_superseded
    return is_bill and bill.status.status not in OVER


def _named(bill: AssessedBill, registry: Registry) -> Iterable[str]:
    """Parties of the manifest carrier, of the master bill's issuer, and of the second notify parties."""
    shipment = bill.cargo.shipment
    if shipment.carrier_scac:
        yield registry.party_id(shipment.carrier_scac)
    if shipment.master_bill:
        yield registry.party_id(split_bill_key(shipment.master_bill)[0])
    yield from map(registry.snp_party_id, bill.cargo.snps)
