"""Flat forms that people and programs fill in, and the values made of them.

Programs send dispositions. Tables hold parties, sailings, filings and the state of bills. Commands and console have the
forms for days on which systems are down.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from router.errors import UsageError
from router.feeds import form_fields as fields
from router.feeds.cbp_messages import entry_of
from router.model.eastern import CLOCKS_DIFFER, DAY, MILLISECONDS, MINUTE, is_first_pass, posted_minute
from router.model.inputs import PLACE, RELEASE, Disposition, Filing, ManualEvent, PaperBill, Shipment, filing_of
from router.model.limits import MOST_LEVEL_CONTAINERS, MOST_PIECES
from router.model.party_ids import IdType, is_valid_id, named_party, usual_type
from router.model.registry_values import (
    LONGEST_PROCEDURE,
    LONGEST_TELEPHONE,
    LineRole,
    Mode,
    Party,
    PortCall,
    Scope,
    group_fault,
)
from router.model.vocabulary import HoldKind, Uncertainty

LONGEST_AGO: Final = 60 * DAY
"""Milliseconds. An earlier time typed by hand is a slip."""

HOLD_PARTS: Final = ("code", "container", "quantity", "placed_at")


def filled_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a form without None and blank text: both mean unknown, like an absent value."""
    return {
        name: value
        for name, value in values.items()
        if value is not None and (not isinstance(value, str) or value.strip())
    }


class ShipmentForm(BaseModel):
    """The part that dispositions and filings share. Its fields are those of Shipment."""

    master_bill: fields.BillReference | None = None
    original_bill: fields.BillReference | None = None
    carrier_scac: fields.Scac | None = None
    imo_number: fields.UpperText | None = None
    vessel_name: fields.UpperText | None = None
    voyage_number: fields.UpperText | None = None
    manifest_sequence_number: fields.UpperText | None = None
    port_of_unlading: fields.UpperText | None = None
    arrival_date: fields.Day | None = None
    in_bond_destination: fields.UpperText | None = None
    container_numbers: fields.ContainerNumbers = ()

    def shipment(self) -> Shipment:
        return Shipment._make(_SHIPMENT_VALUES(self))


_SHIPMENT_VALUES: Final = attrgetter(*Shipment._fields)


