"""What a notice says: its kind, and its fields as each recipient may see them.

A record entered in a bill's state, before what follows from it is worked out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from router.decide.account import LedgerEvent
from router.decide.audience import Disclosure
from router.decide.bill_state import BillState, LastNotice
from router.decide.cargo_facts import Cargo
from router.decide.manual_events import RelayedEvent
from router.decide.rules import Rules
from router.decide.status import CBP_HOLD, MANUAL_HOLD, Assessment, StandingHold
from router.model.eastern import from_posted
from router.model.identifiers import concerns_a_bill, container_key, split_bill_key
from router.model.inputs import DeadLetter, Disposition
from router.model.links import Refiling
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

HoldScope = tuple[str | None, str | None]

SHOWN: Final[Mapping[Disclosure, tuple[str, ...]]] = {
    Disclosure.FULL: ("remarks",),
    Disclosure.CARRIER: ("entry_type", "entry_number", "master_bill"),
    Disclosure.AGREEMENT: (
        *("scac", "bill_of_lading", "vessel_name", "disposition_code", "voyage_number", "quantity"),
        *("manifest_sequence_number", "imo_number", "port_of_unlading", "action_at", "arrival_date"),
        *("container_numbers", "code_meaning", "agency", "container_level", "transaction_port", "firms", "reversal"),
        *("carrier_scac", "original_bill", "received_at", "status", "deliverable", "do_not_load", "doubts", "holds"),
        *("authorises", "manifested_quantity", "released_quantity", "release_posted_at", "flags"),
    ),
}
"""What each view shows beyond those below it (docs/how-it-works.md). Each field of a notice's shared part is in it
once; of one that isn't no notice can be written, so that a new field is shown to nobody by mistake."""


class Subject(NamedTuple):
    """The event a notice is about. All None where it is about another bill's doing, or nothing in particular."""

    event_id: str | None = None
    disposition_code: str | None = None
    quantity: int | None = None
    entry_type: str | None = None
    entry_number: str | None = None
    action_at: int | None = None
    container_numbers: tuple[str, ...] = ()
    container_level: bool = False
    remarks: str | None = None
    transaction_port: str | None = None
    firms: str | None = None
    reversal: bool = False
    received_at: int | None = None


def subject_of(disposition: Disposition, event_id: str) -> Subject:
    return Subject(
        event_id,
        disposition.disposition_code,
        disposition.quantity,
        disposition.entry_type,
        disposition.entry_number,
        disposition.action_at,
        disposition.container_numbers,
        disposition.container_level,
        disposition.remarks,
        disposition.transaction_port,
        disposition.firms,
        disposition.reversal,
        disposition.received_at,
    )


def subject_of_event(event: LedgerEvent | None) -> Subject:
    """The latest event, in a status-now notice; the ledger keeps no remarks and no facility."""
    if event is None:
        return Subject()
    return Subject(
        event_id=event.id,
        disposition_code=event.code,
        quantity=event.quantity,
        entry_type=event.entry_type,
        entry_number=event.entry_number,
        action_at=from_posted(event.posted),
        container_numbers=event.containers,
        container_level=bool(event.containers),
        transaction_port=event.port,
        reversal=event.reversal,
    )


def subject_of_word(word: RelayedEvent) -> Subject:
    """What was said by hand: never by whom, nor by whom it was entered."""
    said = word.said
    return Subject(
        event_id=word.id,
        disposition_code=word.code,
        quantity=said.quantity,
        action_at=said.said_at,
        container_numbers=(said.container_number,) if said.container_number else (),
        container_level=said.container_number is not None,
        received_at=said.received_at,
    )


def kind_of(after: Assessment, told: LastNotice | None, believes_free: bool, *, added: bool, status_now: bool) -> Kind:
    """Hold, Change or Release: a function of the ledger before and after (`added` is what `hold_added` says of them)
    and of what this recipient was last told, so that who acts on the type alone is safe."""
    if after.deliverable:
        return CHANGE if believes_free and not status_now else RELEASE
    if believes_free or added:
        return HOLD
    return HOLD if (status_now or told is None) and after.stopped else CHANGE


