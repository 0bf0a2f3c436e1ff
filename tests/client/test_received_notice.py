"""The kit's values: the names, order and types of the published records, no value lost, schemas newer than the kit."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import FrozenInstanceError, asdict, fields
from datetime import UTC, datetime
from typing import Any

import fastavro
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from router.client import Change, Container, Hold, HoldInForce, Release
from router.client.received_notice import TYPE_OF_KIND, NoticeDecoder
from router.codec import MAGIC, NOTICE_KINDS
from router.codec.published import header, raw_schema
from router.errors import FatalLogError, InputError, UsageError
from router.http import serving
from router.model.eastern import iso
from router.presentation import plain
from tests.client.notice_samples import notices, outputs

PLAIN = {"string": "str", "long": "int", "int": "int", "boolean": "bool"}
NAME_IN_KIT = {"StandingHold": "HoldInForce", "ContainerStatus": "Container"}


def written_type(schema: Any) -> str:
    """The annotation that a field of this schema needs in the kit."""
    if isinstance(schema, list):
        return f"{written_type(schema[1])} | None"
    if isinstance(schema, str):
        return PLAIN[schema]
    if schema.get("logicalType") == "timestamp-millis":
        return "datetime"
    if schema["type"] == "array":
        return f"tuple[{written_type(schema['items'])}, ...]"
    return NAME_IN_KIT[schema["name"]]


def fields_of(schema: Any) -> list[tuple[str, str]]:
    return [(field["name"], written_type(field["type"])) for field in schema["fields"]]


@pytest.mark.parametrize("kind", [Hold, Change, Release])
def test_a_notice_has_the_fields_of_its_record(kind: type[Any]) -> None:
    schema = raw_schema(kind.kind)
    assert kind.__name__ == schema["name"]
    assert [(field.name, field.type) for field in fields(kind)] == fields_of(schema)


@pytest.mark.parametrize(("kit", "name"), [(HoldInForce, "holds"), (Container, "containers")])
def test_a_hold_and_a_container_have_the_fields_of_their_records(kit: type[Any], name: str) -> None:
    (field,) = (field for field in raw_schema("hold")["fields"] if field["name"] == name)
    assert [(one.name, one.type) for one in fields(kit)] == fields_of(field["type"]["items"])


def test_there_is_a_type_for_each_kind() -> None:
    assert tuple(TYPE_OF_KIND) == NOTICE_KINDS


async def test_no_value_is_lost_or_changed() -> None:
    decoder = NoticeDecoder()
    for (kind, datum), output in zip(notices(500), outputs(500), strict=True):
        notice = await decoder.notice(output.value)
        assert type(notice) is TYPE_OF_KIND[kind]
        assert as_plain(asdict(notice)) == plain(kind, datum)


async def test_a_notice_is_immutable_and_has_its_bill() -> None:
    (output,) = outputs(1)
    notice = await NoticeDecoder().notice(output.value)
    with pytest.raises(FrozenInstanceError):
        notice.status = "RELEASED"  # type: ignore[misc]
    assert hash(notice) == hash(await NoticeDecoder().notice(output.value))
    kept = {field.name: getattr(notice, field.name) for field in fields(notice)}
    assert Hold(**kept | {"scac": "NVX", "bill_of_lading": "B1"}).bill == "NVX B1"
    assert Hold(**kept | {"bill_of_lading": None}).bill is None


@pytest.mark.parametrize(
    "value", [None, b"", b"\x00\x00", b"\x01\x00\x00\x00\x11", header("hold"), header("feed-status") + b"rest"]
)
async def test_a_value_that_is_no_notice_is_refused(value: bytes | None) -> None:
    with pytest.raises(InputError):
        await NoticeDecoder().notice(value)


def test_a_registry_needs_a_web_address() -> None:
    with pytest.raises(UsageError, match="registry_url"):
        NoticeDecoder("file:///etc/passwd")


def as_plain(value: Any) -> Any:
    """The JSON that `snp-router tail --format json` prints."""
    if isinstance(value, dict):
        return {key: as_plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(part) for part in value]
    if isinstance(value, datetime):
        return iso(round((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000))
    return value


NEWER_ID, STRANGE_ID, UNKNOWN_ID = 901, 902, 903


def newer_schema() -> dict[str, Any]:
    """Today's schema with one more field in the middle, and one in the holds."""
    schema = json.loads(json.dumps(raw_schema("hold")))
    more = {"name": "news", "type": ["null", "string"], "default": None, "doc": "x"}
    schema["fields"].insert(5, more)
    (holds,) = (field for field in schema["fields"] if field["name"] == "holds")
    holds["type"]["items"]["fields"].append(more)
    return schema


def newer_value(datum: dict[str, Any], schema_id: int = NEWER_ID) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(newer_schema()), datum | {"news": "unheard of"})
    return MAGIC + schema_id.to_bytes(4, "big") + out.getvalue()


@pytest.fixture
async def asked() -> list[int]:
    return []


@pytest.fixture
async def registry(asked: list[int]) -> AsyncIterator[str]:
    schemas = {NEWER_ID: newer_schema(), STRANGE_ID: raw_schema("feed-status")}

    async def by_id(request: Request) -> Response:
        number = request.path_params["id"]
        asked.append(number)
        if number not in schemas:
            return JSONResponse({"error_code": 40403, "message": "Schema not found"}, 404)
        return JSONResponse({"schema": json.dumps(schemas[number])})

    async with serving(Starlette(routes=[Route("/schemas/ids/{id:int}", by_id)]), "127.0.0.1:0") as address:
        yield f"http://{address}"


async def test_a_newer_routers_notices_are_read_as_ours(registry: str, asked: list[int]) -> None:
    decoder = NoticeDecoder(registry)
    read = [await decoder.notice(newer_value(datum)) for _, datum in notices(20)]
    assert [notice.notice_id for notice in read] == [datum["notice_id"] for _, datum in notices(20)]
    assert all(isinstance(notice, Hold) for notice in read)
    assert asked == [NEWER_ID]


async def test_without_a_registry_the_error_names_the_setting() -> None:
    (_, datum), *_ = notices(1)
    with pytest.raises(InputError, match="Set registry_url"):
        await NoticeDecoder().notice(newer_value(datum))


@pytest.mark.parametrize("schema_id", [STRANGE_ID, UNKNOWN_ID])
async def test_a_schema_that_the_registry_lacks_or_that_is_no_notice_is_refused(registry: str, schema_id: int) -> None:
    (_, datum), *_ = notices(1)
    with pytest.raises(InputError, match=str(schema_id)):
        await NoticeDecoder(registry).notice(newer_value(datum, schema_id))


async def test_a_registry_that_does_not_answer_is_named() -> None:
    (_, datum), *_ = notices(1)
    with pytest.raises(FatalLogError, match="does not answer"):
        await NoticeDecoder("http://127.0.0.1:9").notice(newer_value(datum))