class DispositionForm(ShipmentForm):
    """One disposition. Unknown fields are kept in `model_extra`, so that they can be noted."""

    model_config = ConfigDict(extra="allow")

    scac: fields.Scac | None = None
    bill_of_lading: fields.MessageBillNumber | None = None
    master_bill: fields.MessageBillReference | None = None
    original_bill: fields.MessageBillReference | None = None
    disposition_code: fields.DispositionCode
    action_at: fields.Timestamp
    quantity: fields.SignedPieces = 0
    entry_type: fields.UpperText = ""
    entry_number: fields.UpperText = ""
    container_level: bool = False
    """The event concerns `container_numbers` only. Other containers are in `other_container_numbers`."""
    other_container_numbers: fields.ContainerNumbers = ()
    transaction_port: fields.UpperText | None = None
    firms: fields.UpperText | None = None
    reversal: bool = False
    resent: bool = False
    remarks: fields.UpperText | None = None
    snps: fields.SnpList = ()
    received_at: fields.Timestamp | None = None
    source: fields.PrintedText | None = None
    test: bool = False
    action_second: fields.Second | None = None
    """Second of `action_at`; the text's own unless given."""
    unknown_zone: fields.UpperText | None = None
    pass_unknown: bool = False
    """True if nobody knows the pass of an `action_at` in autumn's repeated hour, also if its text tells one."""
    uncertain: Annotated[Uncertainty, BeforeValidator(fields.upper)] | None = None
    indicator: fields.UpperText | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_written_time(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        written = values.get("action_at")
        if (second := fields.written_second(written)) is not None:
            values = {"action_second": second, **values}
        return {**values, "pass_unknown": True} if fields.tells_no_pass(written) else values

    @model_validator(mode="after")
    def _of_a_bill_or_a_vessel(self) -> Self:
        if (self.scac is None) != (self.bill_of_lading is None):
            raise ValueError("scac and bill_of_lading go together")
        if self.scac is None and self.imo_number is None and self.vessel_name is None:
            raise ValueError("it names neither a bill (scac, bill_of_lading) nor a vessel (imo_number, vessel_name)")
        if self.container_level and not self.container_numbers:
            raise ValueError("container_level needs container_numbers")
        if self.container_level and len(self.container_numbers) > MOST_LEVEL_CONTAINERS:
            raise ValueError(f"container_level allows at most {MOST_LEVEL_CONTAINERS} container_numbers")
        if self.pass_unknown and not is_first_pass(posted_minute(self.action_at)):
            raise ValueError("pass_unknown is only for an action_at in the first pass of autumn's repeated hour")
        return self

    def disposition(self, received_at: int, source: str) -> Disposition:
        """The event. A `received_at` in the form is another system's; it counts as the date of the transmission."""
        entry_type, entry_number = entry_of(self.entry_type, self.entry_number)
        action_at = self.action_at
        if self.action_second is not None:
            action_at += self.action_second * MILLISECONDS - action_at % MINUTE
        concerned = self.container_numbers if self.container_level else ()
        shipment = self.shipment()
        if self.container_level or self.other_container_numbers:
            named = self.other_container_numbers if concerned else self.container_numbers + self.other_container_numbers
            shipment = shipment._replace(container_numbers=named)
        uncertain = self.uncertain
        if fields.UNREADABLE_REFERENCE in (shipment.master_bill, shipment.original_bill):
            uncertain = uncertain or "MESSAGE"
            master, original = shipment.master_bill or None, shipment.original_bill or None
            shipment = shipment._replace(master_bill=master, original_bill=original)
        if self.bill_of_lading is not None and self.bill_of_lading.is_repaired:
            uncertain = "BILL"
        return Disposition(
            scac=self.scac,
            bill_of_lading=self.bill_of_lading.number if self.bill_of_lading is not None else None,
            disposition_code=self.disposition_code,
            action_at=action_at,
            quantity=abs(self.quantity) or None,
            entry_type=entry_type,
            entry_number=entry_number,
            container_numbers=concerned,
            transaction_port=self.transaction_port,
            firms=self.firms,
            reversal=self.reversal or self.quantity < 0,
            resent=self.resent,
            remarks=self.remarks,
            snps=self.snps,
            shipment=shipment,
            received_at=received_at if self.received_at is None else min(received_at, self.received_at),
            source=self.source or source,
            transmitted_at=self.received_at,
            test=self.test,
            action_second=self.action_second,
            unknown_zone=self.unknown_zone,
            pass_unknown=self.pass_unknown,
            uncertain=uncertain,
            indicator=self.indicator,
        )


class PartyForm(BaseModel):
    id: fields.PartyId
    id_type: Annotated[IdType, BeforeValidator(fields.upper)] | None = None
    name: fields.PrintedText | None = None
    roles: Annotated[tuple[fields.Label, ...], BeforeValidator(fields.listed), Field(max_length=20)] = ()
    status: Annotated[Literal["certifying", "live", "suspended", "external"], BeforeValidator(fields.lower)] = "live"
    contact_name: fields.PrintedText | None = None
    contact_phone: fields.PrintedText | None = None
    contact_email: fields.PrintedText | None = None
    aliases: fields.Aliases = ()
    production_group: fields.PrintedText | None = None
    webhook_url: fields.Url | None = None

    @model_validator(mode="after")
    def _of_its_type(self) -> Self:
        if self.id_type is not None and not is_valid_id(self.id, self.id_type):
            raise ValueError(f"id: {self.id!r} is not of the type {self.id_type}")
        return self

    @model_validator(mode="after")
    def _in_its_own_group(self) -> Self:
        if fault := group_fault(self.party()):
            raise ValueError(f"production_group: {fault}")
        return self

    def party(self) -> Party:
        """The party. Without a type, four letters are a SCAC."""
        values = self.model_dump()
        values["id_type"] = self.id_type or usual_type(self.id)
        values["aliases"] = tuple(one for one in dict.fromkeys(self.aliases) if named_party(one).id != self.id)
        return Party(**values)


class LineForm(BaseModel):
    """One line aboard one sailing."""

    sailing_id: fields.ShortText
    imo_number: fields.ImoNumber
    vessel_name: fields.UpperText | None = None
    arrival_date: fields.Day | None = None
    ports: fields.PortCodes = ()
    scac: fields.RegisteredScac
    role: Annotated[LineRole, BeforeValidator(fields.lower)]
    voyage_number: Annotated[fields.UpperText, Field(max_length=50)] | None = None
    scope: Annotated[Scope, BeforeValidator(fields.lower)] | None = None
    first_lading_date: fields.Day | None = None

    @property
    def calls(self) -> tuple[PortCall, ...]:
        """Port calls that this row names."""
        if self.ports:
            return tuple(PortCall(port, self.arrival_date) for port in self.ports)
        return (PortCall(None, self.arrival_date),) if self.arrival_date else ()


class ProcedureForm(BaseModel):
    """One port's own procedure for an outage."""

    port: fields.PortCode
    procedure: Annotated[fields.PrintedText, Field(min_length=1, max_length=LONGEST_PROCEDURE)]
    telephone: Annotated[fields.PrintedText, Field(max_length=LONGEST_TELEPHONE)] | None = None


class DeclaredShipmentForm(ShipmentForm):
    """The shipment in what people enter: a wrong value is refused, where a message's is flagged."""

    port_of_unlading: fields.UnladingPort | None = None
    in_bond_destination: fields.PortCode | None = None


class FilingForm(DeclaredShipmentForm):
    scac: fields.Scac
    bill_of_lading: fields.BillNumber
    bill_type: fields.BillType | None = None
    snps: fields.SnpList = ()
    manifested_quantity: fields.Pieces | None = None

    def filing(self, source: str, received_at: int) -> Filing:
        values = {name: getattr(self, name) for name in FilingForm.model_fields}
        return filing_of({**values, "source": source, "received_at": received_at})


class HoldForm(BaseModel):
    code: fields.DispositionCode
    container: fields.UpperText | None = None
    quantity: fields.Pieces | None = None
    placed_at: fields.Timestamp | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, part: Any) -> Any:
        if isinstance(part, str):
            values = part.split("/")
            if len(values) > len(HOLD_PARTS):
                raise ValueError(f"{part!r} is not {'/'.join(HOLD_PARTS)}")
            part = dict(zip(HOLD_PARTS, values, strict=False))
        return filled_in(part) if isinstance(part, dict) else part


