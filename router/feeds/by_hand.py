"""What people enter on the days when systems are down: checked here, whoever asks (command or console)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from router.errors import InputError, UsageError
from router.feeds import forms
from router.feeds.rows import Note, read_rows
from router.feeds.tables import FilingForm, filing_of_form
from router.model.eastern import CLOCKS_DIFFER, DAY
from router.model.inputs import PLACE, ManualEvent, PaperBill

LONGEST_AGO: Final = 60 * DAY
"""Nobody enters by hand what was said longer ago: a slip of the pen."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=forms.PRINTED)]


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


class ByHandForm(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ManualForm(ByHandForm):
    """What CBP said by phone, by e-mail or on paper about one bill."""

    scac: forms.Scac
    bill_of_lading: forms.BillNumber
    action: Literal["PLACE", "LIFT", "RELEASE"]
    said_at: forms.Moment
    by: Name
    channel: Annotated[Literal["phone", "e-mail", "paper"], BeforeValidator(_lower)] = "phone"
    code: Annotated[forms.Code | None, forms.Empty] = None
    container: forms.OptionalContainer = None
    quantity: Annotated[Annotated[int, Field(ge=1, le=forms.LARGEST_QUANTITY)] | None, forms.Empty] = None
    source: Annotated[Name | None, forms.Empty] = None
    ticket: Annotated[Name | None, forms.Empty] = None

    @model_validator(mode="after")
    def _a_hold_has_a_code(self) -> Self:
        if self.action == PLACE and self.code is None:
            raise ValueError("a hold needs its code, such as 6H for a do-not-load: ask whoever relays it")
        return self


class OutageForm(ByHandForm):
    """An outage as an operator declares it."""

    mode: Annotated[Literal["ocean"], BeforeValidator(_lower)] = "ocean"
    reason: Name
    by: Name
    since: forms.Moment
    port: Annotated[forms.Port | None, forms.Empty] = None
    feed: Annotated[forms.FeedName | None, forms.Empty] = None
    carrier: Annotated[forms.RegisteredScac | None, forms.Empty] = None
    until: forms.OptionalMoment = None
    ticket: forms.OptionalText = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("until: it has to be later than since")
        return self


class PaperForm(FilingForm):
    """A bill that CBP has only on paper or by e-mail."""

    delivered_at: forms.Moment
    form: Annotated[Literal["CBPF1302", "EMAIL"], BeforeValidator(_upper)] = "CBPF1302"
    ticket: forms.OptionalText = None


_FEED_NAME: Final[TypeAdapter[str]] = TypeAdapter(forms.FeedName)
_MOMENT: Final[TypeAdapter[int]] = TypeAdapter(forms.Moment)

AnyForm = TypeVar("AnyForm", bound=BaseModel)


def checked(form: type[AnyForm], fields: Mapping[str, Any]) -> AnyForm:
    """The form filled in; what is None is left out. Raises UsageError that names each wrong field."""
    try:
        return form.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        raise UsageError("; ".join(map(_words, error.errors(include_url=False)))) from error


def _words(fault: Any) -> str:
    place = ".".join(map(str, fault["loc"]))
    words = str(fault["msg"]).removeprefix("Value error, ")
    return f"{place}: {words}" if place else words


def moment_of(name: str, value: str) -> int:
    """UTC milliseconds of what was typed. Raises UsageError."""
    try:
        return _MOMENT.validate_python(value)
    except ValidationError as error:
        raise UsageError(f"{name}: {_words(error.errors(include_url=False)[0])}") from error


def feed_name(value: str) -> str:
    """Raises UsageError."""
    try:
        return _FEED_NAME.validate_python(value)
    except ValidationError as error:
        raise UsageError(f"feed: {_words(error.errors(include_url=False)[0])}") from error


def check_moment(name: str, moment: int, now: int) -> None:
    """Raises UsageError for a moment still to come, or so long ago that it must be a slip of the pen."""
    if moment > now + CLOCKS_DIFFER:
        raise UsageError(f"{name}: that is still to come; times without an offset are Eastern")
    if moment < now - LONGEST_AGO:
        raise UsageError(f"{name}: that is more than {LONGEST_AGO // DAY} days ago")


def manual_event(form: ManualForm, event_id: str, received_at: int) -> ManualEvent:
    return ManualEvent(
        form.scac,
        form.bill_of_lading,
        event_id,
        form.action,
        form.said_at,
        form.by,
        form.channel,
        form.code,
        form.container,
        form.quantity,
        form.source,
        form.ticket,
        received_at,
    )


def paper_bill(form: PaperForm, source: str, by: str, received_at: int) -> PaperBill:
    filing = filing_of_form(form, source, received_at)
    return PaperBill(filing, form.delivered_at, form.form, by, form.ticket, received_at)


def read_paper(
    chunks: Iterable[bytes], source: str, by: str, received_at: int, *, note: Note | None = None
) -> Iterator[PaperBill | InputError]:
    """Paper bills from a table, those of a whole sailing: a filing's columns, and delivered_at, form, ticket."""
    for read in read_rows(chunks, source, PaperForm, note):
        if isinstance(read, InputError):
            yield read
            continue
        row, form = read
        place = f"{source}:row {row.number}"
        yield form if isinstance(form, InputError) else _paper_row(form, place, by, received_at)


def _paper_row(form: PaperForm, place: str, by: str, received_at: int) -> PaperBill | InputError:
    try:
        check_moment("delivered_at", form.delivered_at, received_at)
    except UsageError as error:
        return InputError(str(error), place=place)
    return paper_bill(form, place, by, received_at)
