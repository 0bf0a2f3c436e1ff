"""The kit's values are the published records: the same names, order and types, and no value lost."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields
from datetime import UTC, datetime
from typing import Any

import pytest

from router.client import Change, Hold, Release, StandingHold
from router.client.decoding import NoticeDecoder
from router.client.values import KINDS
from router.codec import NOTICE_KINDS, header, raw_schema
from router.errors import InputError, UsageError
from router.model.eastern import iso
from router.plain import plain
from tests.client.samples import notices, outputs

PLAIN = {"string": "str", "long": "int", "int": "int", "boolean": "bool"}


def written_type(schema: Any) -> str:
    """How the values' module has to write a type of the schema."""
    if isinstance(schema, list):
        return f"{written_type(schema[1])} | None"
    if isinstance(schema, str):
        return PLAIN[schema]
    if schema.get("logicalType") == "timestamp-millis":
        return "datetime"
    if schema["type"] == "array":
        return f"tuple[{written_type(schema['items'])}, ...]"
    return str(schema["name"])


def fields_of(schema: Any) -> list[tuple[str, str]]:
    return [(field["name"], written_type(field["type"])) for field in schema["fields"]]


@pytest.mark.parametrize("kind", [Hold, Change, Release])
def test_a_notice_has_the_fields_of_its_record(kind: type[Any]) -> None:
    schema = raw_schema(kind.kind)
    assert kind.__name__ == schema["name"]
    assert [(field.name, field.type) for field in fields(kind)] == fields_of(schema)


def test_a_standing_hold_has_the_fields_of_its_record() -> None:
    (holds,) = (field for field in raw_schema("hold")["fields"] if field["name"] == "holds")
    assert [(field.name, field.type) for field in fields(StandingHold)] == fields_of(holds["type"]["items"])


def test_there_is_a_type_for_each_kind() -> None:
    assert tuple(KINDS) == NOTICE_KINDS


async def test_no_value_is_lost_or_changed() -> None:
    decoder = NoticeDecoder()
    for (kind, datum), output in zip(notices(500), outputs(500), strict=True):
        notice = await decoder.notice(output.value)
        assert type(notice) is KINDS[kind]
        assert as_plain(asdict(notice)) == plain(kind, datum)


async def test_a_notice_can_not_be_changed_and_knows_its_bill() -> None:
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
async def test_what_is_no_notice_is_refused(value: bytes | None) -> None:
    with pytest.raises(InputError):
        await NoticeDecoder().notice(value)


def test_a_registry_that_is_no_web_address_is_refused() -> None:
    with pytest.raises(UsageError, match="registry_url"):
        NoticeDecoder("file:///etc/passwd")


def as_plain(value: Any) -> Any:
    """As JSON has it, and `snp-router tail --format json` prints it."""
    if isinstance(value, dict):
        return {key: as_plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(part) for part in value]
    if isinstance(value, datetime):
        return iso(round((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000))
    return value
