"""JSON Lines and Avro files of dispositions in the router's own form."""

from __future__ import annotations

import io
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import fastavro
import pytest

from router.feeds.bounded_input import PIECE_LIMIT, ReadOptions
from router.feeds.disposition_files import read_avro, read_jsonl
from router.feeds.formats import read_dead_letter
from router.feeds.forms import DispositionForm
from router.model.eastern import iso
from router.model.inputs import DeadLetter, Disposition
from tests.feeds.samples import RECEIVED_AT

EVENT: dict[str, Any] = {
    "scac": "nvxa",
    "bill_of_lading": "hbl000012345",
    "disposition_code": "1c",
    "action_at": "2026-07-28T22:14",
    "quantity": 120,
    "entry_type": "01",
    "entry_number": "AB1-0004521-5",
    "container_numbers": ["CSQU3054383"],
    "snps": "OCNX; SLTC",
    "master_bill": "OCNXMB7781234",
    "arrival_date": "2026-07-28",
}


def line(**changes: Any) -> bytes:
    return json.dumps(EVENT | changes).encode() + b"\n"


def read(content: bytes) -> list[Disposition | DeadLetter]:
    return list(read_jsonl([content], "FILE", RECEIVED_AT))


def only(content: bytes) -> Disposition:
    (event,) = read(content)
    assert isinstance(event, Disposition), event
    return event


def only_letter(content: bytes) -> DeadLetter:
    (letter,) = read(content)
    assert isinstance(letter, DeadLetter)
    return letter


def test_codes_become_upper_case_times_are_eastern_and_lists_are_arrays_or_text():
    event = only(line())
    assert event[:3] == ("NVXA", "HBL000012345", "1C")
    assert iso(event.action_at) == "2026-07-29T02:14:00Z"
    assert (event.snps, event.shipment.container_numbers) == (("OCNX", "SLTC"), ("CSQU3054383",))
    assert (event.entry_number, event.shipment.master_bill) == ("AB100045215", "OCNXMB7781234")
    assert (event.received_at, event.transmitted_at, event.source) == (RECEIVED_AT, None, "FILE:record 1")


def test_a_time_with_an_offset_is_not_eastern():
    assert iso(only(line(action_at="2026-07-28T22:14:00Z")).action_at) == "2026-07-28T22:14:00Z"


def test_the_event_keeps_its_own_time_of_receipt_and_source():
    event = only(line(received_at="2026-07-14T00:00:00Z", source="DESK 4"))
    assert iso(event.received_at) == "2026-07-14T00:00:00Z"
    assert event.transmitted_at == event.received_at
    assert event.source == "DESK 4"


def test_a_time_of_receipt_in_the_future_counts_as_now():
    """An event posted long after it was received is not believed, so that date must not be a later one."""
    assert only(line(received_at="2099-01-01T00:00:00Z")).received_at == RECEIVED_AT


def test_a_vessel_event_names_a_vessel_and_no_bill():
    event = only(line(scac=None, bill_of_lading="", imo_number="9074729", disposition_code="AAD"))
    assert (event.scac, event.bill_of_lading, event.shipment.imo_number) == (None, None, "9074729")
    assert "vessel" in only_letter(line(scac=None, bill_of_lading=None)).reason


def test_zeros_and_negative_quantities_read_as_in_the_other_formats():
    event = only(line(entry_type="00", entry_number="000", quantity=-5))
    assert (event.entry_type, event.entry_number, event.quantity, event.reversal) == (None, None, 5, True)


@pytest.mark.parametrize("number", ["nvxahbl000012345", "HBL-000012345", "HBL 000012345", "NVXA-HBL000012345"])
def test_a_repaired_bill_number_stops_and_frees_nothing(number: str):
    event = only(line(bill_of_lading=number))
    assert (event.scac, event.bill_of_lading, event.uncertain) == ("NVXA", "HBL000012345", "BILL")
    letter = only_letter(line(bill_of_lading=number, quantity="many"))
    assert (letter.scac, letter.bill_of_lading) == ("NVXA", "HBL000012345")


@pytest.mark.parametrize("number", ["1.23457E+11", "HBL0000123456", "HBL/1", ["HBL1"], {}])
def test_any_other_bill_number_is_a_dead_letter_without_a_bill(number: object):
    letter = only_letter(line(bill_of_lading=number))
    assert (letter.scac, letter.disposition_code) == (None, "1C")
    assert "is not a bill number of one to twelve letters and digits" in letter.reason


