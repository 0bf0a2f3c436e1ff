"""Our own form of a disposition, as JSON Lines and as Avro files. Field names are those of Disposition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import from_json

from router.errors import InputError
from router.feeds.avro_file import Stream, avro_lines
from router.feeds.evidence import NO_BILL, PIECE_LIMIT, Bill, Evidence, blocks
from router.feeds.fields import bill_readable, code_of, scac_readable
from router.feeds.forms import (
    Code,
    Codes,
    Containers,
    Flag,
    Moment,
    OptionalBillNumber,
    OptionalDay,
    OptionalMoment,
    OptionalReference,
    OptionalScac,
    OptionalText,
    OptionalUpper,
    SignedQuantity,
    reason_of,
)
from router.model.inputs import DeadLetter, Disposition, disposition_of
from router.model.limits import MOST_LEVEL_CONTAINERS

JSONL: Final = "jsonl"
AVRO: Final = "avro"

MOST_FAULTS: Final = 8
"""Shown of one record: a list of a million wrong values is not to become a reason of many megabytes."""

Event = Disposition | DeadLetter
Note = Callable[[str], None]
"""Told once about each thing that is odd but stops nothing, such as a field we don't know."""


class Form(BaseModel):
    """One disposition as it is handed in. Fields we don't know are kept aside."""

    model_config = ConfigDict(extra="allow")

    scac: OptionalScac = None
    bill_of_lading: OptionalBillNumber = None
    disposition_code: Code
    action_at: Moment
    quantity: SignedQuantity = None
    entry_type: OptionalUpper = None
    entry_number: OptionalUpper = None
    container_numbers: Containers = ()
    container_level: Flag = False
    other_container_numbers: Containers = ()
    transaction_port: OptionalUpper = None
    firms: OptionalUpper = None
    reversal: Flag = False
    resent: Flag = False
    remarks: OptionalUpper = None
    snps: Codes = ()
    master_bill: OptionalReference = None
    original_bill: OptionalReference = None
    carrier_scac: OptionalScac = None
    imo_number: OptionalUpper = None
    vessel_name: OptionalUpper = None
    voyage_number: OptionalUpper = None
    manifest_sequence_number: OptionalUpper = None
    port_of_unlading: OptionalUpper = None
    arrival_date: OptionalDay = None
    received_at: OptionalMoment = None
    source: OptionalText = None
    test: Flag = False

    @model_validator(mode="after")
    def _of_a_bill_or_a_vessel(self) -> Self:
        if (self.scac is None) != (self.bill_of_lading is None):
            raise ValueError("scac and bill_of_lading go together")
        if self.scac is None and self.imo_number is None and self.vessel_name is None:
            raise ValueError("it names neither a bill (scac, bill_of_lading) nor a vessel")
        if self.container_level and not self.container_numbers:
            raise ValueError("container_level without container_numbers")
        if self.container_level and len(self.container_numbers) > MOST_LEVEL_CONTAINERS:
            raise ValueError(f"container_level with more than {MOST_LEVEL_CONTAINERS} container_numbers")
        return self

    def disposition(self, received_at: int, source: str) -> Disposition:
        """As an event. A `received_at` of its own stands for the transmission's date: such events were
        taken in elsewhere before, and here they are only passed on."""
        fields = {name: getattr(self, name) for name in _NAMES}
        quantity, number = self.quantity, (self.entry_number or "").replace("-", "")
        fields |= {
            "quantity": abs(quantity) if quantity else None,
            "reversal": self.reversal or (quantity or 0) < 0,
            "entry_type": self.entry_type if (self.entry_type or "").strip("0") else None,
            "entry_number": number if number.strip("0") else None,
            "received_at": received_at if self.received_at is None else min(received_at, self.received_at),
            "source": self.source or source,
            "transmitted_at": self.received_at,
        }
        return disposition_of(fields)


_NAMES: Final = tuple(Form.model_fields)


def read_jsonl(chunks: Iterable[bytes], source: str, received_at: int, *, note: Note | None = None) -> Iterator[Event]:
    """One event a line; a line that can't be read is a dead letter, and the rest goes on. Blank lines are
    passed over."""
    notes = _Notes(note, source)
    for number, line in enumerate(lines(chunks), 1):
        place = f"{source}:record {number}"
        if isinstance(line, Evidence):
            yield line.letter(f"the line is longer than {PIECE_LIMIT} bytes", place, JSONL, received_at)
        elif line.strip():
            yield _event(line, place, received_at, notes)


