"""A party's notices as frozen, typed values. What each field means: `schemas/hold.avsc` and docs/for-integrators.md.

The fields are those of the schema, in its order and with its names (a test says so). Unknown values are None, unknown
lists empty; moments are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from router.model.identifiers import bill_key

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingHold:
    """A hold or block that stands."""

    code: str | None
    """None for BOX and HOUSE: the cause belongs to another bill."""
    kind: str
    container_number: str | None
    """None: the whole bill."""
    quantity: int | None
    """Pieces held; None: all."""
    placed_at: datetime | None
    meaning: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a party is sent. Always a `Hold`, a `Change` or a `Release`; acting on the type alone is safe."""

    kind: ClassVar[str]

    scac: str | None
    bill_of_lading: str | None
    vessel_name: str | None
    disposition_code: str | None
    voyage_number: str | None
    quantity: int | None
    manifest_sequence_number: str | None
    entry_type: str | None
    imo_number: str | None
    entry_number: str | None
    port_of_unlading: str | None
    action_at: datetime | None
    arrival_date: str | None
    container_numbers: tuple[str, ...]
    code_meaning: str | None
    agency: str | None
    remarks: str | None
    container_level: bool
    transaction_port: str | None
    firms: str | None
    reversal: bool
    carrier_scac: str | None
    master_bill: str | None
    original_bill: str | None
    received_at: datetime | None
    status: str | None
    deliverable: bool | None
    do_not_load: bool | None
    doubts: tuple[str, ...]
    holds: tuple[StandingHold, ...]
    authorises: tuple[str, ...]
    manifested_quantity: int | None
    released_quantity: int | None
    release_posted_at: datetime | None
    flags: tuple[str, ...]
    notice_id: str
    """The idempotency key: store it with what you did, and do nothing when it comes again."""
    event_id: str | None
    cause: str
    covers: tuple[str, ...]
    recipient: str
    roles: tuple[str, ...]
    recipient_voyage_number: str | None

    @property
    def bill(self) -> str | None:
        """Issuer's SCAC, padded to four places, and number: `NVXAHBL000012345`. None for a vessel's own event."""
        if self.scac is None or self.bill_of_lading is None:
            return None
        return bill_key(self.scac, self.bill_of_lading)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Notice):
    """The cargo is held or must not be loaded."""

    kind = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Notice):
    """Something changed that neither stops nor frees the cargo; `authorises` may name something less than delivery."""

    kind = "change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Notice):
    """The whole bill may be delivered at its place now."""

    kind = "release"


KINDS: Final[Mapping[str, type[Notice]]] = {kind.kind: kind for kind in (Hold, Change, Release)}


def notice_of(kind: str, datum: Mapping[str, Any]) -> Notice:
    """A notice of the fields of its record: moments as UTC milliseconds or as datetimes, lists of any kind."""
    return KINDS[kind](**{name: convert(datum[name]) for name, convert in _NOTICE_FIELDS})


def _moment(value: int | datetime | None) -> datetime | None:
    return _START + timedelta(milliseconds=value) if isinstance(value, int) else value


def _holds(values: list[Mapping[str, Any]]) -> tuple[StandingHold, ...]:
    return tuple(StandingHold(**{name: convert(value[name]) for name, convert in _HOLD_FIELDS}) for value in values)


def _same(value: Any) -> Any:
    return value


_BY_TYPE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "datetime | None": _moment,
    "tuple[str, ...]": tuple,
    "tuple[StandingHold, ...]": _holds,
}


def _conversions(kind: type[Any]) -> list[tuple[str, Callable[[Any], Any]]]:
    return [(field.name, _BY_TYPE.get(str(field.type), _same)) for field in fields(kind)]


_NOTICE_FIELDS: Final = _conversions(Notice)
_HOLD_FIELDS: Final = _conversions(StandingHold)