class SnapshotForm(FilingForm):
    status_at: fields.Timestamp
    released_quantity: fields.Pieces | None = None
    release_posted_at: fields.Timestamp | None = None
    holds: Annotated[tuple[HoldForm, ...], BeforeValidator(fields.listed)] = ()


class OperatorForm(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    by: fields.ShortText
    """The router's operator."""


class ManualForm(DeclaredShipmentForm, OperatorForm):
    """CBP's statement about one bill by phone, by e-mail or on paper, with what the operator knows of the shipment."""

    scac: fields.Scac
    bill_of_lading: fields.BillNumber
    action: Literal["PLACE", "LIFT", "RELEASE"]
    said_at: fields.Timestamp
    channel: Annotated[Literal["phone", "e-mail", "paper"], BeforeValidator(fields.lower)] = "phone"
    code: fields.DispositionCode | None = None
    container: fields.ContainerNumber | None = None
    quantity: Annotated[fields.Number, Field(ge=1, le=MOST_PIECES)] | None = None
    source: fields.ShortText | None = None
    ticket: fields.ShortText | None = None
    snps: fields.SnpList = ()

    @model_validator(mode="after")
    def _a_hold_has_a_code(self) -> Self:
        if self.action == PLACE and self.code is None:
            raise ValueError("a hold needs its code, such as 6H for a do-not-load: ask the person who relays it")
        return self

    @model_validator(mode="after")
    def _a_release_has_a_source(self) -> Self:
        if self.action == RELEASE and self.source is None:
            raise ValueError("a release needs its source: say who at CBP gave it")
        return self


class ClearanceForm(OperatorForm):
    """CBP's statement outside the feed that holds of a bill have ended: all of a kind, or those of the events named."""

    kind: HoldKind | None = None
    events: Annotated[tuple[str, ...], BeforeValidator(fields.listed)] = ()
    """Ids of the events that placed them, or their first characters."""
    container: fields.ContainerNumber | None = None
    source: fields.ShortText
    reason: fields.ShortText
    ticket: fields.ShortText | None = None


class OutageForm(OperatorForm):
    """An operator's declaration of an outage."""

    mode: Annotated[Mode, BeforeValidator(fields.lower)] = "ocean"
    reason: fields.ShortText
    since: fields.Timestamp
    port: fields.PortCode | None = None
    feed: fields.FeedName | None = None
    carrier: fields.RegisteredScac | None = None
    until: fields.Timestamp | None = None
    ticket: fields.PrintedText | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("until must be later than since")
        return self


class PaperForm(FilingForm):
    """A bill that CBP has only on paper or by e-mail."""

    delivered_at: fields.Timestamp
    form: Annotated[Literal["CBPF1302", "EMAIL"], BeforeValidator(lambda text: str(text).strip().upper())] = "CBPF1302"
    ticket: fields.PrintedText | None = None


AnyForm = TypeVar("AnyForm", bound=BaseModel)


def checked(form: type[AnyForm], values: Mapping[str, Any]) -> AnyForm:
    """The form filled in. Raises UsageError that names each wrong field."""
    try:
        return form.model_validate(filled_in(values))
    except ValidationError as error:
        raise UsageError(fields.reasons_of(error)) from error


def feed_name(value: str) -> str:
    """Raises UsageError."""
    return str(_typed(fields.FeedName, "feed", value))


def _typed(kind: Any, name: str, value: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise UsageError(f"{name}: {fields.reasons_of(error)}") from error


def check_moment(name: str, moment: int, now: int) -> None:
    """Raises UsageError for a time that is still to come, or so long ago that it is a slip."""
    if moment > now + CLOCKS_DIFFER:
        raise UsageError(f"{name}: that is still to come; times without an offset are Eastern")
    if moment < now - LONGEST_AGO:
        raise UsageError(f"{name}: that is more than {LONGEST_AGO // DAY} days ago")


def manual_event(form: ManualForm, event_id: str, received_at: int) -> ManualEvent:
    values = form.model_dump(exclude=set(ShipmentForm.model_fields))
    code, container = values.pop("code"), values.pop("container")
    made = {"id": event_id, "disposition_code": code, "container_number": container, "received_at": received_at}
    return ManualEvent(**values, **made, shipment=form.shipment())


def paper_bill(form: PaperForm, source: str, by: str, received_at: int) -> PaperBill:
    filing = form.filing(source, received_at)
    return PaperBill(filing, form.delivered_at, form.form, by, form.ticket, received_at)
