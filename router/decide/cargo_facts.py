"""Facts of a bill besides its events: from filings and from the messages' surroundings, merged in any order of arrival.

A scalar is a register: among events the one posted last wins; between events and the filing the one received last. A
list holds the filing's names, if it has any, and those that events named since.

Manifest messages add to that: their names stand beside those of events; their scalars, the earliest first, fill only
what neither events nor the filing give; their quantity counts if it is the larger one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from router.errors import InputError
from router.model.eastern import DAY, start_of_day
from router.model.identifiers import container_key
from router.model.inputs import NOWHERE, Disposition, Filing, ManualEvent, PaperBill, Shipment, Snapshot
from router.model.limits import MOST_DECLARATIONS, MOST_NAMED

NEVER: Final = -1
"""Time of an operator's facts, which any message or filing overrides."""
DAMAGED: Final = -2
"""Time of a damaged message's facts, which an operator's override, too."""

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


class Declaration(NamedTuple):
    """One content of a bill's manifest messages, however often it was received."""

    first_received: int
    last_received: int
    is_original: bool
    names_containers: bool
    bill_type: str | None
    quantity: int | None
    shipment: Shipment
    """Without containers, which are merged by name."""


class Cargo(NamedTuple):
    """All facts of a bill, merged."""

    bill_type: str | None = None
    snps: tuple[str, ...] = ()
    shipment: Shipment = NOWHERE
    containers_filed: bool = False
    """True if a filing or an original manifest lists the containers: no others are to be expected."""

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
    declarations: tuple[Declaration, ...] = ()
    """The earliest first."""

    @property
    def is_filed(self) -> bool:
        return self.filing is not None or bool(self.declarations)

    def filed_quantity(self) -> int | None:
        """The filing's quantity, or a larger one that a message received since declares."""
        filing = self.filing
        filed = filing.manifested_quantity if filing is not None else None
        since = filing.received_at if filing is not None and filed is not None else NEVER
        declared = (one.quantity for one in self.declarations if one.last_received >= since)
        return max((pieces for pieces in (filed, *declared) if pieces is not None), default=None)

    def is_original_before(self, first_lading_date: str | None) -> bool:
        """True if an original manifest was received before that day (`CCYY-MM-DD`) began: nothing of CBP's came
        earlier."""
        lading = start_of_day(first_lading_date or "")
        return lading is not None and any(one.is_original and one.first_received < lading for one in self.declarations)

    def with_disposition(self, event: Disposition, posted: int) -> CargoFacts:
        """The facts with a disposition's; the same object if it adds nothing.

        A duplicate that is received later counts as newer, so it may override the filing. The shipment of a damaged
        message only completes what others say. One whose bill is uncertain adds nothing.
        """
        if event.uncertain == "BILL":
            return self
        received_at, shipment = event.received_at, event.shipment
        at = (posted, received_at) if event.uncertain is None else (DAMAGED, DAMAGED)
        reports = _with_report(self.reports, ShipmentReport(*at, shipment.with_containers(())))
        snps = _with_names(self.snps, event.snps, received_at)
        containers = _with_names(self.containers, event.container_numbers, received_at)
        containers = _with_names(containers, shipment.container_numbers, received_at)
        if reports is self.reports and snps is self.snps and containers is self.containers:
            return self
        return CargoFacts(self.filing, reports, snps, containers, self.declarations)

    def with_declaration(self, filing: Filing) -> CargoFacts:
        """The facts with a manifest message's; the same object if it adds nothing. Raises InputError beyond the
        limits, rather than drop a container or a party that is named."""
        named, received_at = filing.shipment.container_numbers, filing.received_at
        if len({*self.snps, *filing.snps}) > MOST_NAMED or len({*self.containers, *named}) > MOST_NAMED:
            raise InputError(f"the bill would have more than {MOST_NAMED:,} containers or second notify parties")
        is_original = filing.declared_in == "ORIGINAL"
        content = (is_original, bool(named), filing.bill_type, filing.manifested_quantity)
        new = Declaration(received_at, received_at, *content, filing.shipment.with_containers(()))
        known = next((one for one in self.declarations if one[2:] == new[2:]), None)
        if known is not None:
            first, last = min(known.first_received, received_at), max(known.last_received, received_at)
            new = new._replace(first_received=first, last_received=last)
        elif len(self.declarations) >= MOST_DECLARATIONS:
            raise InputError(f"the bill was declared in {MOST_DECLARATIONS} different ways already")
        snps = _with_names(self.snps, filing.snps, received_at)
        containers = _with_names(self.containers, named, received_at)
        if new == known and snps is self.snps and containers is self.containers:
            return self
        declarations = tuple(sorted((*(one for one in self.declarations if one is not known), new), key=_by_receipt))
        return self._replace(snps=snps, containers=containers, declarations=declarations)

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
        declared = _declared(self.declarations)
        are_declared = any(one.names_containers and one.is_original for one in self.declarations)
        filing = self.filing
        if filing is None:
            is_one = len(self.reports) == 1 and not self.declarations
            scalars = self.reports[0].shipment if is_one else _merged_scalars(self.reports, NOWHERE, NEVER, declared)
            scalars = scalars.with_containers(tuple(self.containers))
            return Cargo(_declared_type(self.declarations), tuple(self.snps), scalars, are_declared)
        since = filing.received_at
        scalars = _merged_scalars(self.reports, filing.shipment, since, declared)
        containers = _merged_names(filing.shipment.container_numbers, self.containers, since)
        snps = _merged_names(filing.snps, self.snps, since)
        are_filed = bool(filing.shipment.container_numbers) or are_declared
        bill_type = filing.bill_type or _declared_type(self.declarations)
        return Cargo(bill_type, snps, scalars.with_containers(containers), are_filed)


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


def _merged_scalars(
    reports: Iterable[ShipmentReport], filed: Shipment, since: int, declared: Shipment = NOWHERE
) -> Shipment:
    """The filing's scalars, replaced by those of events received since it, and completed by those of all events, then
    by those declared in manifests, last by an operator's."""
    merged = declared._asdict() | dict(_scalars(filed))
    for posted, received_at, shipment in reports:
        for name, value in _scalars(shipment):
            is_filed = getattr(filed, name) is not None
            if received_at >= since if is_filed else posted > NEVER or merged[name] is None:
                merged[name] = value
    return Shipment(**merged)


def _by_receipt(declaration: Declaration) -> tuple[int, str]:
    return declaration.first_received, repr(declaration)


def _declared(declarations: Iterable[Declaration]) -> Shipment:
    """Each scalar as the earliest manifest that has it declares it: a later one changes none."""
    merged: dict[str, Any] = {}
    for one in declarations:
        merged = dict(_scalars(one.shipment)) | merged
    return NOWHERE._replace(**merged) if merged else NOWHERE


def _declared_type(declarations: Iterable[Declaration]) -> str | None:
    """The earliest type, but empty only if an original and no other manifest declares it: an empty is free with any
    1C, whatever its quantity."""
    types = [(one.bill_type, one.is_original) for one in declarations if one.bill_type is not None]
    full = next((kind for kind, _ in types if kind.upper() not in _EMPTY), None)
    return full or next((kind for kind, is_original in types if is_original), None)


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
