"""Notices: their kind, their fields, and the step of disclosure that shows each field."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, Final

from msgspec import Struct

from router.decide.audience import Disclosure, Recipient
from router.decide.bill_state import BillState, LastNotice
from router.decide.cargo_facts import Cargo
from router.decide.container_status import as_written
from router.decide.ledger_event import LedgerEvent
from router.decide.manual_events import RelayedEvent
from router.decide.rules import Rules
from router.decide.standing_holds import CBP_HOLD, MANUAL_HOLD, StandingHold
from router.decide.status import Assessment, ContainerStatus
from router.model.eastern import from_posted
from router.model.identifiers import concerns_a_bill, split_bill_key
from router.model.inputs import DeadLetter, Disposition
from router.model.links import Refiling, RefilingRefusal, RefilingRequest
from router.model.vocabulary import Authority, Cause, Flag, Kind

HOLD: Final = "hold"
CHANGE: Final = "change"
RELEASE: Final = "release"

DISPOSITION: Final = "DISPOSITION"
FILING: Final = "FILING"
LINK: Final = "LINK"
OPERATOR: Final = "OPERATOR"
CATCH_UP: Final = "CATCH_UP"
RESYNC: Final = "RESYNC"
REISSUE: Final = "REISSUE"
NO_LONGER_NOTIFIED: Final = "NO_LONGER_NOTIFIED"

LADING: Final = "LADING"
TEST: Final = "TEST"

SHOWN: Final[Mapping[Disclosure, tuple[str, ...]]] = {
    Disclosure.STOP: (
        *("scac", "bill_of_lading", "vessel_name", "disposition_code", "imo_number", "action_at"),
        *("container_numbers", "code_meaning", "do_not_load", "holds", "flags", "event_id", "cause", "covers"),
    ),
    Disclosure.AGREEMENT: (
        *("voyage_number", "quantity", "manifest_sequence_number", "port_of_unlading", "arrival_date", "agency"),
        *("container_level", "transaction_port", "firms", "reversal", "carrier_scac", "original_bill", "received_at"),
        *("status", "deliverable", "deliverable_at", "doubts", "authorises", "containers", "manifested_quantity"),
        *("released_quantity", "release_posted_at"),
    ),
    Disclosure.CARRIER: ("entry_type", "entry_number", "master_bill"),
    Disclosure.FULL: ("remarks",),
}
"""Fields that each step shows beyond the steps above it here (docs/how-it-works.md). The published schema has those of
the first two steps first, then each wider step's. A field that is missing here is in no notice, so a new one is never
shown by mistake."""

SHOWN_OF_A_HOLD: Final = ("code", "kind", "container_number", "placed_at", "meaning")
"""Fields of a hold that `Disclosure.STOP` shows."""
_ABOUT_THE_EVENT: Final = ("disposition_code", "action_at", "code_meaning")


class AppliedRecord(Struct, frozen=True, array_like=True):
    """A bill's state with a record applied, before its consequences."""

    state: BillState
    cause: Cause
    event: Disposition | None = None
    """The event that notices are about; None if another bill, or nothing in particular, is the cause."""
    event_id: str | None = None
    flags: tuple[Flag, ...] = ()
    duplicate: bool = False
    letters: tuple[DeadLetter, ...] = ()
    renotify: frozenset[str] = frozenset()
    """Parties that get the status now, with this cause, whatever their last notice was."""
    renotify_all: bool = False
    """The same for every entitled recipient."""
    believing_release: frozenset[str] = frozenset()
    """Parties whose last notice under the bill's former number was a Release."""
    refiling: Refiling | None = None
    """The refiling applied; its `covers` are covered too."""
    refiling_request: RefilingRequest | None = None
    """The request that follows from the index's answer under a paper bill's number."""
    refiling_refusal: RefilingRefusal | None = None
    """The answer to a request that was refused."""
    not_entitled: frozenset[str] = frozenset()
    """Parties notified of a superseded bill that have no ground under its new number."""
    caused_by: str | None = None
    """Id of what caused it, if that is no event of this bill: another bill's event, or a snapshot."""
    only_adds: bool = False
    """True for a manifest message: it dismisses nobody while a stop stands."""


