"""Facts of a bill besides its events: from filings and from the messages' surroundings, merged in any order of arrival.

A scalar is a register: among events the one posted last wins; between events and the filing the one received last. A
list holds the filing's names, if it has any, and those that events named since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from router.model.eastern import DAY
from router.model.identifiers import container_key
from router.model.inputs import NOWHERE, Disposition, Filing, ManualEvent, PaperBill, Shipment, Snapshot
from router.model.limits import MOST_NAMED

NEVER: Final = -1

_HOUSE: Final = frozenset({"30", "N", "HOUSE"})
_NOT_HOUSE: Final = frozenset({"00", "01", "10", "11", "12", "28", "29", "M", "2", "REGULAR", "MASTER", "EMPTY"})
_EMPTY: Final = frozenset({"12", "2", "EMPTY"})
_SIMPLE: Final = frozenset({"00", "01", "REGULAR"})

_NO_NAMES: Final[Mapping[str, int]] = {}


class ShipmentReport(NamedTuple):
    """Scalars of the shipment from events posted and received at one time, without those that a later one replaced."""

    posted: int
    received_at: int
    shipment: Shipment
    """Without containers, which are merged by name."""


class Cargo(NamedTuple):
    """All facts of a bill, merged."""

    bill_type: str | None = None
    snps: tuple[str, ...] = ()
    shipment: Shipment = NOWHERE
    containers_filed: bool = False
    """True if a filing lists the containers: no others are to be expected."""

    @property
    def container_keys(self) -> frozenset[str]:
        """Its containers without check digits."""
        return frozenset(map(container_key, self.shipment.container_numbers))

    @property
    def is_empty(self) -> bool:
        """True for an empty container's bill (bill type 12; CBP Trade Act FAQ, vessel mode, section 16)."""
        return (self.bill_type or "").upper() in _EMPTY

    @property
    def is_simple(self) -> bool:
        return (self.bill_type or "").upper() in _SIMPLE

    @property
    def is_house(self) -> bool:
        """True for a house bill: by its type or, while that is unknown, by the master bill that it names."""
        kind = (self.bill_type or "").upper()
        return kind in _HOUSE or (kind not in _NOT_HOUSE and self.shipment.master_bill is not None)

    def needs_snp(self, issuer: str) -> bool:
        """True if the bill must name a second notify party: an NVOCC's house bill (FAQ section 12).

        A bill of unknown type counts as one if its issuer doesn't carry it on its own manifest.
        """
        kind = (self.bill_type or "").upper()
        if kind in _HOUSE:
            return True
        carried_by_issuer = self.shipment.master_bill is None and self.shipment.carrier_scac == issuer
        return kind not in _NOT_HOUSE and not carried_by_issuer


def supersedes(filing: Filing, known: Filing, *more: object) -> bool:
    """True if a filing replaces the known one: the later one does.

    Of two received in the same millisecond the greater one counts (with `more`, the values filed with each), so that
    the order of arrival does not matter.
    """
    if filing.received_at != known.received_at:
        return filing.received_at > known.received_at
    filed_with, known_with = more or (None, None)
    return repr((filing, filed_with)) > repr((known, known_with))


def content_of(filing: Filing) -> Filing:
    """The filing without time and source of its receipt."""
    return filing._replace(received_at=0, source=None)


class CargoFacts(NamedTuple):
    filing: Filing | None = None
    reports: tuple[ShipmentReport, ...] = ()
    """Each scalar is in one of them at most; most bills have one report."""
    snps: Mapping[str, int] = _NO_NAMES
    """Parties named by events, with the time of the latest (received_at)."""
    containers: Mapping[str, int] = _NO_NAMES

    def with_disposition(self, event: Disposition, posted: int) -> CargoFacts:
        """The facts with a disposition's; the same object if it adds nothing.

        A duplicate that is received later counts as newer, so it may override the filing.
        """
        received_at, shipment = event.received_at, event.shipment
        scalars = shipment.with_containers(())
        reports = _with_report(self.reports, ShipmentReport(posted, received_at, scalars))
        snps = _with_names(self.snps, event.snps, received_at)
        containers = _with_names(self.containers, event.container_numbers, received_at)
        containers = _with_names(containers, shipment.container_numbers, received_at)
        if reports is self.reports and snps is self.snps and containers is self.containers:
            return self
        return CargoFacts(self.filing, reports, snps, containers)

    def with_manual_event(self, event: ManualEvent) -> CargoFacts:
        """The facts with an operator's, which only complete those of messages and filings."""
        shipment = event.shipment.with_containers(())
        return self._replace(
            reports=_with_report(self.reports, ShipmentReport(NEVER, NEVER, shipment)),
            snps=_with_names(self.snps, event.snps, event.received_at),
            containers=_with_names(self.containers, event.shipment.container_numbers, event.received_at),
        )

    def cargo(self) -> Cargo:
        """All facts merged."""
        filing = self.filing
        if filing is None:
            is_one = len(self.reports) == 1
            scalars = self.reports[0].shipment if is_one else _merged_scalars(self.reports, NOWHERE, NEVER)
            return Cargo(None, tuple(self.snps), scalars.with_containers(tuple(self.containers)))
        since = filing.received_at
        scalars = _merged_scalars(self.reports, filing.shipment, since)
        containers = _merged_names(filing.shipment.container_numbers, self.containers, since)
        snps = _merged_names(filing.snps, self.snps, since)
        are_filed = bool(filing.shipment.container_numbers)
        return Cargo(filing.bill_type, snps, scalars.with_containers(containers), are_filed)