@pytest.mark.parametrize("number", ["HBL\u00df1", "HBL\u017f1", "HBL\u01311", "\ufb01HBL1"])
def test_a_letter_whose_capital_is_cbps_makes_no_other_bills_number(number: str):
    letter = only_letter(line(bill_of_lading=number))
    assert letter.bill_of_lading is None
    event = only(line(master_bill=f"OCNX{number}", snps=["NV\u017fA", "NVXB"]))
    assert (event.shipment.master_bill, event.uncertain, "NVSA" in event.snps) == (None, "MESSAGE", False)


def test_a_bill_number_without_quotes_is_named_as_such():
    letter = only_letter(line(bill_of_lading=12345))
    assert letter.bill_of_lading == "12345"
    assert letter.reason.endswith(
        "'12345' is not a bill number of one to twelve letters and digits; write it in quotes"
    )


@pytest.mark.parametrize("name", ["quantity", "action_second"])
def test_a_damaged_number_is_no_smaller_one(name: str):
    letter = only_letter(line(**{name: "1_0"}))
    assert letter.reason == f"{name}: write a whole number in digits only, such as 1200 (it is '1_0')"
    assert letter.bill_of_lading is not None


@pytest.mark.parametrize("name", ["master_bill", "original_bill"])
def test_a_reference_that_is_no_bill_is_not_taken_and_frees_nothing(name: str):
    for reference in ("OCNXMB-7781234", "OCNXOCNXMB7781234", "OCNX", "1.23457E+11"):
        event = only(line(**({"master_bill": None} | {name: reference})))
        assert (event.shipment.master_bill, event.shipment.original_bill) == (None, None)
        assert (event.bill_of_lading, event.uncertain) == ("HBL000012345", "MESSAGE")


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (
            1_784_037_600,
            "action_at: the time 1784037600 is not within the years 2000 to 2100: it seems to be in seconds",
        ),
        (1_784_037_600_000_000, "it seems to be in microseconds, and must be UTC milliseconds"),
        ("1970-01-21T15:33", "is not within the years 2000 to 2100"),
        ("2101-01-01T08:12", "is not within the years 2000 to 2100"),
        ("2026-07-14", "needs a date and a time of day, such as 2026-07-14T08:12"),
        ("2026-07-14T08", "needs a date and a time of day, such as 2026-07-14T08:12"),
        ("1784037600000", "is not a time in ISO 8601"),
        (True, "true is not a number"),
        (float("nan"), "finite number"),
        (0, "is not within the years"),
    ],
)
def test_a_time_that_is_none_stops_the_bill(moment: object, reason: str):
    letter = only_letter(line(action_at=moment, disposition_code="6H"))
    assert (letter.scac, letter.bill_of_lading, letter.disposition_code) == ("NVXA", "HBL000012345", "6H")
    assert reason in letter.reason


WHOLE = EVENT | {
    "action_second": 5,
    "carrier_scac": "OCNX",
    "container_level": True,
    "firms": "Z999",
    "imo_number": "9074729",
    "in_bond_destination": "3901",
    "indicator": "Y",
    "manifest_sequence_number": "000001",
    "original_bill": "SLTCO1",
    "other_container_numbers": ["TGHU7654321"],
    "pass_unknown": False,
    "port_of_unlading": "2704",
    "received_at": "2026-07-28T22:20",
    "remarks": "REMARK",
    "resent": True,
    "reversal": True,
    "source": "DESK",
    "test": True,
    "transaction_port": "2704",
    "uncertain": None,
    "unknown_zone": "LT",
    "vessel_name": "OCEAN EXEMPLAR",
    "voyage_number": "026E",
}
DAMAGED = [
    "\x07",
    "A\x00B",
    [],
    [[]],
    {},
    {"a": 1},
    float("nan"),
    float("inf"),
    -1,
    10**30,
    1.5,
    ["\x01"],
    ["---"],
    "?",
]


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_no_damaged_value_counts_as_an_unknown_one(name: str):
    """Without its container, a release would be one of the whole bill; without its zone, it might outlive a hold."""
    assert set(WHOLE) == set(DispositionForm.model_fields)
    absent = list(read(json.dumps({key: value for key, value in WHOLE.items() if key != name}).encode()))
    for value in DAMAGED:
        if value == [] and name in ("container_numbers", "other_container_numbers", "snps"):
            continue  # a list without entries is no damage
        (event,) = read(json.dumps(WHOLE | {name: value}).encode())
        assert isinstance(event, DeadLetter) or event.uncertain or [event] != absent, value


