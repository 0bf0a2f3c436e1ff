"""What one record, and with it a bill's state and each of its notices, comes to at most.

Neither CBP nor a carrier sends anything near it. What is beyond is refused whole: it goes to the dead letters and stops
its bill, for it may have been a hold. So whatever is fed in, a state stays below what a log takes as one record
(4 MB), and one bill never takes the time of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from router.decide.cargo_facts import IN_DISPOSITION, IN_FILING, MOST_NAMED, Scalars
from router.decide.identity import BillRecord
from router.errors import InputError
from router.model.identifiers import is_bill_key
from router.model.inputs import Confirmation, Disposition, Filing, ManualEvent, PaperBill, PaperMatch, Snapshot

MOST_CHARACTERS: Final = 500
"""Of all identifiers of a bill's shipment together: they stand in every fact that the bill says of a box."""
LONGEST_NAME: Final = 100
"""Of a second notify party."""
LONGEST_CONTAINER: Final = 30
"""With owner, blanks and check digit it has fifteen."""
LONGEST_SOURCE: Final = 5_000
"""Of a filing: a path and a row."""
MOST_LEVEL_CONTAINERS: Final = 100
"""That one event may stop each by itself: CBP names one. Each is a hold of its own, in the state and in each notice."""
MOST_HOLDS: Final = 300
"""That stand on one bill, each on a container of its own. All are weighed at each event and stand in each notice."""
MOST_WORDS: Final = 200
"""Said by hand of one bill: all are kept, and weighed against each other at each event."""
MOST_WORD_CHARACTERS: Final = 1000
"""Of one such word, with who said and who entered it."""
MOST_SPLITS: Final = 100
"""Bills split from one that are shown on it; they hold nothing, so what is beyond is only not shown."""
MOST_PIECES: Final = 10**15
MOST_COVERED: Final = 2_000
"""Events that one word of an operator's covers."""


def check(record: BillRecord) -> None:
    """Raises InputError. Facts and hand-overs that the router itself writes are bounded by what they come from."""
    checks = _CHECKS.get(type(record))
    if checks is not None:
        checks(record)


def _check_event(event: Disposition) -> None:
    more = (event.entry_type, event.entry_number, event.transaction_port, event.firms)
    _check_characters((*cast("Scalars", event[IN_DISPOSITION]), *more), MOST_CHARACTERS)
    _check_references(event.master_bill, event.original_bill)
    _check_names("container_numbers", event.container_numbers, LONGEST_CONTAINER)
    _check_names("other_container_numbers", event.other_container_numbers, LONGEST_CONTAINER)
    _check_names("snps", event.snps, LONGEST_NAME)
    if event.container_level and len(event.container_numbers) > MOST_LEVEL_CONTAINERS:
        raise InputError(f"an event of {len(event.container_numbers):,} containers, more than {MOST_LEVEL_CONTAINERS}")
    _check_pieces(event.quantity)


def _check_filing(filing: Filing) -> None:
    _check_characters((*cast("Scalars", filing[IN_FILING]), filing.bill_type), MOST_CHARACTERS)
    _check_references(filing.master_bill, filing.original_bill)
    _check_names("container_numbers", filing.container_numbers, LONGEST_CONTAINER)
    _check_names("snps", filing.snps, LONGEST_NAME)
    _check_pieces(filing.manifested_quantity)
    _check_characters((filing.source,), LONGEST_SOURCE)


def _check_snapshot(snapshot: Snapshot) -> None:
    _check_filing(snapshot.filing)
    if len(snapshot.holds) > MOST_HOLDS:
        raise InputError(f"{len(snapshot.holds):,} holds, more than {MOST_HOLDS}")
    _check_names("holds", tuple(hold.container_number or "" for hold in snapshot.holds), LONGEST_CONTAINER)
    for quantity in (snapshot.released_quantity, *(hold.quantity for hold in snapshot.holds)):
        _check_pieces(quantity)


def _check_word(word: ManualEvent) -> None:
    texts = (word.id, word.by, word.channel, word.container_number, word.source, word.ticket)
    _check_characters(texts, MOST_WORD_CHARACTERS)
    _check_pieces(word.quantity)


def _check_paper(paper: PaperBill) -> None:
    _check_filing(paper.filing)
    _check_characters((paper.form, paper.by, paper.ticket), MOST_CHARACTERS)


def _check_match(match: PaperMatch) -> None:
    _check_references(match.electronic_bill)


def _check_confirmation(word: Confirmation) -> None:
    if len(word.covers) > MOST_COVERED:
        raise InputError(f"it covers {len(word.covers):,} events, more than {MOST_COVERED:,}")
    _check_characters((max(word.covers, key=len, default=""),), LONGEST_NAME)


_CHECKS: Final[dict[type, Callable[[Any], None]]] = {
    Disposition: _check_event,
    Filing: _check_filing,
    Snapshot: _check_snapshot,
    ManualEvent: _check_word,
    PaperBill: _check_paper,
    PaperMatch: _check_match,
    Confirmation: _check_confirmation,
}


def _check_characters(texts: Iterable[str | None], most: int) -> None:
    characters = sum(map(len, filter(None, texts)))
    if characters > most:
        raise InputError(f"its identifiers have {characters:,} characters, more than {most:,}")


def _check_references(*bills: str | None) -> None:
    for bill in bills:
        if bill is not None and not is_bill_key(bill):
            raise InputError(f"{bill[:60]!r} is no bill: a SCAC of four places, then the number")


def _check_names(what: str, names: tuple[str, ...], longest: int) -> None:
    if len(names) > MOST_NAMED:
        raise InputError(f"{len(names):,} {what}, more than {MOST_NAMED:,}")
    if names and len(max(names, key=len)) > longest:
        raise InputError(f"one of its {what} has more than {longest} characters")


def _check_pieces(quantity: int | None) -> None:
    if quantity is not None and abs(quantity) > MOST_PIECES:
        raise InputError(f"{quantity} pieces, more than {MOST_PIECES:,}")
