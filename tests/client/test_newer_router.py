"""A router that is newer than the kit writes with schemas that the kit does not know."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import fastavro
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from router.client import Hold
from router.client.decoding import NoticeDecoder
from router.codec import MAGIC, raw_schema
from router.errors import FatalLogError, InputError
from router.http import serving
from tests.client.samples import notices

NEWER_ID, STRANGE_ID, UNKNOWN_ID = 901, 902, 903


def newer_schema() -> dict[str, Any]:
    """As today's, with one field more in the middle, and in the holds too."""
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


async def test_its_notices_are_read_as_those_we_know(registry: str, asked: list[int]) -> None:
    decoder = NoticeDecoder(registry)
    read = [await decoder.notice(newer_value(datum)) for _, datum in notices(20)]
    assert [notice.notice_id for notice in read] == [datum["notice_id"] for _, datum in notices(20)]
    assert all(isinstance(notice, Hold) for notice in read)
    assert asked == [NEWER_ID]


async def test_without_a_registry_it_says_what_to_do() -> None:
    (_, datum), *_ = notices(1)
    with pytest.raises(InputError, match="Give registry_url"):
        await NoticeDecoder().notice(newer_value(datum))


@pytest.mark.parametrize("schema_id", [STRANGE_ID, UNKNOWN_ID])
async def test_what_the_registry_does_not_know_as_a_notice_is_refused(registry: str, schema_id: int) -> None:
    (_, datum), *_ = notices(1)
    with pytest.raises(InputError, match=str(schema_id)):
        await NoticeDecoder(registry).notice(newer_value(datum, schema_id))


async def test_a_registry_that_does_not_answer_is_named() -> None:
    (_, datum), *_ = notices(1)
    with pytest.raises(FatalLogError, match="does not answer"):
        await NoticeDecoder("http://127.0.0.1:9").notice(newer_value(datum))
