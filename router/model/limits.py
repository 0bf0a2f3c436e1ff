"""Limits on one record from outside, and so on a bill's state and each of its notices.

No message of CBP or of a carrier comes near them. A record beyond a limit is refused whole: it goes to the dead letters
and stops its bill, since it may have been a hold. Thus a state stays below the largest record of a log (4 MB), and no
bill takes the time of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, get_args

from router.errors import InputError
from router.model.eastern import FIRST_YEAR, LAST_YEAR, is_first_pass, is_within_years, posted_minute
from router.model.identifiers import is_bill_key
from router.model.inputs import (
    Clearance,
    Confirmation,
    Disposition,
    Filing,
    ManualEvent,
    PaperBill,
    PaperMatch,
    Shipment,
    Snapshot,
)
from router.model.vocabulary import Uncertainty

MOST_CHARACTERS: Final = 500
"""Characters of a bill's shipment identifiers together: they are in every index fact of a box."""
MOST_NAMED: Final = 1000
"""Second notify parties, or containers, of one bill. Beyond, the least recently named are dropped."""
MOST_DECLARATIONS: Final = 50
"""Different contents of one bill's manifest messages. A manifest is amended a few times."""
LONGEST_NAME: Final = 100
"""Characters of a second notify party."""
LONGEST_CONTAINER: Final = 30
"""Characters of a container number; with owner, blanks and check digit it has fifteen."""
LONGEST_SOURCE: Final = 5_000
"""Characters of a filing's source: a path and a row."""
MOST_LEVEL_CONTAINERS: Final = 100
"""Containers that one event may stop; CBP names one. Each is a hold of its own, in the state and in each notice."""
MOST_HOLDS: Final = 300
"""Standing holds of one bill, each on its own container. Each event weighs all of them; each notice lists them."""
MOST_MANUAL_EVENTS: Final = 200
"""Manual events of one bill. All are kept and weighed against each other at each event."""
MOST_MANUAL_CHARACTERS: Final = 1000
"""Characters of one manual event's texts."""
MOST_SPLITS: Final = 100
"""Bills split from one that are shown on it. They hold nothing, so any further ones are only not shown."""
MOST_PIECES: Final = 10**15
UNCERTAINTIES: Final[tuple[Uncertainty, ...]] = get_args(Uncertainty)
MOST_COVERED: Final = 2_000
"""Events that one confirmation covers."""


def check_limits(record: object) -> None:
    """Raises InputError if the record exceeds a limit. The router's own records are bounded by their sources."""
    check = _CHECKS.get(type(record))
    if check is not None:
        check(record)


def _check_disposition(event: Disposition) -> None:
    _check_shipment(
        event.shipment,
        *(event.entry_type, event.entry_number, event.transaction_port, event.firms, event.unknown_zone),
    )
    _check_names("container_numbers", event.container_numbers, LONGEST_CONTAINER)
    _check_names("snps", event.snps, LONGEST_NAME)
    if len(event.container_numbers) > MOST_LEVEL_CONTAINERS:
        raise InputError(
            f"the event concerns {len(event.container_numbers):,} containers, more than {MOST_LEVEL_CONTAINERS}"
        )
    _check_pieces(event.quantity)
    _check_moment("action_at", event.action_at)
    _check_moment("received_at", max(event.received_at, event.action_at))  # an earlier one is a time still to come
    if event.uncertain is not None and event.uncertain not in UNCERTAINTIES:
        raise InputError(f"uncertain is {event.uncertain[:60]!r}, not one of {', '.join(UNCERTAINTIES)}")
    if event.action_second is not None and not 0 <= event.action_second < 60:
        raise InputError(f"the posted second is {event.action_second}, not 0 to 59")
    if event.pass_unknown and not is_first_pass(posted_minute(event.action_at)):
        raise InputError("the pass is unknown, but the posted time is not in the first pass of autumn's repeated hour")


def _check_moment(name: str, moment: int) -> None:
    if not is_within_years(moment):
        raise InputError(
            f"{name} is {moment}, not UTC milliseconds of a year from {FIRST_YEAR} to {LAST_YEAR}: seconds and "
            "microseconds are no milliseconds"
        )