def lines(chunks: Iterable[bytes]) -> Iterator[bytes | Evidence]:
    """Lines without their line breaks; of one that is too long only the evidence, so that memory stays the same."""
    rest: list[bytes] = []
    size, skipped = 0, None
    for block in blocks(chunks):
        *whole, tail = block.split(b"\n")
        for part in whole:
            if skipped is None and size + len(part) <= PIECE_LIMIT:
                yield b"".join([*rest, part]).removesuffix(b"\r")
            else:
                yield _grown(skipped, [*rest, part])
            rest, size, skipped = [], 0, None
        size += len(tail)
        rest.append(tail)
        if size > PIECE_LIMIT:
            skipped, rest = _grown(skipped, rest), []
    if size:
        yield b"".join(rest) if skipped is None else skipped


def _grown(evidence: Evidence | None, parts: list[bytes]) -> Evidence:
    evidence = evidence or Evidence()
    for part in parts:
        evidence.add(part)
    return evidence


class _Notes:
    """Reports each unknown field once."""

    def __init__(self, note: Note | None, source: str) -> None:
        self._note, self._source = note, source
        self._known: set[str] = set()

    def unknown(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._known and len(self._known) < 1000:
                self._known.add(name)
                if self._note is not None:
                    self._note(f"{self._source}: the field {name[:80]!r} is not one of ours: kept aside")


def _event(line: bytes, place: str, received_at: int, notes: _Notes) -> Event:
    if len(line) > PIECE_LIMIT:
        return Evidence(line).letter(f"the record is longer than {PIECE_LIMIT} bytes", place, JSONL, received_at)
    try:
        form = Form.model_validate_json(line.decode("utf-8", "strict").removeprefix("\ufeff"))
    except (ValidationError, UnicodeDecodeError) as error:
        return Evidence(line).letter(phrase(error), place, JSONL, received_at, _readable_bill(line))
    if form.model_extra:
        notes.unknown(form.model_extra)
    return form.disposition(received_at, place)


def phrase(error: ValidationError | UnicodeDecodeError) -> str:
    """What was wrong, field by field, without what pydantic adds for programmers."""
    if isinstance(error, UnicodeDecodeError):
        return f"the line is not UTF-8: {error.reason} at byte {error.start}"
    faults = (
        (".".join(map(str, fault["loc"])), reason_of(fault))
        for fault in error.errors(include_url=False, include_input=False)[:MOST_FAULTS]
    )
    return "; ".join(f"{name}: {message}" if name else message for name, message in faults) + and_more(error)


def and_more(error: ValidationError) -> str:
    """How many faults there are beyond those that are shown."""
    more = error.error_count() - MOST_FAULTS
    return f"; and {more} more" if more > 0 else ""


def _readable_bill(line: bytes) -> Bill:
    try:
        values = from_json(line)
    except ValueError:
        return NO_BILL
    if not isinstance(values, dict):
        return NO_BILL
    scac, number, code = (
        str(values.get(name) or "").strip().upper() for name in ("scac", "bill_of_lading", "disposition_code")
    )
    try:
        known: str | None = code_of(code)
    except InputError:
        known = None
    return (scac, number, known) if scac_readable(scac) and bill_readable(number) else (None, None, known)


def read_avro(chunks: Iterable[bytes], source: str, received_at: int, *, note: Note | None = None) -> Iterator[Event]:
    """One event a record of an object container file, whatever its writer's schema, if the names are ours.

    A record that can't be taken is a dead letter in JSON form, to be mended and read again; a damaged file
    is one whole.
    """
    notes, stream = _Notes(note, source), Stream(chunks)
    number = 0
    try:
        for number, line in enumerate(avro_lines(stream), 1):
            yield _event(line, f"{source}:record {number}", received_at, notes)
    except InputError as error:
        stream.drain()
        reason = f"nothing can be read beyond record {number}: {error.reason}. What could be read was delivered"
        yield stream.evidence.letter(reason, source, AVRO, received_at)