def test_a_misspelt_field_frees_nothing():
    notes: list[str] = []
    content = line(container_level=True).replace(b"container_level", b"containerLevel")
    (event,) = read_jsonl([content], "FILE", RECEIVED_AT, ReadOptions(note=notes.append))
    assert isinstance(event, Disposition)
    assert event.uncertain == "MESSAGE"
    assert notes[-1] == "FILE: 'containerLevel' may be 'container_level' misspelt, so its event frees nothing"


def test_a_name_with_two_values_stops_the_bill():
    letter = only_letter(line().replace(b'"1c"', b'"1H", "disposition_code": "1C"'))
    assert (letter.scac, letter.bill_of_lading, letter.disposition_code) == ("NVXA", "HBL000012345", None)
    assert letter.reason.endswith("'disposition_code' has two values")
    for blank in (b" ", b"\t", b"\r"):
        assert only_letter(line().replace(b'"1c"', b'"1H", "disposition_code"' + blank + b': "1C"')).scac == "NVXA"
    assert only(line().replace(b'"1c"', b'"1C", "disposition_code": "1C"')).disposition_code == "1C"


def test_a_damaged_line_stops_the_bill_that_it_names_whole():
    content = line(disposition_code="6H").rstrip()
    whole = ("NVXA", "HBL000012345", "6H")
    for cut in range(1, len(content)):
        letter = only_letter(content[:cut])
        named = (letter.scac, letter.bill_of_lading, letter.disposition_code)
        assert all(one in (None, other) for one, other in zip(named, whole, strict=True)), named
    assert named == whole


def test_events_that_lost_their_line_break_stop_and_free_nothing():
    content = line(disposition_code="6H").rstrip()
    other = line(bill_of_lading="HBL000067890").rstrip()
    for between in (b"", b"  "):
        one, two, letter = read(content + between + other)
        assert isinstance(one, Disposition)
        assert isinstance(two, Disposition)
        assert [(one.bill_of_lading, one.uncertain), (two.bill_of_lading, two.uncertain)] == [
            ("HBL000012345", "MESSAGE"),
            ("HBL000067890", "MESSAGE"),
        ]
        assert isinstance(letter, DeadLetter)
        assert letter.in_doubt
        accepted = list(read_dead_letter(letter, RECEIVED_AT, accepted=True))
        assert [(event.bill_of_lading, event.uncertain) for event in accepted if isinstance(event, Disposition)] == [
            ("HBL000012345", None),
            ("HBL000067890", None),
        ]
    whole, cut, letter = read(content + other[:-1])
    assert (whole.bill_of_lading, cut.bill_of_lading) == ("HBL000012345", "HBL000067890")
    assert isinstance(cut, DeadLetter)


def test_unknown_fields_are_noted_once_and_ignored():
    notes: list[str] = []
    events = list(read_jsonl([line(colour="red") * 3], "FILE", RECEIVED_AT, ReadOptions(note=notes.append)))
    assert all(isinstance(event, Disposition) for event in events)
    assert notes == ["FILE: unknown fields are ignored: 'colour'"]


def test_an_unreadable_line_names_its_bill_and_the_others_are_read():
    bad = line(quantity="many")
    found = read(line() + bad + b"\n" + line())
    assert [type(event) for event in found] == [Disposition, DeadLetter, Disposition]
    letter = found[1]
    assert isinstance(letter, DeadLetter)
    assert (letter.scac, letter.bill_of_lading, letter.disposition_code) == ("NVXA", "HBL000012345", "1C")
    assert (letter.source, letter.format, letter.content) == ("FILE:record 2", "jsonl", bad.rstrip())
    assert letter.reason.startswith("quantity: ")


def test_lines_without_json_or_utf8_or_with_endless_nesting_are_dead_letters():
    for bad in (b"{", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"scac": "\\ud800"}', b"{}"):
        assert only_letter(bad).scac is None


