"""Parties, sailings, filings and bills (snapshots) from the tables that people have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from router.errors import InputError
from router.feeds import forms
from router.feeds.rows import Note, Row, read_rows
from router.model.eastern import CLOCKS_DIFFER
from router.model.identifiers import container_clean, is_valid_imo_number
from router.model.inputs import Filing, Snapshot, SnapshotHold, filing_of
from router.model.registry_values import MOST_LINES, Line, LineRole, Party, Sailing, Scope

BILL_TYPE_WORDS: Final = frozenset({"regular", "master", "house", "empty"})
HOLD_PARTS: Final = 4
DEFAULT_SCOPE: Final[Mapping[LineRole, Scope]] = {"operator": "holds", "charterer": "own"}

Value = TypeVar("Value")


class TableResult(NamedTuple, Generic[Value]):
    """What a registry table says: what can be taken, what can't and why, and what is odd but stops nothing."""

    values: list[Value]
    problems: list[InputError]
    notes: list[str]


def _lower(value: Any) -> Any:
    return value.strip().lower() or None if isinstance(value, str) else value


def _status(value: Any) -> Any:
    return _lower(value) or "live"


def _bill_type(value: Any) -> Any:
    value = str(value).strip() if isinstance(value, str | int) else value
    if not isinstance(value, str) or not value:
        return value or None
    return value.lower() if value.lower() in BILL_TYPE_WORDS else value.upper()


def _roles(value: Any) -> Any:
    parts = value.split(forms.LIST_SEPARATOR) if isinstance(value, str) else value or ()
    return tuple(filter(None, map(_lower, parts))) if isinstance(parts, list | tuple) else parts


def _holds(value: Any) -> Any:
    parts = value.split(forms.LIST_SEPARATOR) if isinstance(value, str) else value or ()
    if not isinstance(parts, list | tuple):
        return parts
    return tuple(_hold(part) for part in parts if part != "")


def _hold(part: Any) -> Any:
    if not isinstance(part, str):
        return part
    values = [text.strip() for text in part.split("/")]
    if len(values) > HOLD_PARTS:
        raise ValueError(f"{part!r} is not code/container/quantity/placed_at")
    return dict(zip(("code", "container", "quantity", "placed_at"), values, strict=False))


class PartyForm(BaseModel):
    scac: forms.RegisteredScac
    name: forms.OptionalText = None
    roles: Annotated[tuple[forms.Label, ...], BeforeValidator(_roles), Field(max_length=20)] = ()
    status: Annotated[Literal["certifying", "live", "suspended", "external"], BeforeValidator(_status)] = "live"
    contact_name: forms.OptionalText = None
    contact_phone: forms.OptionalText = None
    contact_email: forms.OptionalText = None
    aliases: forms.RegisteredScacs = ()
    production_group: forms.OptionalText = None
    webhook_url: forms.OptionalUrl = None


class LineForm(BaseModel):
    """One line aboard one sailing."""

    sailing_id: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    imo_number: Annotated[str, StringConstraints(strip_whitespace=True, pattern=forms.IMO)]
    vessel_name: forms.OptionalUpper = None
    arrival_date: forms.OptionalDay = None
    ports: forms.Ports = ()
    scac: forms.RegisteredScac
    role: Annotated[LineRole, BeforeValidator(_lower)]
    voyage_number: Annotated[Annotated[forms.Upper, StringConstraints(max_length=50)] | None, forms.Empty] = None
    scope: Annotated[Scope | None, BeforeValidator(_lower)] = None