def _check_filing(filing: Filing) -> None:
    _check_shipment(filing.shipment, filing.bill_type)
    _check_names("snps", filing.snps, LONGEST_NAME)
    _check_pieces(filing.manifested_quantity)
    _check_characters((filing.source,), LONGEST_SOURCE)


def _check_shipment(shipment: Shipment, *more: str | None) -> None:
    texts = (value for value in shipment if isinstance(value, str))
    _check_characters((*texts, *more), MOST_CHARACTERS)
    _check_references(shipment.master_bill, shipment.original_bill)
    _check_names("container_numbers", shipment.container_numbers, LONGEST_CONTAINER)


def _check_snapshot(snapshot: Snapshot) -> None:
    _check_filing(snapshot.filing)
    if len(snapshot.holds) > MOST_HOLDS:
        raise InputError(f"{len(snapshot.holds):,} holds, more than {MOST_HOLDS}")
    _check_names("holds", tuple(hold.container_number or "" for hold in snapshot.holds), LONGEST_CONTAINER)
    for quantity in (snapshot.released_quantity, *(hold.quantity for hold in snapshot.holds)):
        _check_pieces(quantity)


def _check_manual_event(event: ManualEvent) -> None:
    texts = (event.id, event.by, event.channel, event.container_number, event.source, event.ticket)
    _check_characters(texts, MOST_MANUAL_CHARACTERS)
    _check_pieces(event.quantity)
    _check_names("snps", event.snps, LONGEST_NAME)
    _check_shipment(event.shipment)


def _check_paper_bill(paper: PaperBill) -> None:
    _check_filing(paper.filing)
    _check_characters((paper.form, paper.by, paper.ticket), MOST_CHARACTERS)


def _check_paper_match(match: PaperMatch) -> None:
    _check_references(match.electronic_bill)


def _check_confirmation(confirmation: Confirmation) -> None:
    if len(confirmation.covers) > MOST_COVERED:
        raise InputError(f"it covers {len(confirmation.covers):,} events, more than {MOST_COVERED:,}")
    _check_characters((max(confirmation.covers, key=len, default=""),), LONGEST_NAME)


def _check_clearance(clearance: Clearance) -> None:
    if len(clearance.events) > MOST_COVERED:
        raise InputError(f"it names {len(clearance.events):,} events, more than {MOST_COVERED:,}")
    if clearance.kind == "CBP" and len(clearance.events) != 1:
        raise InputError("holds that CBP sent are cleared one at a time")
    texts = (clearance.source, clearance.reason, clearance.by, clearance.user, clearance.ticket)
    _check_characters((*texts, clearance.container_number), MOST_MANUAL_CHARACTERS)
    _check_characters((max(clearance.events, key=len, default=""),), LONGEST_NAME)


_CHECKS: Final[dict[type, Callable[[Any], None]]] = {
    Disposition: _check_disposition,
    Filing: _check_filing,
    Snapshot: _check_snapshot,
    ManualEvent: _check_manual_event,
    PaperBill: _check_paper_bill,
    PaperMatch: _check_paper_match,
    Confirmation: _check_confirmation,
    Clearance: _check_clearance,
}


def _check_characters(texts: Iterable[Any], most: int) -> None:
    characters = sum(map(len, filter(None, texts)))
    if characters > most:
        raise InputError(f"its identifiers have {characters:,} characters, more than {most:,}")


def _check_references(*bills: str | None) -> None:
    for bill in bills:
        if bill is not None and not is_bill_key(bill):
            raise InputError(f"{bill[:60]!r} is not a bill: a SCAC of four places, then the number")


def _check_names(field: str, names: tuple[str, ...], longest: int) -> None:
    if len(names) > MOST_NAMED:
        raise InputError(f"{len(names):,} {field}, more than {MOST_NAMED:,}")
    if names and len(max(names, key=len)) > longest:
        raise InputError(f"one of its {field} has more than {longest} characters")


def _check_pieces(quantity: int | None) -> None:
    if quantity is not None and not 0 <= quantity <= MOST_PIECES:
        raise InputError(f"{quantity} pieces, less than none or more than {MOST_PIECES:,}")