def test_an_over_long_line_is_a_dead_letter_and_the_others_are_read():
    found = read(line() + b'{"x": "' + b"A" * (2 * PIECE_LIMIT) + b'"}\n' + line())
    assert [type(event) for event in found] == [Disposition, DeadLetter, Disposition]
    assert isinstance(found[1], DeadLetter)
    assert found[1].content_size == 2 * PIECE_LIMIT + 9


def test_a_corrected_dead_letter_is_read_again():
    letter = only_letter(line(quantity="many"))
    mended = letter.content.replace(b'"many"', b"7")
    (event,) = read_dead_letter(letter._replace(content=mended, content_size=len(mended)), RECEIVED_AT)
    assert isinstance(event, Disposition)
    assert (event.quantity, event.retry_of) == (7, letter.id)


SCHEMA = {
    "type": "record",
    "name": "Theirs",
    "fields": [
        {"name": "scac", "type": "string"},
        {"name": "bill_of_lading", "type": "string"},
        {"name": "disposition_code", "type": "string"},
        {"name": "action_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "quantity", "type": ["null", "long"]},
        {"name": "snps", "type": {"type": "array", "items": "string"}},
        {"name": "colour", "type": "string"},
    ],
}


def avro(*codes: str) -> bytes:
    file = io.BytesIO()
    moment = datetime(2026, 7, 14, 12, 12, tzinfo=UTC)
    fastavro.writer(
        file,
        SCHEMA,
        [
            {"scac": "NVXA", "bill_of_lading": "H1", "disposition_code": code, "action_at": moment, "quantity": 3}
            | {"snps": ["OCNX"], "colour": "red"}
            for code in codes
        ],
    )
    return file.getvalue()


def test_avro_files_of_any_schema_are_read_by_field_name():
    notes: list[str] = []
    content = avro("1H", "1I")
    events = list(read_avro([content[:7], content[7:]], "FILE", RECEIVED_AT, ReadOptions(note=notes.append)))
    assert [event.disposition_code for event in events] == ["1H", "1I"]
    assert isinstance(events[0], Disposition)
    assert (iso(events[0].action_at), events[0].snps) == ("2026-07-14T12:12:00Z", ("OCNX",))
    assert events[0].action_second is None, "a whole minute of milliseconds tells no seconds"
    assert len(notes) == 1


def test_the_dead_letter_of_an_avro_record_is_json():
    first, second = read_avro([avro("NOT A CODE", "1H")], "FILE", RECEIVED_AT)
    assert isinstance(first, DeadLetter)
    assert (first.format, first.bill_of_lading) == ("jsonl", "H1")
    assert isinstance(second, Disposition)


def test_a_damaged_avro_file_is_one_dead_letter():
    content = avro("1H", "1I")
    header = content.index(content[-16:]) + 16
    for damaged in (content[:-20], content[:60], content[: header - 3], content[:200] + b"\xff" * 60):
        letters = [event for event in read_avro([damaged], "FILE", RECEIVED_AT) if isinstance(event, DeadLetter)]
        assert [letter.content for letter in letters if letter.format == "avro"] == [damaged]


def test_no_event_is_taken_from_a_block_that_lost_a_byte():
    content = avro("1C", "1I", "1C")
    sync_marker = content[-16:]
    block = range(content.index(sync_marker) + 18, len(content) - 16)
    for place in block:
        damaged = content[:place] + content[place + 1 :]
        assert not [event for event in read_avro([damaged], "FILE", RECEIVED_AT) if isinstance(event, Disposition)]


def record(*fields: dict[str, Any], name: str = "Evil") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(kind: Any, name: str = "a") -> dict[str, Any]:
    return {"name": name, "type": kind}


def encode_long(number: int) -> bytes:
    file = io.BytesIO()
    fastavro.schemaless_writer(file, "long", number)
    return file.getvalue()


def avro_file(schema: Any, *, count: int = 1, content: bytes = b"\0", codec: bytes = b"null") -> bytes:
    """A file of one block with any claims."""
    meta = {"avro.schema": json.dumps(schema).encode(), "avro.codec": codec}
    pairs = b"".join(encode_long(len(part)) + part for pair in meta.items() for part in (pair[0].encode(), pair[1]))
    head = b"Obj\x01" + encode_long(len(meta)) + pairs + b"\0" + b"S" * 16
    return head + encode_long(count) + encode_long(len(content)) + content + b"S" * 16


def packed(content: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(content) + packing.flush()


def doubling(depth: int) -> Any:
    """A type that holds the one before it twice: no byte, and an uncountable number of values."""
    kind = f"R{depth - 1}" if depth else "null"
    return field(record(field(kind, "a"), field(kind, "b"), name=f"R{depth}"), f"g{depth}")


DOUBLING = record(*map(doubling, range(60)))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (avro_file(record(), count=1 << 40, content=b""), "records without content"),
        (avro_file(record(field("null")), count=1 << 40, content=b""), "records without content"),
        (
            avro_file(record(field({"type": "array", "items": "null"})), content=encode_long(1 << 40) + b"\0"),
            "a list of",
        ),
        (avro_file(record(field(["null", "Evil"])), content=b"\x02" * 1_000_000 + b"\0"), "within itself"),
        (avro_file(record(field("string")), codec=b"deflate", content=packed(bytes(20_000_000))), "unpacks to more"),
        (avro_file(record(field("string")), codec=b"bzip2"), "its codec is"),
        (avro_file(record(field("string")), count=-1), "declares -1 records"),
        (avro_file(record(field("string")), content=bytes(9)), "continues after its 1 records"),
        (avro_file(record({"name": "a"})), "is damaged"),
        (avro_file(DOUBLING), "is too large"),
        (avro_file(record(field("string"), field(record(name="x.Evil"), "b"))), "more than one type"),
    ],
)
def test_an_avro_file_that_claims_more_than_it_has_is_one_dead_letter(content: bytes, told: str) -> None:
    """A library that reads any schema makes endless records, gigabytes, or a crash of some of these."""
    letters = list(read_avro([content], "FILE", RECEIVED_AT))
    assert isinstance(letters[-1], DeadLetter)
    assert told in letters[-1].reason
    assert letters[-1].content_size == len(content)
    assert len(letters) <= 2


