"""Avro in and out: our compiled encoders against fastavro, byte for byte, and values against themselves."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any, get_args

import fastavro
import pytest
from fastavro.utils import generate_many
from hypothesis import given
from hypothesis import strategies as st

from router import codec
from router.codec import (
    NOTICE_KINDS,
    decode,
    decode_value,
    encode,
    encode_notice,
    encode_recipient,
    encode_shared,
    encode_value,
    join_shared,
    raw_schema,
)
from router.errors import InputError
from router.model.inputs import (
    Confirmation,
    DeadLetter,
    Disposition,
    Filing,
    ManualEvent,
    PaperBill,
    PaperMatch,
    Snapshot,
    SnapshotHold,
)
from router.model.links import IndexFact, LinkFact, Refiling, RefilingAnswer
from router.model.registry_values import (
    FeedActivity,
    LateTally,
    Line,
    Outage,
    Party,
    RegistryNote,
    Request,
    RequestDone,
    Sailing,
    registry_key,
)

NAMES = sorted(codec.schema_ids())
SAID = ManualEvent("NVXA", "B1", "m1", "PLACE", 5, "me", "phone", "6H", source="CBP, Los Angeles", received_at=6)
VALUES = (
    Disposition("NVXA", "B1", "1H", 1_784_030_400_000, 40, container_numbers=("CSQU3054383",), snps=("OCNX", "17:1")),
    Disposition(None, None, "DV", 0),
    Filing("NVXA", "B1", snps=("OCNX",), manifested_quantity=0),
    Snapshot(Filing("NVXA", "B1"), 5, 40, None, (SnapshotHold("1H", None, None, 3), SnapshotHold("2H", "X", 4, None))),
    Confirmation("NVXA", "B1", ("a", "b"), "me", "ümlaut", 7),
    DeadLetter("id", "why", "where", "x12", bytes(range(256)), 256),
    Party("OCNX", roles=("carrier",), aliases=("OCNY",)),
    Sailing("S1", "9074729", None, None, (Line("OCNX", "operator", None, "own"),)),
    RegistryNote("tick", "tick", 1),
    IndexFact("container:X", "NVXAB1", True, since=-1),
    LinkFact("NVXAB1", "container:X", "BOX", False),
    SAID,
    PaperBill(Filing("NVXA", "B1", snps=("OCNX",)), 5, "CBPF1302", "me"),
    PaperMatch("NVXA", "B1", "NVXAB2", "me", 7),
    Refiling("NVXAB2", "NVXAB1", (SAID,), ("a",), ("OCNX",)),
    RefilingAnswer("NVXAB1", "NVXAB2", ("m1",), ("SLTC",)),
    Outage("o1", "DECLARED", 5, port="2704", until=9),
    FeedActivity("x12", None, 5),
    LateTally("o1", "r1", 3, 1, 0, 4, 9),
    Request("q1", "RESYNC", "OCNX", "me", 5),
    RequestDone("q1", 0, 8, 9),
)


def plain(schema: Any) -> Any:
    """Without logical types: inside, times stay numbers."""
    if isinstance(schema, dict):
        return {key: plain(part) for key, part in schema.items() if key != "logicalType"}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema


def listed(value: Any) -> Any:
    """As fastavro reads it: tuples as lists."""
    if isinstance(value, dict):
        return {key: listed(part) for key, part in value.items()}
    return [listed(part) for part in value] if isinstance(value, list | tuple) else value


def by_fastavro(name: str, datum: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain(raw_schema(name))), datum)
    return out.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_what_we_write_is_what_fastavro_writes_and_reads(name: str) -> None:
    for datum in generate_many(fastavro.parse_schema(plain(raw_schema(name))), 20):
        value = encode(name, datum)  # type: ignore[arg-type]
        assert value[codec.HEADER_SIZE :] == by_fastavro(name, datum)
        assert (decode(value)[0], listed(decode(value)[1])) == (name, datum)


def test_every_typed_value_has_a_schema_and_is_tried_here() -> None:
    assert set(codec.NAME_OF) == set(get_args(codec.Value)) == {type(value) for value in VALUES}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_went(value: codec.Value) -> None:
    assert decode_value(encode_value(value)) == value


@pytest.mark.parametrize("kind", [*codec.NAME_OF, SnapshotHold, Line])
def test_a_values_fields_are_the_records_in_the_same_order(kind: Any) -> None:
    names = {Snapshot: "snapshot", SnapshotHold: "snapshot", Line: "sailing"}
    schema = raw_schema(codec.NAME_OF.get(kind) or names[kind])
    if kind in (SnapshotHold, Line):
        schema = next(field["type"]["items"] for field in schema["fields"] if field["name"] in ("holds", "lines"))
    assert tuple(field["name"] for field in schema["fields"]) == kind._fields


def test_what_lies_in_the_registry_lies_under_keys_of_its_own() -> None:
    keys = [registry_key(value) for value in VALUES if isinstance(value, codec.RegistryValue)]
    assert len(set(keys)) == len(keys) == len(get_args(codec.RegistryValue))
    assert registry_key(FeedActivity("x12", "2704", 5)) not in keys
    assert registry_key(FeedActivity("x12", None, 6)) in keys


def test_values_are_framed_as_confluents_are() -> None:
    assert encode_value(VALUES[0])[:5] == b"\x00" + (codec.FIRST_ID + 1).to_bytes(4, "big")


def test_what_parties_read_is_written_with_an_external_registry_s_ids_and_both_are_read() -> None:
    (datum,) = generate_many(fastavro.parse_schema(plain(raw_schema("hold"))), 1)
    fields: dict[str, Any] = datum  # type: ignore[assignment]
    ours = encode("hold", fields)
    codec.publish_under({"hold": 1, "change": 2, "release": 3})
    try:
        theirs = encode("hold", fields)
        assert theirs == b"\x00\x00\x00\x00\x01" + ours[5:]
        assert codec.schema_name_of(theirs) == codec.schema_name_of(ours) == "hold"
        assert encode_value(VALUES[0])[:5] == b"\x00" + (codec.FIRST_ID + 1).to_bytes(4, "big")
    finally:
        codec.publish_under({})
    assert encode("hold", fields) == ours


@pytest.mark.parametrize("kind", NOTICE_KINDS)
def test_a_notice_written_in_two_parts_is_one_whole_record(kind: str) -> None:
    (datum,) = generate_many(fastavro.parse_schema(plain(raw_schema(kind))), 1)
    fields: dict[str, Any] = datum  # type: ignore[assignment]
    own = [fields[name] for name in ("notice_id", "event_id", "cause", "covers")]
    recipient = encode_recipient(fields["recipient"], tuple(fields["roles"]), fields["recipient_voyage_number"])
    assert encode_notice(kind, join_shared(encode_shared(fields)), *own, recipient) == encode(kind, fields)


def test_a_notices_own_fields_come_last() -> None:
    names = [field["name"] for field in raw_schema("hold")["fields"]]
    own = ["notice_id", "event_id", "cause", "covers", "recipient", "roles", "recipient_voyage_number"]
    assert names[names.index(codec.FIRST_OWN_FIELD) :] == own


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_an_input_error(value: bytes) -> None:
    with pytest.raises(InputError):
        decode(b"\x01" + value)


@given(st.sampled_from(NAMES), st.binary(max_size=200))
def test_whatever_follows_a_header_is_read_or_refused(name: str, value: bytes) -> None:
    with suppress(InputError):
        decode(codec.header(name) + value)


@given(st.sampled_from(VALUES), st.integers(0, 10_000))
def test_a_record_cut_short_or_with_more_behind_it_is_refused(value: codec.Value, place: int) -> None:
    whole = encode_value(value)
    for broken in (whole[: place % len(whole)], whole + b"\x00"):
        with pytest.raises(InputError):
            decode_value(broken)


@pytest.mark.parametrize("name", ["hold", "bill-state", "position"])
def test_a_record_that_is_no_input_is_refused_as_one(name: str) -> None:
    (datum,) = generate_many(fastavro.parse_schema(plain(raw_schema(name))), 1)
    with pytest.raises(InputError, match="does not belong here"):
        decode_value(encode(name, datum))  # type: ignore[arg-type]