class FilingForm(BaseModel):
    scac: forms.Scac
    bill_of_lading: forms.BillNumber
    bill_type: Annotated[str | None, BeforeValidator(_bill_type)] = None
    snps: forms.Codes = ()
    master_bill: forms.OptionalReference = None
    original_bill: forms.OptionalReference = None
    carrier_scac: forms.OptionalScac = None
    imo_number: forms.OptionalUpper = None
    vessel_name: forms.OptionalUpper = None
    voyage_number: forms.OptionalUpper = None
    manifest_sequence_number: forms.OptionalUpper = None
    port_of_unlading: forms.OptionalUpper = None
    arrival_date: forms.OptionalDay = None
    manifested_quantity: forms.OptionalQuantity = None
    container_numbers: forms.Containers = ()


class HoldForm(BaseModel):
    code: forms.Code
    container: forms.OptionalUpper = None
    quantity: forms.OptionalQuantity = None
    placed_at: forms.OptionalMoment = None


class SnapshotForm(FilingForm):
    status_at: forms.Moment
    released_quantity: forms.OptionalQuantity = None
    release_posted_at: forms.OptionalMoment = None
    holds: Annotated[tuple[HoldForm, ...], BeforeValidator(_holds)] = ()


def read_parties(chunks: Iterable[bytes], source: str) -> TableResult[Party]:
    """One party a row. No SCAC, alias or not, may stand for two parties: the later row is refused. A party that is
    external gives its own up."""
    result: TableResult[Party] = TableResult([], [], [])
    owners: dict[str, str] = {}
    seen: set[str] = set()
    for row, form in _good_rows(chunks, source, PartyForm, result):
        codes = form.aliases if form.status == "external" else (form.scac, *form.aliases)
        taken = [code for code in codes if owners.get(code, form.scac) != form.scac]
        if form.scac in seen or taken:
            code = taken[0] if taken else form.scac
            reason = f"{code} already stands for the party {owners[code]}" if taken else f"{code} has a row already"
            column = "aliases" if taken and code != form.scac else "scac"
            result.problems.append(InputError(reason, place=f"{source}: row {row.number}, column {column!r}"))
            continue
        seen.add(form.scac)
        owners.update(dict.fromkeys(codes, form.scac))
        aliases = tuple(code for code in dict.fromkeys(form.aliases) if code != form.scac)
        result.values.append(Party(**form.model_dump() | {"aliases": aliases}))
    return result


def read_sailings(chunks: Iterable[bytes], source: str) -> TableResult[Sailing]:
    """One row a line aboard; the rows of a sailing need not stand together. Since an import replaces a
    sailing whole, a sailing with any wrong row is left out whole: nobody is to lose notices by a slip of
    the pen."""
    result: TableResult[Sailing] = TableResult([], [], [])
    sailings: dict[str, list[tuple[Row, LineForm]]] = {}
    broken: set[str] = set()
    for row, form in _good_rows(chunks, source, LineForm, result, broken):
        sailings.setdefault(form.sailing_id, []).append((row, form))
    for sailing_id, rows in sailings.items():
        problem = _sailing_problem(rows, source)
        if problem is not None:
            result.problems.append(problem)
        elif sailing_id in broken:
            reason = f"the sailing {sailing_id} is left out: another of its rows can't be read"
            result.problems.append(InputError(reason, place=f"{source}: row {rows[0][0].number}"))
        else:
            result.values.append(_sailing(rows))
            if not is_valid_imo_number(rows[0][1].imo_number):
                number = rows[0][1].imo_number
                result.notes.append(f"{source}: sailing {sailing_id}: {number} fails the IMO check digit")
    return result


def read_filings(
    chunks: Iterable[bytes], source: str, received_at: int, *, note: Note | None = None
) -> Iterator[Filing | InputError]:
    """As a stream: such files can be large."""
    for read in read_rows(chunks, source, FilingForm, note):
        if isinstance(read, InputError):
            yield read
        elif isinstance(read[1], InputError):
            yield read[1]
        else:
            yield filing_of_form(read[1], f"{source}:row {read[0].number}", received_at)