def hold_added(before: Assessment | None, after: Assessment) -> bool:
    """Whether a hold or block stands that did not, or stands for more."""
    if not after.holds:
        return False
    stood = {(h.kind, h.code, h.container_number, h.id): h for h in before.holds} if before else {}
    relayed = _confirmed(before, after) if before else {}
    for hold in after.holds:
        old = stood.get((hold.kind, hold.code, hold.container_number, hold.id))
        confirms = old is None and hold.kind == CBP_HOLD
        if confirms:
            old = relayed.get((hold.code, hold.container_number))
        if old is None or (hold.do_not_load and not old.do_not_load):
            return True
        more = old.quantity is not None and (hold.quantity is None or hold.quantity > old.quantity)
        if more or (not confirms and (hold.placed or 0) > (old.placed or 0)):
            return True
    return False


def _confirmed(before: Assessment, after: Assessment) -> dict[HoldScope, StandingHold]:
    """Holds by hand that stand no longer: where CBP's own stands instead, nothing was added."""
    left = {hold.id for hold in after.holds if hold.kind == MANUAL_HOLD}
    gone = (hold for hold in before.holds if hold.kind == MANUAL_HOLD and hold.id not in left)
    return {(hold.code, hold.container_number): hold for hold in gone}


def shared_fields(
    bill: str,
    known: Cargo,
    subject: Subject,
    after: Assessment | None,
    authorises: tuple[Authority, ...],
    flags: tuple[Flag, ...],
    rules: Rules,
) -> tuple[Any, ...]:
    """The fields that are the same for all who see everything, in the schema's order (a notice's first part). Without
    `after`: the last word to one who is no longer told, which says nothing of a status."""
    concerned = concerns_a_bill(bill)
    scac, number = split_bill_key(bill) if concerned else (None, None)
    code = rules.codes.get(subject.disposition_code or "")
    status = after if concerned else None
    return (
        scac,
        number,
        known.vessel_name,
        subject.disposition_code,
        known.voyage_number,
        subject.quantity,
        known.manifest_sequence_number,
        subject.entry_type,
        known.imo_number,
        subject.entry_number,
        known.port_of_unlading,
        subject.action_at,
        known.arrival_date,
        subject.container_numbers or known.container_numbers,
        code.meaning if code else None,
        code.agency if code else None,
        subject.remarks,
        subject.container_level,
        subject.transaction_port,
        subject.firms,
        subject.reversal,
        known.carrier_scac,
        known.master_bill,
        known.original_bill,
        subject.received_at,
        status.status if status else None,
        status.deliverable if status else None,
        status.do_not_load if status else None,
        status.doubts if status else (),
        [hold_fields(hold, known) for hold in after.holds] if after else (),
        authorises,
        after.manifested_quantity if after else None,
        status.released_quantity if status else None,
        None if after is None or after.release_posted is None else from_posted(after.release_posted),
        flags,
    )


def hold_fields(hold: StandingHold, known: Cargo) -> dict[str, Any]:
    """A hold as notices and `bill show` write it; its container as it is written on the bill, with its check digit."""
    container = hold.container_number
    if container is not None:
        container = _as_written(known.container_numbers).get(container, container)
    return {
        "code": hold.code,
        "kind": hold.kind,
        "container_number": container,
        "quantity": hold.quantity,
        "placed_at": None if hold.placed is None else from_posted(hold.placed),
        "meaning": hold.meaning,
    }


@lru_cache(1024)
def _as_written(numbers: tuple[str, ...]) -> dict[str, str]:
    """By what they are without check digit; of two spellings the first."""
    return {container_key(number): number for number in reversed(numbers)}


class Entered(NamedTuple):
    """A bill's state with a record entered, and what that was."""

    state: BillState
    cause: Cause
    subject: Subject = Subject()
    flags: tuple[Flag, ...] = ()
    repeated: bool = False
    letters: tuple[DeadLetter, ...] = ()
    again: frozenset[str] = frozenset()
    """Parties that are told the status now, with this cause, whatever they were told."""
    all_again: bool = False
    """The same for everybody whose grounds hold."""
    told_free: frozenset[str] = frozenset()
    """Parties that believe, from the bill's former number, that it may be delivered."""
    handover: Refiling | None = None
    """What a paper bill handed over here; its `covers` are covered too."""
    groundless: frozenset[str] = frozenset()
    """Parties that were told of a superseded bill and have no ground under its new number."""
