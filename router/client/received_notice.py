"""A party's notices as frozen, typed values, decoded from its topic.

Fields have the names and order of the schema (a test compares them); `schemas/hold.avsc` and docs/for-integrators.md
give their meaning. Unknown values are None, unknown lists empty; moments are aware datetimes in UTC.
"""

from __future__ import annotations

import asyncio
import io
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import fastavro

from router import codec
from router.codec import published
from router.errors import FatalLogError, InputError, UsageError
from router.model.identifiers import bill_key

ANSWER_SECONDS: Final = 10
LARGEST_ANSWER: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldInForce:
    """A hold or block in force; `StandingHold` in the schema."""

    code: str | None
    """None for BOX and HOUSE: the cause belongs to another bill."""
    kind: str
    container_number: str | None
    """None: the whole bill."""
    quantity: int | None
    """Pieces held; None: all."""
    placed_at: datetime | None
    meaning: str | None
    because_of: str | None
    """The other bill behind a BOX or HOUSE hold, if the recipient may see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of the bill, with what is true for it alone; `ContainerStatus` in the schema."""

    number: str
    stopped: bool
    do_not_load: bool
    authorises: tuple[str, ...]
    released: bool
    """True if this bill's cargo in it may be delivered. A shared container leaves on its master's TERMINAL_EXIT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedNotice:
    """A notice as its party receives it: a `Hold`, a `Change` or a `Release`. Acting on the type alone is safe."""

    kind: ClassVar[str]

    scac: str | None
    bill_of_lading: str | None
    vessel_name: str | None
    disposition_code: str | None
    voyage_number: str | None
    quantity: int | None
    manifest_sequence_number: str | None
    imo_number: str | None
    port_of_unlading: str | None
    action_at: datetime | None
    arrival_date: str | None
    container_numbers: tuple[str, ...]
    code_meaning: str | None
    agency: str | None
    container_level: bool
    transaction_port: str | None
    firms: str | None
    reversal: bool
    carrier_scac: str | None
    original_bill: str | None
    received_at: datetime | None
    status: str | None
    deliverable: bool | None
    deliverable_at: str | None
    do_not_load: bool | None
    doubts: tuple[str, ...]
    holds: tuple[HoldInForce, ...]
    authorises: tuple[str, ...]
    containers: tuple[Container, ...]
    manifested_quantity: int | None
    released_quantity: int | None
    release_posted_at: datetime | None
    flags: tuple[str, ...]
    event_id: str | None
    cause: str
    covers: tuple[str, ...]
    entry_type: str | None
    entry_number: str | None
    master_bill: str | None
    remarks: str | None
    notice_id: str
    """The idempotency key: store it with your action, and ignore a notice whose id you have stored."""
    recipient: str
    roles: tuple[str, ...]
    recipient_voyage_number: str | None

    @property
    def bill(self) -> str | None:
        """The issuer's SCAC, padded to four places, and the number: `NVXAHBL000012345`. None for a vessel's event."""
        if self.scac is None or self.bill_of_lading is None:
            return None
        return bill_key(self.scac, self.bill_of_lading)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(ReceivedNotice):
    """The cargo is held or must not be loaded."""

    kind = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(ReceivedNotice):
    """A change that neither stops nor frees the cargo; `authorises` may name something less than delivery."""

    kind = "change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(ReceivedNotice):
    """The whole bill may be delivered at its place now."""

    kind = "release"


TYPE_OF_KIND: Final[Mapping[str, type[ReceivedNotice]]] = {kind.kind: kind for kind in (Hold, Change, Release)}
_NOTICE_FIELDS: Final = tuple(field.name for field in fields(ReceivedNotice))
_HOLD_FIELDS: Final = tuple(field.name for field in fields(HoldInForce))
_CONTAINER_FIELDS: Final = tuple(field.name for field in fields(Container))
_KIND_OF_RECORD: Final = {published.raw_schema(kind)["name"]: kind for kind in codec.NOTICE_KINDS}


def notice_of(kind: str, datum: Mapping[str, Any]) -> ReceivedNotice:
    """The notice with the values of a decoded record; fields that this kit does not know are left out."""
    return TYPE_OF_KIND[kind](**{name: _typed(name, datum[name]) for name in _NOTICE_FIELDS})


def _typed(name: str, value: Any) -> Any:
    """A field's value; moments come as UTC milliseconds from our codec and as datetimes from fastavro."""
    if name.endswith("_at") and isinstance(value, int):
        return _EPOCH + timedelta(milliseconds=value)
    if name == "holds":
        return tuple(HoldInForce(**{one: _typed(one, hold[one]) for one in _HOLD_FIELDS}) for hold in value)
    if name == "containers":
        return tuple(Container(**{one: _typed(one, each[one]) for one in _CONTAINER_FIELDS}) for each in value)
    return tuple(value) if isinstance(value, list) else value