def read_bills(
    chunks: Iterable[bytes], source: str, received_at: int, *, note: Note | None = None
) -> Iterator[Snapshot | InputError]:
    """What stood on bills at a moment, as a stream."""
    for read in read_rows(chunks, source, SnapshotForm, note):
        if isinstance(read, InputError):
            yield read
        elif isinstance(read[1], InputError):
            yield read[1]
        else:
            yield _snapshot(read[1], source, read[0].number, received_at)


def _snapshot(form: SnapshotForm, source: str, row: int, received_at: int) -> Snapshot | InputError:
    """Not of a moment still to come: no hold that CBP posts until then would count."""
    place = f"{source}: row {row}"
    if form.status_at > received_at + CLOCKS_DIFFER:
        return InputError("that is still to come", place=f"{place}, column 'status_at'")
    for column, moments in (
        ("release_posted_at", [form.release_posted_at]),
        ("holds", [hold.placed_at for hold in form.holds]),
    ):
        if any(moment is not None and moment > form.status_at for moment in moments):
            return InputError("a time in it is later than status_at", place=f"{place}, column {column!r}")
    holds = tuple(
        SnapshotHold(hold.code, container_clean(hold.container or ""), hold.quantity, hold.placed_at)
        for hold in form.holds
    )
    filing = filing_of_form(form, f"{source}:row {row}", received_at)
    return Snapshot(filing, form.status_at, form.released_quantity, form.release_posted_at, holds)


AnyForm = TypeVar("AnyForm", bound=BaseModel)


def _good_rows(
    chunks: Iterable[bytes],
    source: str,
    form: type[AnyForm],
    result: TableResult[Any],
    broken: set[str] | None = None,
) -> Iterator[tuple[Row, AnyForm]]:
    """Rows that can be taken; problems go to the result, and which sailings they break to `broken`."""
    for read in read_rows(chunks, source, form, result.notes.append):
        if isinstance(read, InputError):
            result.problems.append(read)
            continue
        row, value = read
        if isinstance(value, InputError):
            result.problems.append(value)
            if broken is not None:
                broken.add(str(row.values.get("sailing_id") or "").strip())
        else:
            yield row, value


def _sailing_problem(rows: list[tuple[Row, LineForm]], source: str) -> InputError | None:
    """What the rows of one sailing say against each other."""
    first = rows[0][1]
    lines: dict[str, LineForm] = {}
    for row, form in rows:
        place = f"{source}: row {row.number}, column "
        for column in ("imo_number", "vessel_name", "arrival_date", "ports"):
            said, before = getattr(form, column), getattr(first, column)
            if said != before:
                reason = f"sailing {form.sailing_id}: {said!r} here, {before!r} in row {rows[0][0].number}"
                return InputError(reason, place=f"{place}{column!r}")
        if lines.setdefault(form.scac, form) != form:
            reason = f"sailing {form.sailing_id}: {form.scac} is there twice, with different entries"
            return InputError(reason, place=f"{place}'scac'")
        if len(lines) > MOST_LINES:
            reason = f"sailing {form.sailing_id} has more than {MOST_LINES} lines aboard"
            return InputError(reason, place=f"{place}'scac'")
        if form.role == "operator" and any(other.role == "operator" for other in lines.values() if other != form):
            return InputError(f"sailing {form.sailing_id} has two operators", place=f"{place}'role'")
    return None


def _sailing(rows: list[tuple[Row, LineForm]]) -> Sailing:
    first = rows[0][1]
    forms_by_scac = {form.scac: form for _, form in rows}
    lines = tuple(
        Line(form.scac, form.role, form.voyage_number, form.scope or DEFAULT_SCOPE[form.role])
        for form in forms_by_scac.values()
    )
    return Sailing(first.sailing_id, first.imo_number, first.vessel_name, first.arrival_date, lines, first.ports)


def filing_of_form(form: FilingForm, source: str, received_at: int) -> Filing:
    fields = {name: getattr(form, name) for name in FilingForm.model_fields}
    return filing_of({**fields, "received_at": received_at, "source": source})
