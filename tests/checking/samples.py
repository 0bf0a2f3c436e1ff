"""Bills, parties and sailings to write tests with. Whatever a test does not care about has a plausible value."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from router.codec.published import raw_schema
from router.decide.cargo_facts import Cargo
from router.model.eastern import MINUTE, to_milliseconds
from router.model.inputs import DeadLetter, Disposition, Filing, Shipment, disposition_fields, disposition_of, filing_of
from router.model.registry_values import Line, Party, PortCall, Sailing

START: Final = to_milliseconds(datetime(2026, 7, 14, 8, 0))
"""Minute 0 of a test: 14 July 2026, 8:00 Eastern."""

IMO: Final = "9074729"
BOX: Final = "CSQU3054383"
BOX_KEY: Final = "CSQU305438"
OTHER_BOX: Final = "MSKU9070323"
OTHER_BOX_KEY: Final = "MSKU907032"

HOUSE: Final = "NVXAHBL000012345"
OTHER_HOUSE: Final = "NVXBHBL000067890"
MASTER: Final = "OCNXMB7781234"

QUANTITY: Final = 100

_OWN: Final = ("recipient", "roles", "recipient_voyage_number")

ABOARD: Final[dict[str, Any]] = {
    "carrier_scac": "OCNX",
    "imo_number": IMO,
    "vessel_name": "OCEAN EXEMPLAR",
    "voyage_number": "026E",
    "arrival_date": "2026-07-28",
    "port_of_unlading": "2704",
}
"""On the sailing below, on OCNX's manifest."""

SHARED: Final = tuple(
    field["name"] for field in raw_schema("hold")["fields"] if field["name"] not in (*_OWN, "notice_id")
)
"""A notice's fields without the recipient's own, from the published schema."""

PARTIES: Final = tuple(Party(scac) for scac in ("OCNX", "SLTC", "THRD", "NVXA", "NVXB"))


def called(*dates: str) -> tuple[PortCall, ...]:
    """Calls on those days, at ports that are not known."""
    return tuple(PortCall(None, date) for date in dates)


def sailing(**changes: Any) -> Sailing:
    """OCNX operates; SLTC and THRD have slots."""
    lines = (
        Line("OCNX", "operator", "026E", "holds"),
        Line("SLTC", "charterer", "X26", "own"),
        Line("THRD", "charterer", "T26", "do-not-load"),
    )
    return Sailing("S1", IMO, "OCEAN EXEMPLAR", called("2026-07-28"), lines)._replace(**changes)


def at(minute: int) -> int:
    return START + minute * MINUTE


def event(code: str, minute: int = 0, quantity: int | None = QUANTITY, bill: str = HOUSE, **more: Any) -> Disposition:
    """An event posted so many minutes after START and received with it."""
    usual = {"action_at": at(minute), "received_at": at(minute), "quantity": quantity}
    named = {"scac": bill[:4].rstrip(), "bill_of_lading": bill[4:], "disposition_code": code}
    return disposition_of(usual | more | named)


def on_container(code: str, minute: int = 0, *containers: str, quantity: int | None = None, **more: Any) -> Disposition:
    named = containers or (BOX,)
    return event(code, minute, quantity, container_numbers=named, container_level=True, **more)


def filing(bill: str = HOUSE, minute: int = 0, **more: Any) -> Filing:
    usual = {**ABOARD, "snps": ("OCNX", "SLTC"), "container_numbers": (BOX,), "manifested_quantity": QUANTITY}
    named = {"scac": bill[:4].rstrip(), "bill_of_lading": bill[4:]}
    return filing_of(usual | {"received_at": at(minute)} | more | named)


def cargo(bill_type: str | None = None, snps: tuple[str, ...] = (), **shipment: Any) -> Cargo:
    return Cargo(bill_type, snps, Shipment(**shipment))


def with_fields(event: Disposition, **changes: Any) -> Disposition:
    """The event with changes in its flat form."""
    return disposition_of(disposition_fields(event) | changes)


def dead_letter(name: str = "a", bill: str | None = HOUSE, minute: int = 0, code: str | None = None) -> DeadLetter:
    """What could not be read of a bill."""
    content = f"garbage {name}".encode()
    scac, number = (bill[:4].rstrip(), bill[4:]) if bill else (None, None)
    place = (f"file {name}", "x12", content, len(content), scac, number, code)
    return DeadLetter(f"{name:0>32}", "can't be read", *place, received_at=at(minute))
