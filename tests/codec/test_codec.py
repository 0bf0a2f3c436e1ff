"""Values as bytes and back: Avro that any reader of the schema reads, and MessagePack for the router alone."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any, get_args

import fastavro
import msgspec
import pytest
from fastavro.utils import generate_many
from hypothesis import given
from hypothesis import strategies as st

from router import codec
from router.codec import decode, decode_value, encode, encode_value
from router.codec.packed import BILL_STATE, FORMAT_VERSION, PACKED
from router.codec.published import (
    FIRST_ID,
    HEADER_SIZE,
    NOTICE_KINDS,
    NoticeParts,
    PublishedValue,
    encode_recipient,
    header,
    publish_under,
    raw_schema,
    schema_ids,
    schema_name_of,
)
from router.decide.audience import Disclosure
from router.decide.bill_state import BillState
from router.decide.notices import SHOWN, stop_fields
from router.decide.rules import Rules, settings_of
from router.errors import InputError
from router.model.inputs import (
    Clearance,
    Confirmation,
    DeadLetter,
    Disposition,
    Filing,
    ManualEvent,
    PaperBill,
    PaperMatch,
    Shipment,
    Snapshot,
    SnapshotHold,
    disposition_fields,
    filing_fields,
)
from router.model.links import IndexFact, LinkFact, Refiling, RefilingAnswer, RefilingRefusal, RefilingRequest, Stop
from router.model.registry_values import (
    FeedActivity,
    LateTally,
    Line,
    LostInput,
    Outage,
    OutageFilers,
    Party,
    PortCall,
    PortProcedure,
    RegistryNote,
    RegistryValue,
    Request,
    RequestDone,
    RulesRecord,
    Sailing,
    registry_key,
)

NAMES = sorted(schema_ids())
PLACED = ManualEvent("NVXA", "B1", "m1", "PLACE", 5, "me", "phone", "6H", source="CBP, Los Angeles", received_at=6)
BOX = Shipment(container_numbers=("CSQU3054383",), imo_number="9074729")
VALUES = (
    Disposition("NVXA", "B1", "1H", 1_784_030_400_000, 40, snps=("OCNX", "17:1"), shipment=BOX),
    Disposition("NVXA", "B1", "1H", 1_784_030_400_000, container_numbers=("CSQU3054383",), shipment=BOX),
    Disposition(None, None, "DV", 0),
    Filing("NVXA", "B1", snps=("OCNX",), manifested_quantity=0, shipment=BOX),
    Snapshot(Filing("NVXA", "B1"), 5, 40, None, (SnapshotHold("1H", None, None, 3), SnapshotHold("2H", "X", 4, None))),
    Clearance("NVXA", "B1", "CBP", ("a",), "CBP", "lost", "me", "os:me", 7, "4711", "1H", "CSQU305438"),
    Confirmation("NVXA", "B1", ("a", "b"), "me", "ümlaut", 7, ("PORT_DIFFERS", "CONTRADICTION"), "os:me"),
    DeadLetter("id", "why", "where", "x12", bytes(range(256)), 256),
    Party("OCNX", roles=("carrier",), aliases=("OCNY",)),
    Sailing("S1", "9074729", None, (PortCall("2704", "2026-07-28"),), (Line("OCNX", "operator", None, "own"),)),
    RegistryNote("tick", "tick", 1),
    IndexFact("container:X", "NVXAB1", True, (Stop("NVXAB1", ("e1", "e2"), since=-1, seen_by=("SLTC",)),)),
    LinkFact("NVXAB1", "container:X", "BOX", False),
    PLACED,
    PaperBill(Filing("NVXA", "B1", snps=("OCNX",)), 5, "CBPF1302", "me"),
    PaperMatch("NVXA", "B1", "NVXAB2", "me", 7),
    Refiling("NVXAB2", "NVXAB1", (PLACED,), ("a",), ("OCNX",)),
    RefilingRequest("NVXAB1", "NVXAB2"),
    RefilingRefusal("NVXAB2", "NVXAB1", True),
    RefilingAnswer("NVXAB1", "NVXAB2", ("m1",), ("SLTC",)),
    Outage("o1", "DECLARED", 5, port="2704", until=9),
    FeedActivity("x12", None, 5),
    LateTally("o1", "r1", 3, 1, 0, 4, 9),
    PortProcedure("2704", "Fax the list of stopped boxes.", "+1-310-555-0100"),
    OutageFilers("o1", 3, ("NVXA", "NVXB"), 9),
    Request("q1", "RESYNC", "OCNX", "me", 5),
    RequestDone("q1", 0, 8, 9),
    RulesRecord(1, "a", settings_of(Rules()), 9, "me", "at first"),
    LostInput("cbp.dispositions", 2, 100, 153, None, 9, 10, "me", "nothing of ours", of_index=False),
)


def plain(schema: Any) -> Any:
    """The schema without logical types: within the router times are numbers."""
    if isinstance(schema, dict):
        return {key: plain(part) for key, part in schema.items() if key != "logicalType"}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema


def generated(name: str, count: int = 1) -> list[dict[str, Any]]:
    return list(generate_many(fastavro.parse_schema(plain(raw_schema(name))), count))  # type: ignore[arg-type]


def listed(value: Any) -> Any:
    """Tuples as lists, as fastavro reads them."""
    if isinstance(value, dict):
        return {key: listed(part) for key, part in value.items()}
    return [listed(part) for part in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", NAMES)
def test_a_published_record_is_read_by_its_schema_alone(name: str) -> None:
    schema = fastavro.parse_schema(plain(raw_schema(name)))
    for fields in generated(name, 20):
        value = encode(name, fields)
        assert fastavro.schemaless_reader(io.BytesIO(value[HEADER_SIZE:]), schema, None) == fields
        assert (decode(value)[0], listed(decode(value)[1])) == (name, fields)


def test_every_type_of_input_is_tried_here() -> None:
    assert {*get_args(codec.Value)} == {type(value) for value in VALUES}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_unchanged(value: codec.Value) -> None:
    assert decode_value(encode_value(value)) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_either_published_or_packed_and_shows_its_kind(value: codec.Value) -> None:
    encoded = encode_value(value)
    assert encoded[0] == (0 if isinstance(value, PublishedValue) else FORMAT_VERSION)
    assert codec.name_of_type(type(value)) == decode(encoded)[0]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("disposition", disposition_fields(Disposition("NVXA", "B1", "1H", 5))),
        ("filing", filing_fields(Filing("NVXA", "B1"))),
        ("dead-letter", DeadLetter("id", "why", "where", "x12", b"", 0)._asdict()),
        ("request", Request("q1", "RESYNC", "OCNX", "me", 5)._asdict()),
    ],
)
def test_a_published_types_fields_are_those_of_its_schema(name: str, fields: dict[str, Any]) -> None:
    """fastavro ignores other fields, so one that the schema lacks would be lost on the log."""
    assert fields.keys() == {field["name"] for field in raw_schema(name)["fields"]}


def test_a_published_disposition_is_flat_with_its_containers_by_level() -> None:
    on_bill, on_container = (decode(encode_value(value))[1] for value in VALUES[:2])
    assert (on_bill["container_level"], on_bill["container_numbers"]) == (False, ("CSQU3054383",))
    assert on_bill["other_container_numbers"] == ()
    assert (on_container["container_level"], on_container["container_numbers"]) == (True, ("CSQU3054383",))
    assert on_container["other_container_numbers"] == ("CSQU3054383",)
    assert on_bill["imo_number"] == on_container["imo_number"] == "9074729"


def test_registry_values_have_keys_of_their_own() -> None:
    keys = [registry_key(value) for value in VALUES if isinstance(value, RegistryValue)]
    assert len(set(keys)) == len(keys) == len(get_args(RegistryValue))
    assert registry_key(FeedActivity("x12", "2704", 5)) not in keys
    assert registry_key(FeedActivity("x12", None, 6)) in keys


def test_published_values_have_confluents_framing() -> None:
    assert encode_value(VALUES[0])[:5] == b"\x00" + (FIRST_ID + 1).to_bytes(4, "big")


def test_records_with_an_external_registrys_ids_are_written_on_request_and_both_are_read() -> None:
    (fields,) = generated("hold")
    own = encode("hold", fields)
    publish_under({"hold": 1, "change": 2, "release": 3})
    try:
        external = encode("hold", fields)
        assert external == b"\x00\x00\x00\x00\x01" + own[5:]
        assert schema_name_of(external) == schema_name_of(own) == "hold"
        assert encode_value(VALUES[0])[:5] == b"\x00" + (FIRST_ID + 1).to_bytes(4, "big")
    finally:
        publish_under({})
    assert encode("hold", fields) == own


# Notices


@pytest.mark.parametrize("kind", NOTICE_KINDS)
@pytest.mark.parametrize("disclosure", Disclosure)
def test_a_notice_from_shared_parts_is_the_record_with_withheld_fields_null(kind: Any, disclosure: Disclosure) -> None:
    for fields in generated(kind, 10):
        recipient = encode_recipient(fields["recipient"], tuple(fields["roles"]), fields["recipient_voyage_number"])
        notice = NoticeParts(fields).notice(kind, disclosure, fields["notice_id"], recipient)
        if disclosure is Disclosure.STOP:
            own = {name: fields[name] for name in ("notice_id", "recipient", "roles", "recipient_voyage_number")}
            assert notice == encode(kind, stop_fields(fields) | own)
        else:
            withheld = {name: None for step in Disclosure for name in SHOWN[step] if step < disclosure}
            assert notice == encode(kind, fields | withheld)


def test_a_notices_fields_are_ordered_by_disclosure_and_its_recipients_own_come_last() -> None:
    own = ["notice_id", "recipient", "roles", "recipient_voyage_number"]
    names = [field["name"] for field in raw_schema("hold")["fields"]]
    common = {*SHOWN[Disclosure.STOP], *SHOWN[Disclosure.AGREEMENT]}
    assert set(names[: len(common)]) == common
    assert names[len(common) :] == [*SHOWN[Disclosure.CARRIER], *SHOWN[Disclosure.FULL], *own]


# Damage


@given(st.binary(max_size=200))
def test_bytes_without_a_known_header_are_an_input_error(value: bytes) -> None:
    with pytest.raises(InputError):
        decode(b"\x07" + value)


@given(st.sampled_from(NAMES), st.binary(max_size=200))
def test_any_bytes_behind_a_schemas_header_are_read_or_refused(name: str, value: bytes) -> None:
    with suppress(InputError):
        decode(header(name) + value)


@given(st.sampled_from(sorted(PACKED.values(), key=lambda kind: kind.name)), st.binary(max_size=200))
def test_any_bytes_behind_a_packed_header_are_read_or_refused(kind: Any, value: bytes) -> None:
    with suppress(InputError):
        decode(kind.header + value)


@given(st.sampled_from(VALUES), st.integers(0, 10_000))
def test_a_record_that_is_cut_or_extended_is_refused(value: codec.Value, place: int) -> None:
    whole = encode_value(value)
    for broken in (whole[: place % len(whole)], whole + b"\x00"):
        with pytest.raises(InputError):
            decode_value(broken)


def test_a_record_of_another_format_version_is_refused_with_both_versions() -> None:
    whole = encode_value(VALUES[7])
    newer = bytes((FORMAT_VERSION + 1,)) + whole[1:]
    with pytest.raises(InputError, match=rf"first byte is {FORMAT_VERSION + 1}.* version {FORMAT_VERSION}"):
        decode_value(newer)


def test_a_record_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="is not a bill-state record"):
        BILL_STATE.decode(encode_value(VALUES[7]))


def test_a_published_record_without_a_type_of_its_own_is_no_input() -> None:
    with pytest.raises(InputError, match="does not belong here"):
        decode_value(encode("hold", generated("hold")[0]))


def test_an_older_record_without_a_new_field_at_its_end_is_read_with_the_default() -> None:
    state = BillState("NVXAB1", 3)
    older = BILL_STATE.header + msgspec.msgpack.encode(msgspec.structs.astuple(state)[:-1])
    assert BILL_STATE.decode(older) == state