class Notice(Struct, frozen=True, array_like=True):
    """One notice to one recipient, before encoding."""

    fields: Mapping[str, Any]
    """All fields of `SHOWN`. Recipients of one decision share the object."""
    recipient: Recipient
    kind: Kind
    cause: Cause
    notice_id: str


def kind_of(
    after: Assessment, last: LastNotice | None, believes_release: bool, *, added: bool, status_now: bool
) -> Kind:
    """Hold, Change or Release, from the ledger before and after and from the recipient's last notice.

    `added` is `hold_added` of the ledger before and after. A consumer that acts on the kind alone is safe.
    """
    if after.deliverable:
        is_known = believes_release and not (last is not None and last.is_release_elsewhere(after.deliverable_at))
        return CHANGE if is_known and not status_now else RELEASE
    if believes_release or added:
        return HOLD
    return HOLD if (status_now or last is None) and after.stopped else CHANGE


def hold_added(before: Assessment | None, after: Assessment) -> bool:
    """True if a hold or block stands that did not, or stands for more."""
    if not after.holds:
        return False
    stood = {hold.key: hold for hold in before.holds} if before else {}
    relayed = _ended_manual_holds(before, after) if before else {}
    for hold in after.holds:
        old = stood.get(hold.key)
        confirms = old is None and hold.kind == CBP_HOLD
        if confirms:
            old = relayed.get((hold.code, hold.container_number))
        if old is None or (hold.do_not_load and not old.do_not_load):
            return True
        more = old.quantity is not None and (hold.quantity is None or hold.quantity > old.quantity)
        is_later = (hold.placed or 0) > (old.placed or 0) and not set(hold.events) <= set(old.events)
        if more or (is_later and not confirms):
            return True
    return False


def _ended_manual_holds(before: Assessment, after: Assessment) -> dict[tuple[str | None, str | None], StandingHold]:
    """Manual holds that no longer stand, by code and container. CBP's own hold in their place adds nothing."""
    left = {hold.id for hold in after.holds if hold.kind == MANUAL_HOLD}
    gone = (hold for hold in before.holds if hold.kind == MANUAL_HOLD and hold.id not in left)
    return {(hold.code, hold.container_number): hold for hold in gone}


def latest_event(state: BillState) -> tuple[Disposition | None, str | None]:
    """Event, and its id, for a status-now notice: the latest posted by CBP or relayed by hand.

    The ledger keeps neither remarks nor facility.
    """
    event = state.latest_event()
    relayed = max(state.relayed.values(), key=lambda one: one.order, default=None)
    if relayed is not None and (event is None or event.posted <= relayed.posted):
        return manual_disposition(relayed), relayed.id
    return (None, None) if event is None else (_ledger_disposition(event), event.id)


def _ledger_disposition(event: LedgerEvent) -> Disposition:
    return Disposition(
        None,
        None,
        event.code,
        event.posted_at,
        event.quantity,
        event.entry_type,
        event.entry_number,
        event.containers,
        event.port,
        reversal=event.reversal,
    )


def manual_disposition(relayed: RelayedEvent) -> Disposition:
    """A manual event as notices show it: never who relayed or entered it."""
    event = relayed.event
    containers = (event.container_number,) if event.container_number else ()
    return Disposition(
        None,
        None,
        relayed.code or "",
        event.said_at,
        event.quantity,
        container_numbers=containers,
        received_at=event.received_at,
    )