def test_the_reason_for_very_many_wrong_values_is_short() -> None:
    (letter,) = read_jsonl([b'{"snps":[' + b"1," * 100_000 + b"1]}\n"], "FILE", 5)
    assert isinstance(letter, DeadLetter)
    assert len(letter.reason) < 2000
    assert letter.reason.endswith(" more")


def test_one_event_stops_at_most_a_hundred_containers() -> None:
    boxes = ";".join(f"CSQU{number:06}" for number in range(101))
    line = (
        '{"scac":"NVXA","bill_of_lading":"H1","disposition_code":"1H","action_at":"2026-07-14T08:12",'
        f'"container_level":true,"container_numbers":"{boxes}"}}'
    )
    (letter,) = read_jsonl([line.encode()], "FILE", 5)
    assert isinstance(letter, DeadLetter)
    assert (letter.scac, letter.disposition_code) == ("NVXA", "1H")


@pytest.mark.parametrize("name", ["action_at", "disposition_code", "arrival_date", "test", "remarks"])
def test_a_reason_quotes_only_the_beginning_of_a_value(name: str) -> None:
    event = EVENT | {name: "9" * 500_000, "x" * 100_000: 1}
    notes: list[str] = []
    (letter,) = read_jsonl([json.dumps(event).encode()], "FILE", 5, ReadOptions(note=notes.append))
    assert isinstance(letter, DeadLetter)
    assert len(letter.reason) < 1_000
    assert sum(map(len, notes)) < 1_000


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2026-07-14T08:12Z", None),
        ("2026-07-14T08:12", None),
        ("2026-07-14 08:12+02:00", None),
        ("20260714T0812", None),
        ("2026-07-14T08:12:00Z", 0),
        ("2026-07-14T08:12:30.250-04:00", 30),
        ("20260714T081230", 30),
        (1_784_031_120_000, None),
        (1_784_031_150_000, 30),
    ],
)
def test_a_time_has_seconds_if_they_are_written(text: str | int, second: int | None):
    assert only(line(action_at=text)).action_second == second


def test_seconds_can_be_given_beside_the_time():
    event = only(line(action_at=1_784_031_120_000, action_second=0))
    assert (event.action_at, event.action_second) == (1_784_031_120_000, 0)
    assert only(line(action_at="2026-07-14T08:12Z", action_second=30)).action_at % 60_000 == 30_000
    assert "action_second" in only_letter(line(action_at="2026-07-14T08:12Z", action_second=60)).reason