def _with_report(reports: tuple[ShipmentReport, ...], report: ShipmentReport) -> tuple[ShipmentReport, ...]:
    """Keeps each scalar's latest value: by posted time, then by time received, then the greatest."""
    if report.shipment == NOWHERE:
        return reports
    if not reports:
        return (report,)
    old = reports[0]
    replaces_all = old.shipment == report.shipment or None not in report.shipment
    if len(reports) == 1 and replaces_all and old[:2] < report[:2]:
        return (report,)
    return _merged_reports(reports, report)


def _merged_reports(reports: tuple[ShipmentReport, ...], report: ShipmentReport) -> tuple[ShipmentReport, ...]:
    latest: dict[str, tuple[int, int, str]] = {}
    for posted, received_at, shipment in (*reports, report):
        for name, value in _scalars(shipment):
            candidate = (posted, received_at, value)
            if name not in latest or candidate > latest[name]:
                latest[name] = candidate
    by_time: dict[tuple[int, int], dict[str, Any]] = {}
    for name, (posted, received_at, value) in latest.items():
        by_time.setdefault((posted, received_at), {})[name] = value
    merged = tuple(ShipmentReport(*time, NOWHERE._replace(**values)) for time, values in by_time.items())
    return reports if set(merged) == set(reports) else merged


def _merged_scalars(reports: Iterable[ShipmentReport], filed: Shipment, since: int) -> Shipment:
    """The filing's scalars, replaced by those of events received since it, and completed by those of all events."""
    merged = filed._asdict()
    for _, received_at, shipment in reports:
        for name, value in _scalars(shipment):
            if received_at >= since or getattr(filed, name) is None:
                merged[name] = value
    return Shipment(**merged)


def _scalars(shipment: Shipment) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in zip(shipment._fields, shipment, strict=True) if isinstance(value, str))


def _with_names(register: Mapping[str, int], names: tuple[str, ...], received_at: int) -> Mapping[str, int]:
    news = [name for name in names if register.get(name, NEVER) < received_at]
    if not news:
        return register
    named = {**register, **dict.fromkeys(news, received_at)}
    if len(named) > MOST_NAMED:
        latest = set(sorted(named, key=lambda name: (named[name], name))[-MOST_NAMED:])
        named = {name: when for name, when in named.items() if name in latest}
    return named


def _merged_names(filed: tuple[str, ...], named: Mapping[str, int], since: int) -> tuple[str, ...]:
    if not filed:
        return tuple(named)
    later = (name for name, received_at in named.items() if received_at >= since)
    return tuple(dict.fromkeys((*filed, *later)))


EnteredByPeople = Filing | PaperBill | Snapshot | ManualEvent
"""Records that people enter, stamped by a clock of theirs."""


def capped_at_tick(value: EnteredByPeople, now: int) -> EnteredByPeople | None:
    """A record from a clock far ahead of the latest tick, dated back to that tick; None if its time is plausible or no
    tick was seen.

    Otherwise a filing would override all filings until its date, and a lift would end all holds placed until then.
    """
    entered = value.filing if isinstance(value, Snapshot) else value
    if not now or entered.received_at - now <= DAY:
        return None
    if isinstance(value, Snapshot):
        return value._replace(filing=value.filing._replace(received_at=now))
    if isinstance(value, ManualEvent):
        return value._replace(said_at=min(value.said_at, now), received_at=now)
    return value._replace(received_at=now)