def notice_fields(
    bill: str,
    cargo: Cargo,
    event: Disposition | None,
    event_id: str | None,
    status: Assessment | None,
    authorises: tuple[Authority, ...],
    containers: tuple[ContainerStatus, ...],
    flags: tuple[Flag, ...],
    cause: Cause,
    covers: tuple[str, ...],
    rules: Rules,
    because_of: tuple[str | None, ...] = (),
) -> dict[str, Any]:
    """The fields of `SHOWN`. Without `status`: a last notice to a party that is no longer notified.

    Of a vessel's event the fields of status are null. `because_of` has the bill to show for each hold.
    """
    scac, number = split_bill_key(bill) if concerns_a_bill(bill) else (None, None)
    shown = status if concerns_a_bill(bill) else None
    holds = status.holds if status is not None else ()
    shipment = cargo.shipment
    code = rules.codes.get(event.disposition_code) if event is not None else None
    posted = status.release_posted if status is not None else None
    return {
        "scac": scac,
        "bill_of_lading": number,
        "vessel_name": shipment.vessel_name,
        "disposition_code": (event.disposition_code or None) if event is not None else None,
        "voyage_number": shipment.voyage_number,
        "quantity": event.quantity if event is not None else None,
        "manifest_sequence_number": shipment.manifest_sequence_number,
        "imo_number": shipment.imo_number,
        "port_of_unlading": shipment.port_of_unlading,
        "action_at": (event.action_at or None) if event is not None else None,
        "arrival_date": shipment.arrival_date,
        "container_numbers": _containers(event, cargo),
        "code_meaning": code.meaning if code else None,
        "agency": code.agency if code else None,
        "container_level": event.container_level if event is not None else False,
        "transaction_port": event.transaction_port if event is not None else None,
        "firms": event.firms if event is not None else None,
        "reversal": event.reversal if event is not None else False,
        "carrier_scac": shipment.carrier_scac,
        "original_bill": shipment.original_bill,
        "received_at": (event.received_at or None) if event is not None else None,
        "status": shown.status if shown else None,
        "deliverable": shown.deliverable if shown else None,
        "deliverable_at": shown.deliverable_at if shown else None,
        "do_not_load": shown.do_not_load if shown else None,
        "doubts": shown.doubts if shown else (),
        "holds": [hold_fields(hold, cargo, bill) for hold, bill in zip_longest(holds, because_of)],
        "authorises": authorises,
        "containers": [container._asdict() for container in containers] if shown else (),
        "manifested_quantity": status.manifested_quantity if status else None,
        "released_quantity": shown.released_quantity if shown else None,
        "release_posted_at": None if posted is None else from_posted(posted),
        "flags": (*flags, TEST) if rules.usage == "test" else flags,
        "event_id": event_id,
        "cause": cause,
        "covers": covers,
        "entry_type": event.entry_type if event is not None else None,
        "entry_number": event.entry_number if event is not None else None,
        "master_bill": shipment.master_bill,
        "remarks": event.remarks if event is not None else None,
    }


def stop_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that `Disclosure.STOP` shows. The event of a status-now notice need not be a stop, so it is left
    out."""
    shown = {name: fields[name] for name in SHOWN[Disclosure.STOP]}
    if fields["covers"]:
        shown |= dict.fromkeys(_ABOUT_THE_EVENT)
    holds = [{name: hold[name] for name in SHOWN_OF_A_HOLD} for hold in fields["holds"]]
    return {**shown, "holds": holds}


def last_fields(bill: str, rules: Rules) -> dict[str, Any]:
    """Fields of the last notice to a party that is no longer notified: the bill, and nothing it had not seen."""
    return notice_fields(bill, Cargo(), None, None, None, (), (), (), NO_LONGER_NOTIFIED, (), rules)


def _containers(event: Disposition | None, cargo: Cargo) -> tuple[str, ...]:
    """The event's containers, else the bill's."""
    named = (event.container_numbers or event.shipment.container_numbers) if event is not None else ()
    return named or cargo.shipment.container_numbers


def hold_fields(hold: StandingHold, cargo: Cargo, because_of: str | None = None) -> dict[str, Any]:
    """A hold as notices and `bill show` have it; its container as written on the bill, with check digit."""
    container = hold.container_number
    if container is not None:
        container = as_written(cargo.shipment.container_numbers).get(container, container)
    return {
        "code": hold.code,
        "kind": hold.kind,
        "container_number": container,
        "quantity": hold.quantity,
        "placed_at": None if hold.placed is None else from_posted(hold.placed),
        "meaning": hold.meaning,
        "because_of": because_of,
    }