class NoticeDecoder:
    """Decodes values of a party's topic by the schemas that came with this kit.

    A schema with another id comes from a newer router or from an external registry. It is fetched once from
    `registry_url`, and its records are read as ours.
    """

    def __init__(self, registry_url: str | None = None) -> None:
        if registry_url is not None and not registry_url.startswith(("http://", "https://")):
            raise UsageError(f"registry_url is {registry_url!r}: write http://host:port or https://host:port")
        self._url = registry_url.rstrip("/") if registry_url else None
        self._fetched: dict[int, tuple[str, Any]] = {}

    async def notice(self, value: bytes | None) -> ReceivedNotice:
        """Raises InputError if the value is not a notice, FatalLogError if the registry does not answer."""
        if value is None or value[:1] != codec.MAGIC or len(value) < codec.HEADER_SIZE:
            raise InputError("the value does not begin with the header of a schema")
        number = int.from_bytes(value[1 : codec.HEADER_SIZE], "big")
        if number not in published.schema_names():
            return await self._by_fetched_schema(number, value)
        name, datum = codec.decode(value)
        if name not in codec.NOTICE_KINDS:
            raise InputError(f"a {name} record is not a notice")
        return notice_of(name, datum)

    async def _by_fetched_schema(self, number: int, value: bytes) -> ReceivedNotice:
        if number not in self._fetched:
            self._fetched[number] = await self._fetch_schema(number)
        kind, writer = self._fetched[number]
        reader = fastavro.parse_schema(published.raw_schema(kind))
        try:
            datum: Any = fastavro.schemaless_reader(io.BytesIO(value[codec.HEADER_SIZE :]), writer, reader)
        except (ValueError, TypeError, IndexError, EOFError, fastavro.read.SchemaResolutionError) as error:
            raise InputError(f"the value does not match its schema, {number} of {self._url} ({error!r})") from error
        return notice_of(kind, datum)

    async def _fetch_schema(self, number: int) -> tuple[str, Any]:
        """The kind of notice and the parsed schema with that id."""
        if self._url is None:
            raise InputError(
                f"the value's schema, {number}, did not come with this kit: the router is newer, or uses the ids of an "
                "external registry. Set registry_url"
            )
        answer = await asyncio.to_thread(_fetch, f"{self._url}/schemas/ids/{number}")
        try:
            schema = json.loads(json.loads(answer)["schema"])
            return _KIND_OF_RECORD[schema["name"]], fastavro.parse_schema(schema)
        except (ValueError, TypeError, KeyError, fastavro.schema.SchemaParseException) as error:
            raise InputError(f"schema {number} of {self._url} is not the schema of a notice ({error!r})") from error


def _fetch(url: str) -> bytes:
    """Raises FatalLogError if the registry does not answer, InputError if it refuses."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as response:
            answer: bytes = response.read(LARGEST_ANSWER + 1)
    except urllib.error.HTTPError as error:
        raise InputError(f"the schema registry does not have the value's schema: {url} answers {error.code}") from error
    except OSError as error:
        raise FatalLogError(f"the schema registry does not answer: {url} ({error})") from error
    if len(answer) > LARGEST_ANSWER:
        raise InputError(f"{url} answers with more than {LARGEST_ANSWER} bytes, which is no schema of a notice")
    return answer
