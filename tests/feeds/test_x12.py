"""X12 350: readable events are delivered; unreadable input is put aside with its place and envelope."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
import x12 as oracle

from router.decide.rules import Rules
from router.feeds import x12_interchanges
from router.feeds.bounded_input import PIECE_LIMIT, OtherMessage, ReadOptions
from router.feeds.formats import read_dead_letter
from router.feeds.x12 import read_x12
from router.model.eastern import iso
from router.model.inputs import CONTENT_LIMIT, HEAD_SIZE, DeadLetter, Disposition, disposition_fields
from tests.feeds import samples
from tests.feeds.samples import RECEIVED_AT, one_line, published

SAMPLES = (
    samples.X12_DO_NOT_LOAD,
    samples.X12_HOLD_AND_RELEASE,
    samples.X12_NOMINATION_AND_ARRIVAL,
)
ISA = samples.X12_DO_NOT_LOAD.partition(b"~")[0]
X4 = b"X4*HBL000012345*120***20260714*0812*6H**NVXA****2704**OB*OCNXMB7781234*ET~"


X4_ALONE = b"X4*B1*1***20260714*0812*1H**NVXB"
"""Without the elements that may be absent."""


def read(content: bytes, **options: Any) -> list[Disposition | DeadLetter]:
    return list(read_x12([content], "FILE", RECEIVED_AT, ReadOptions(**options)))


def events(content: bytes) -> list[Disposition]:
    return [event for event in read(content) if isinstance(event, Disposition)]


def letters(content: bytes) -> list[DeadLetter]:
    return [event for event in read(content) if isinstance(event, DeadLetter)]


def only_event(content: bytes) -> Disposition:
    (event,) = read(content)
    assert isinstance(event, Disposition)
    return event


def only_letter(content: bytes) -> DeadLetter:
    (letter,) = letters(content)
    return letter


def with_loop(*segments: bytes) -> bytes:
    """The first sample with another X4 loop, its SE count made to fit."""
    head, _, rest = one_line(samples.X12_DO_NOT_LOAD).partition(b"X4*")
    loop = b"".join(segment + b"~" for segment in segments)
    return head + loop + b"SE*%d" % (4 + len(segments)) + b"*0001~" + rest.partition(b"SE*9*0001~")[2]


def x4(**elements: str) -> bytes:
    """An X4 with some elements changed: `x4(e07="")` has no code."""
    parts = X4.rstrip(b"~").decode().split("*")
    for name, value in elements.items():
        parts[int(name[1:])] = value
    return "*".join(parts).encode()


# Events


def test_a_do_not_load_has_all_values_of_its_interchange():
    assert disposition_fields(only_event(samples.X12_DO_NOT_LOAD)) == {
        "scac": "NVXA",
        "bill_of_lading": "HBL000012345",
        "disposition_code": "6H",
        "action_at": 1_784_031_120_000,
        "quantity": 120,
        "container_numbers": ("CSQU3054383",),
        "transaction_port": "2704",
        "remarks": "CARGO DESCRIPTION VAGUE",
        "snps": ("OCNX", "SLTC"),
        "master_bill": "OCNXMB7781234",
        "carrier_scac": "OCNX",
        "imo_number": "9074729",
        "vessel_name": "OCEAN EXEMPLAR",
        "voyage_number": "026E",
        "manifest_sequence_number": "000001",
        "port_of_unlading": "2704",
        "arrival_date": "2026-07-28",
        "in_bond_destination": None,
        "received_at": RECEIVED_AT,
        "source": "FILE:interchange 000000101:transaction 0001:segment 4",
        "transmitted_at": 1_784_052_720_000,
        "test": False,
        "entry_type": None,
        "entry_number": None,
        "container_level": False,
        "other_container_numbers": (),
        "firms": None,
        "reversal": False,
        "resent": False,
        "original_bill": None,
        "retry_of": None,
        "action_second": None,
        "unknown_zone": None,
        "pass_unknown": False,
        "uncertain": None,
        "indicator": None,
    }


def test_x418_is_the_declared_in_bond_destination():
    message = samples.X12_DO_NOT_LOAD.replace(b"*ET~", b"*ET*3901~")
    assert only_event(message).shipment.in_bond_destination == "3901"


def test_events_come_in_the_order_of_the_file():
    found = events(samples.X12_HOLD_AND_RELEASE)
    assert [event.disposition_code for event in found] == ["1C", "1H", "1I", "1C"]
    assert [iso(event.action_at) for event in found[:2]] == ["2026-07-29T02:14:00Z", "2026-07-29T10:41:00Z"]
    assert found[0][4:7] == (120, "01", "AB100045215")
    assert found[2].source == "FILE:interchange 000000102:transaction 0002:segment 4"


def test_a_vessel_event_has_no_bill():
    arrival = events(samples.X12_NOMINATION_AND_ARRIVAL)[-1]
    assert (arrival.scac, arrival.bill_of_lading, arrival.disposition_code) == (None, None, "AAD")
    assert (arrival.shipment.imo_number, iso(arrival.action_at)) == ("9074729", "2026-07-28T09:10:00Z")


def test_a_file_has_any_number_of_interchanges_with_blanks_around():
    joined = b"\r\n \x00" + b"\r\n\r\n  ".join(SAMPLES) + b"\x1a\n"
    assert read(joined) == [event for sample in SAMPLES for event in read(sample)]


@pytest.mark.parametrize("line_break", [b"", b"\r\n", b"\n  ", b"\r"])
def test_line_breaks_between_segments_change_nothing(line_break: bytes):
    assert read(samples.X12_DO_NOT_LOAD.replace(b"\n", line_break)) == read(samples.X12_DO_NOT_LOAD)


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("width", [1, 7, 72, 80, 103, 104, 105, 106, 107])
def test_lines_broken_after_so_many_characters_are_joined(width: int, line_break: bytes):
    """Within the ISA too, with the last line filled up or not, and across interchanges."""
    flat = one_line(samples.X12_HOLD_AND_RELEASE) + one_line(samples.X12_DO_NOT_LOAD)
    lines = [flat[place : place + width] for place in range(0, len(flat), width)]
    assert read(line_break.join(lines)) == read(flat)
    assert read(line_break.join(line.ljust(width) for line in lines)) == read(flat)


def test_segments_filled_up_with_blanks_are_read():
    lines = [line.ljust(160) for line in samples.X12_DO_NOT_LOAD.splitlines()]
    assert read(b"".join(lines)) == read(samples.X12_DO_NOT_LOAD)


@pytest.mark.parametrize("blank", [b"\xa0", "\xa0".encode(), b" \t"])
def test_blanks_of_any_kind_may_precede_a_segment(blank: bytes):
    spaced = blank + one_line(samples.X12_HOLD_AND_RELEASE).replace(b"~", b"~" + blank)
    assert read(spaced) == read(samples.X12_HOLD_AND_RELEASE)


@pytest.mark.parametrize("character", [b"\x00", b"\x1a", b"\x0b", b"\xa0"])
def test_a_filler_in_place_of_a_partys_last_character_names_no_other_party(character: bytes):
    content = one_line(samples.X12_DO_NOT_LOAD)
    *others, last = [snp for event in events(content) for snp in event.snps]
    damaged = content.replace(f"SNP*{last}~".encode(), f"SNP*{last[:-1]}".encode() + character + b"~")
    assert damaged != content
    named = {snp for event in read(damaged) if isinstance(event, Disposition) for snp in event.snps}
    assert named <= {*others, last}


def test_a_message_in_lower_case_is_read():
    assert read(samples.X12_HOLD_AND_RELEASE.lower()) == read(samples.X12_HOLD_AND_RELEASE)


@pytest.mark.parametrize("delimiters", [b"|'^", b"*\n>", b"|\r:", b"\x1d\x1c\x1f", b"^~>"])
def test_the_isa_declares_the_delimiters(delimiters: bytes):
    element, terminator, component = (delimiters[place : place + 1] for place in range(3))
    changed = one_line(samples.X12_HOLD_AND_RELEASE).translate(
        bytes.maketrans(b"*~>", element + terminator + component)
    )
    assert read(changed) == read(samples.X12_HOLD_AND_RELEASE)


def test_one_file_may_have_interchanges_with_different_delimiters():
    other = one_line(samples.X12_HOLD_AND_RELEASE).translate(bytes.maketrans(b"*~>", b"|'^"))
    assert len(read(one_line(samples.X12_DO_NOT_LOAD) + other + one_line(samples.X12_DO_NOT_LOAD))) == 6
    cut_short = one_line(samples.X12_DO_NOT_LOAD).partition(b"GE*")[0]
    assert len(events(cut_short + other)) == 5


def test_a_bare_set_is_read_with_the_usual_delimiters():
    bare = one_line(samples.X12_DO_NOT_LOAD).partition(b"~ST*")[2].partition(b"GE*")[0]
    event = only_event(b"ST*" + bare)
    assert (event.disposition_code, event.transmitted_at, event.source) == (
        "6H",
        None,
        "FILE:transaction 0001:segment 4",
    )


def test_details_of_a_bill_may_be_in_any_order():
    changed = with_loop(X4[:-1], b"N7*CSQU*3054383", b"N9*SNP*SLTC", b"K1*VAGUE*INDEED", b"N9*SNP*OCNX", b"K1*MORE")
    event = only_event(changed)
    assert (event.snps, event.remarks) == (("SLTC", "OCNX"), "VAGUE INDEED MORE")


def test_references_name_the_master_the_original_and_the_entry():
    loop = (x4(e15="", e16=""), b"N9*OB*OCNXMB1", b"N9*OL*SLTCORIG9", b"N9*IB*123456789", b"N9*BN*BOOKING")
    event = only_event(with_loop(*loop))
    assert (event.shipment.master_bill, event.shipment.original_bill, event.entry_number) == (
        "OCNXMB1",
        "SLTCORIG9",
        "123456789",
    )


def test_an_older_release_names_the_master_in_x408_and_x410():
    event = only_event(with_loop(x4(e08="MB7", e10="OCN", e15="", e16="")))
    assert event.shipment.master_bill == "OCN MB7"


def test_a_container_in_the_x4_makes_a_container_level_event():
    loop = (
        x4(e11="CSQU", e12="305438"),
        b"N7*CSQU*3054383",
        b"N7*MSCU*123456" + b"*" * 16 + b"6",
        b"VID*40*TGHU*7654321",
    )
    event = only_event(with_loop(*loop))
    assert event.container_level
    assert event.container_numbers == ("CSQU305438",)
    assert event.shipment.container_numbers == ("MSCU1234566", "TGHU7654321")


def test_nc_means_no_container():
    assert only_event(with_loop(X4[:-1], b"N7**NC")).shipment.container_numbers == ()


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("", "2026-07-14T12:12:00Z"),
        ("ET", "2026-07-14T12:12:00Z"),
        ("ED", "2026-07-14T12:12:00Z"),
        ("ES", "2026-07-14T13:12:00Z"),
        ("CT", "2026-07-14T13:12:00Z"),
        ("CS", "2026-07-14T14:12:00Z"),
        ("MT", "2026-07-14T14:12:00Z"),
        ("PT", "2026-07-14T15:12:00Z"),
        ("PS", "2026-07-14T16:12:00Z"),
        ("PD", "2026-07-14T15:12:00Z"),
        ("AT", "2026-07-14T16:12:00Z"),
        ("HS", "2026-07-14T18:12:00Z"),
        ("TS", "2026-07-14T12:12:00Z"),
        ("NS", "2026-07-14T11:42:00Z"),
        ("UT", "2026-07-14T08:12:00Z"),
        ("GM", "2026-07-14T08:12:00Z"),
        ("gm", "2026-07-14T08:12:00Z"),
        ("01", "2026-07-14T07:12:00Z"),
        ("12", "2026-07-13T20:12:00Z"),
        ("13", "2026-07-14T20:12:00Z"),
        ("20", "2026-07-14T13:12:00Z"),
        ("27", "2026-07-14T02:42:00Z"),
    ],
)
def test_the_time_is_in_the_zone_written_and_eastern_without_one(zone: str, moment: str):
    event = only_event(with_loop(x4(e17=zone)))
    assert (iso(event.action_at), event.unknown_zone) == (moment, None)


@pytest.mark.parametrize(("zone", "moment"), [("CT", "14:12"), ("MT", "15:12"), ("PT", "16:12"), ("ET", "13:12")])
def test_zones_without_standard_or_daylight_keep_daylight_time_in_summer_only(zone: str, moment: str):
    event = only_event(with_loop(x4(e05="20260114", e17=zone)))
    assert iso(event.action_at) == f"2026-01-14T{moment}:00Z"


@pytest.mark.parametrize("zone", ["LT", "HT", "NT", "TT", "EST", "XX", "00", "30"])
def test_a_zone_that_tells_no_offset_is_passed_on_as_written(zone: str):
    event = only_event(with_loop(x4(e17=zone)))
    assert (iso(event.action_at), event.unknown_zone) == ("2026-07-14T12:12:00Z", zone)


@pytest.mark.parametrize(("day", "time"), [("20261101", "0130"), ("20260308", "0230")])
def test_an_hour_that_another_clock_repeats_or_skips_tells_no_moment(day: str, time: str):
    event = only_event(with_loop(x4(e05=day, e06=time, e17="CT")))
    assert event.unknown_zone == "CT"


def test_both_passes_of_autumns_hour_are_told_apart_by_their_zones():
    passes = [only_event(with_loop(x4(e05="20261101", e06="0130", e17=zone))) for zone in ("ED", "ES", "ET")]
    assert [iso(event.action_at)[11:16] for event in passes] == ["05:30", "06:30", "05:30"]
    assert [event.pass_unknown for event in passes] == [False, False, True]


@pytest.mark.parametrize(("time", "second"), [("0812", None), ("081200", 0), ("081259", 59), ("08125912", 59)])
def test_seconds_are_known_if_they_are_written(time: str, second: int | None):
    assert only_event(with_loop(x4(e06=time))).action_second == second


def test_a_vessels_event_in_an_unknown_zone_is_put_aside():
    letter = only_letter(with_loop(b"V9*AAD**20260728*0510*LOS ANGELES*CA*US******LT"))
    assert "V913 'LT'" in letter.reason


@pytest.mark.parametrize(
    ("text", "quantity", "reversal"),
    [("120", 120, False), ("-120", 120, True), ("0", None, False), ("", None, False), ("12.0", 12, False)],
)
def test_a_negative_quantity_is_a_reversal(text: str, quantity: int | None, reversal: bool):
    event = only_event(with_loop(x4(e02=text)))
    assert (event.quantity, event.reversal) == (quantity, reversal)


def test_an_entry_of_zeros_is_none():
    event = only_event(with_loop(x4(e03="00", e04="000000000000000")))
    assert (event.entry_type, event.entry_number) == (None, None)


def test_only_qualifier_l_makes_an_imo_number():
    census = samples.X12_DO_NOT_LOAD.replace(b"000001***L~", b"000001***C~")
    assert only_event(census).shipment.imo_number is None


def test_lower_case_and_unknown_codes_are_delivered():
    event = only_event(with_loop(x4(e07="zz9", e09="nvxa", e01="hbl000012345")))
    assert event[:3] == ("NVXA", "HBL000012345", "ZZ9")


def test_segments_that_a_rule_accepts_are_passed_over():
    content = with_loop(X4[:-1], b"REF*1*2", b"N9*SNP*OCNX")
    rules = Rules(extra_segments=frozenset({"REF"}))
    (event,) = read(content, rules=rules)
    assert isinstance(event, Disposition)
    assert (event.snps, event.uncertain) == (("OCNX",), None)


def test_text_in_other_encodings_does_not_stop_the_reader():
    event = only_event(with_loop(X4[:-1], b"K1*VAGUE \xe9\x07\xff"))
    assert event.remarks is not None
    assert event.remarks.startswith("VAGUE")
    assert "\x07" not in event.remarks


# Unreadable input

UNREADABLE = {
    "no code": x4(e07=""),
    "a code of four": x4(e07="ABCD"),
    "no such day": x4(e05="20260231"),
    "no date": x4(e05=""),
    "no such time": x4(e06="2561"),
    "after the last moment there is": x4(e05="99991231", e06="2359"),
    "no time": x4(e06=""),
    "no number": x4(e02="12A"),
    "two numbers": x4(e02="1.5"),
}


@pytest.mark.parametrize("segment", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_event_names_its_bill_and_can_be_read_again_alone(segment: bytes):
    content = with_loop(X4[:-1], segment, b"K1*WHY", X4[:-1])
    found = read(content)
    assert [type(event) for event in found] == [Disposition, DeadLetter, Disposition]
    letter = found[1]
    assert isinstance(letter, DeadLetter)
    assert (letter.scac, letter.bill_of_lading) == ("NVXA", "HBL000012345")
    assert letter.source.endswith("segment 5")
    assert letter.content.startswith(ISA + b"~GS*SO*")
    assert letter.content.endswith(b"P4*2704*20260728~" + segment + b"~K1*WHY~")
    assert [event.id for event in read_dead_letter(letter, RECEIVED_AT) if isinstance(event, DeadLetter)] == [letter.id]


def test_an_event_from_a_corrected_dead_letter_names_it():
    (letter,) = letters(with_loop(x4(e02="12A"), b"N9*SNP*OCNX"))
    mended = letter._replace(
        content=letter.content.replace(b"12A", b"12"), content_size=len(letter.content) - 1, resolution="RETRIED"
    )
    (event,) = read_dead_letter(mended, RECEIVED_AT)
    assert isinstance(event, Disposition)
    assert (event.retry_of, event.quantity, event.shipment.port_of_unlading, event.snps) == (
        letter.id,
        12,
        "2704",
        ("OCNX",),
    )


@pytest.mark.parametrize("segment", [x4(e01=""), x4(e09=""), x4(e09="NVXAB"), x4(e01="WORDS.AND+12"), b"X4"])
def test_an_event_without_a_bill_is_a_dead_letter_without_a_bill(segment: bytes):
    letter = only_letter(with_loop(segment))
    assert (letter.scac, letter.bill_of_lading) == (None, None)


def test_the_same_bytes_are_the_same_dead_letter():
    content = with_loop(UNREADABLE["no code"])
    assert only_letter(content).id == only_letter(b"\n" + content).id


OTHER_SET = b"~ST*%s*0003~B4*1*2~SE*%d*0003"


def test_a_set_of_another_kind_is_put_aside_whole():
    other = one_line(samples.X12_HOLD_AND_RELEASE).replace(b"~ST*350*0002", OTHER_SET % (b"315", 3) + b"~ST*350*0002")
    other = other.replace(b"GE*2", b"GE*3")
    assert [event.disposition_code for event in events(other)] == ["1C", "1H", "1I", "1C"]
    letter = only_letter(other)
    assert "'315'" in letter.reason
    assert letter.content.startswith(b"ISA*")
    assert letter.content.endswith(b"SE*3*0003~")
    assert letter.source == "FILE:interchange 000000102:transaction 0003:segment 1"
    assert not letter.in_doubt


def test_an_export_set_is_never_routed_as_an_import():
    export = with_loop(b"BA1*20*1*4*X", X4[:-1], b"K1*EXPORT").replace(b"~P4*2704*20260728~", b"~")
    assert events(export) == []
    assert "export" in only_letter(export).reason
    assert X4 in only_letter(export).content


FAULTS = {
    "SE01": (b"SE*9*", b"SE*8*", "SE01 is '8', but the count is 9"),
    "SE02": (b"SE*9*0001", b"SE*9*0002", "'0002'"),
    "GE01": (b"GE*1*", b"GE*2*", "GE01 is '2', but the count is 1"),
    "GE02": (b"GE*1*101", b"GE*1*999", "'999'"),
    "IEA01": (b"IEA*1*", b"IEA*7*", "IEA01 is '7', but the count is 1"),
    "IEA02": (b"IEA*1*000000101", b"IEA*1*000000102", "'000000102'"),
    "no SE": (b"SE*9*0001~", b"", "has no SE"),
    "no GE": (b"GE*1*101~", b"", "has no GE"),
    "no IEA": (b"IEA*1*000000101~", b"", "has no IEA"),
    "a group of another kind": (b"GS*SO*", b"GS*QO*", "neither SO nor AU"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_broken_envelope_is_delivered_and_has_a_dead_letter(fault: tuple[bytes, bytes, str]):
    before, after, reason = fault
    broken = samples.X12_DO_NOT_LOAD.replace(before, after)
    event, letter = read(broken)
    (whole,) = events(samples.X12_DO_NOT_LOAD)
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    loops_are_certain = reason not in ("SE01 is '8', but the count is 9", "has no SE")
    assert event == (whole if loops_are_certain else without_details(whole))._replace(uncertain="MESSAGE")
    assert reason in letter.reason
    assert letter.source.startswith("FILE:interchange 000000101")
    assert (letter.scac, letter.in_doubt) == (None, True)
    assert_still_in_doubt(letter, whole)


def without_details(event: Disposition) -> Disposition:
    """The event as its X4 and the headers above tell it."""
    return event._replace(snps=(), remarks=None, shipment=event.shipment.with_containers(()))


def assert_still_in_doubt(letter: DeadLetter, *whole: Disposition) -> None:
    """Read again it is as uncertain as before; accepted, its events are certain and the same."""
    again = list(read_dead_letter(letter, RECEIVED_AT))
    assert [one.id for one in again if isinstance(one, DeadLetter)] == [letter.id]
    assert all(one.uncertain for one in again if isinstance(one, Disposition))
    accepted = list(read_dead_letter(letter, RECEIVED_AT, accepted=True))
    origin = {"source": None, "retry_of": None}
    assert [one._replace(**origin) for one in accepted] == [one._replace(**origin) for one in whole]


@pytest.mark.parametrize("cut", range(107, len(one_line(samples.X12_DO_NOT_LOAD)) - 1, 7))
def test_a_truncated_interchange_gives_whole_segments_only(cut: int):
    found = read(one_line(samples.X12_DO_NOT_LOAD)[:cut])
    for event in found:
        if isinstance(event, Disposition):
            assert event[:5] == ("NVXA", "HBL000012345", "6H", 1_784_031_120_000, 120)
            assert set(event.snps) <= {"OCNX", "SLTC"}
    assert isinstance(found[-1], DeadLetter)
    assert "may have been cut" in found[-1].reason or "IEA02" in found[-1].reason


def test_an_isa_with_its_blanks_trimmed_is_read():
    trimmed = samples.X12_DO_NOT_LOAD.replace(b"OCNX           *", b"OCNX*").replace(b"*          *", b"**")
    assert [event.disposition_code for event in events(trimmed)] == ["6H"]
    assert letters(trimmed) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"*P*>~", b"*P*~"),
        (b"*P*>~", b"*P~"),
        (b"*U*00605", b"*00605"),
        (b"*260714*", b"*2607*"),
        (b"OCNX           *260714", b"OCNX*           *260714"),
        (b"ISA*00", b"QSA*00"),
        (b"ISA*", b""),
        (b"*P*>~\n", b"*P*>'\n"),
        (b"*P*>~", b"*Q*>~"),
    ],
)
def test_below_a_damaged_isa_stops_count_and_the_next_interchange_is_read(before: bytes, after: bytes):
    broken = samples.X12_DO_NOT_LOAD.replace(before, after)
    event, letter, *others = read(broken + samples.X12_HOLD_AND_RELEASE)
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert (event.disposition_code, event.uncertain, event.snps) == ("6H", "MESSAGE", ("OCNX", "SLTC"))
    assert letter.in_doubt
    assert others == read(samples.X12_HOLD_AND_RELEASE)
    (whole,) = events(samples.X12_DO_NOT_LOAD)
    assert_still_in_doubt(letter, whole._replace(transmitted_at=event.transmitted_at))


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"*P*>~", b"*P~", "ISA16, the component separator, is missing"),
        (b"*P*>~\n", b"*P*>'\n", "declares the terminator \"'\", but '~' ends its segments"),
        (b"*P*>~", b"*Q*>~", "ISA15 is 'Q', neither P (production) nor T (test)"),
        (b"000000101*0*P", b"00000101*0*P", "ISA13 '00000101' has not the 9 places"),
    ],
)
def test_a_damaged_isa_is_named(before: bytes, after: bytes, reason: str):
    assert reason in only_letter(samples.X12_DO_NOT_LOAD.replace(before, after)).reason


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
def test_lines_end_segments_though_the_isa_declares_a_terminator(line_break: bytes):
    """They are read, but free nothing."""
    content = one_line(samples.X12_DO_NOT_LOAD).replace(b"~", line_break).replace(b">", b">~", 1)
    event, letter = read(content)
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert (event.disposition_code, event.uncertain, event.snps) == ("6H", "MESSAGE", ("OCNX", "SLTC"))
    assert "the ISA declares the terminator '~', but" in letter.reason


def test_a_letter_as_terminator_is_named():
    letter = only_letter(one_line(samples.X12_DO_NOT_LOAD).replace(b"~", b"Z"))
    assert "the ISA declares 'Z' as the segment terminator" in letter.reason


@pytest.mark.parametrize("terminator", [b"\xd6", "Ö".encode()])
def test_a_terminator_that_no_text_of_cbps_contains_is_read(terminator: bytes):
    assert read(one_line(samples.X12_DO_NOT_LOAD).replace(b"~", terminator)) == read(samples.X12_DO_NOT_LOAD)


def test_garbage_between_interchanges_is_one_dead_letter():
    garbage = bytes(range(128, 256)) * 4000
    found = read(samples.X12_DO_NOT_LOAD + garbage + samples.X12_DO_NOT_LOAD)
    assert [type(event) for event in found] == [Disposition, DeadLetter, Disposition]
    assert isinstance(found[1], DeadLetter)
    assert found[1].content_size == len(garbage)


def test_garbage_within_an_interchange_is_put_aside_and_the_rest_read():
    found = read(with_loop(X4[:-1], b"\x80\x81\x00\xff", X4[:-1]))
    assert [type(event) for event in found].count(Disposition) == 2
    assert any(isinstance(event, DeadLetter) and b"\x80\x81" in event.content for event in found)


def test_credentials_are_masked():
    secret = samples.X12_DO_NOT_LOAD.replace(b"ISA*00*          *00*          ", b"ISA*03*USERNAME77*01*PASSWORD99")
    bad_event, bad_count = secret.replace(b"*120*", b"*12A*"), secret.replace(b"SE*9", b"SE*7")
    other_set, bad_isa = secret.replace(b"ST*350", b"ST*355"), secret.replace(b"*260714*", b"*26*")
    for content in (bad_event, bad_count, other_set, bad_isa):
        for letter in letters(content):
            assert b"USERNAME77" not in letter.content
            assert b"PASSWORD99" not in letter.content
        assert letters(content)


# Loops that damage ended


def test_a_lost_terminator_frees_nothing_and_holds_both_bills_of_the_segment():
    """Both X4 are in one segment: each bill gets a dead letter, which is as damaged by itself."""
    release, hold = x4(e01="A1", e07="1C"), x4(e01="B1", e07="1H")
    one, other = letters(with_loop(X4[:-1], release + hold, b"K1*EXAM"))
    assert [(one.bill_of_lading, one.disposition_code), (other.bill_of_lading, other.disposition_code)] == [
        ("A1", "1C"),
        ("B1", "1H"),
    ]
    assert "it has 34 elements, and X4 has at most 20" in one.reason
    for letter in (one, other):
        again = list(read_dead_letter(letter, RECEIVED_AT))
        assert all(isinstance(event, DeadLetter) for event in again)
        assert (letter.bill_of_lading, letter.disposition_code) in {
            (event.bill_of_lading, event.disposition_code) for event in again if isinstance(event, DeadLetter)
        }


@pytest.mark.parametrize(
    "hiding",
    [
        b"VID*CN*CSQU*3054383" + X4_ALONE,
        b"NM1*ZZ*1*ANYBODY" + X4_ALONE,
        b"M7A*1*2*3" + X4_ALONE.lower(),
        b"REF*1*2" + X4_ALONE,
        b"NM1" + X4_ALONE[2:],
        b"REF" + X4_ALONE[2:],
    ],
)
def test_no_segment_hides_a_bills_event(hiding: bytes):
    """Nor does one whose layout is wide, unknown, or accepted by a rule."""
    content = with_loop(x4(e01="A1", e07="1C"), hiding, b"N9*SNP*FFTH")
    event, letter = read(content, rules=Rules(extra_segments=frozenset({"REF"})))
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert (event.bill_of_lading, event.uncertain, event.snps) == ("A1", "MESSAGE", ())
    assert (letter.scac, letter.bill_of_lading, letter.disposition_code) == ("NVXB", "B1", "1H")


@pytest.mark.parametrize(
    "damaged", [b"QQ*HBL1*1***20260714*0812*1H**NVXB", b"N7*CSQU*305438" + x4(e01="HBL1", e09="NVXB")]
)
def test_a_damaged_segment_ends_the_loop_before_it(damaged: bytes):
    content = with_loop(x4(e07="1C"), b"N9*SNP*SLTC", damaged, b"N9*SNP*FFTH", b"K1*OF ANOTHER", X4[:-1])
    event, letter, after = read(content)
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert (event.snps, event.remarks, event.uncertain) == (("SLTC",), None, "MESSAGE")
    assert (letter.scac, letter.bill_of_lading) == ("NVXB", "HBL1")
    assert b"N9*SNP*FFTH" in letter.content
    assert after == only_event(with_loop(X4[:-1]))._replace(source=after.source)


def test_a_damaged_segment_without_a_bill_puts_its_set_in_doubt():
    before, after, letter = read(with_loop(X4[:-1], b"N9*SNP*FFTH", b"QQ*1", b"N9*SNP*SLTC", X4[:-1], b"N9*SNP*FFTH"))
    assert isinstance(before, Disposition)
    assert isinstance(after, Disposition)
    assert isinstance(letter, DeadLetter)
    assert [(event.snps, event.uncertain) for event in (before, after)] == [((), "MESSAGE"), ((), "MESSAGE")]
    assert after.shipment.port_of_unlading is None  # the segment may have been a P4
    assert letter.in_doubt
    assert "segment 6 is damaged and names no bill: 'QQ' is no segment of a 350" in letter.reason
    accepted = list(read_dead_letter(letter, RECEIVED_AT, accepted=True))
    assert [one.uncertain for one in accepted if isinstance(one, Disposition)] == [None, None]


def test_an_x4_that_may_be_cut_within_its_issuer_does_not_name_its_bill_surely():
    event, letter = read(with_loop(b"X4*M0000077*120***20260714*0101*5I**HA", b"RX****2704*Z999***ET"))
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert event.uncertain == "BILL"


@pytest.mark.parametrize(
    ("changed", "uncertain"),
    [
        ({"e11": "CSQU", "e12": "3054383"}, None),
        ({"e11": "CSQU", "e12": "305438"}, None),
        ({"e11": "CSQU", "e12": "3054384"}, "MESSAGE"),
        ({"e12": "3054383"}, "MESSAGE"),
        ({"e03": "01"}, "MESSAGE"),
        ({"e04": "AB100045215"}, "MESSAGE"),
    ],
)
def test_values_that_narrow_an_event_are_certain_or_it_frees_nothing(changed: dict[str, str], uncertain: str | None):
    assert only_event(with_loop(x4(**changed))).uncertain == uncertain


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        (x4(e11="CSQU"), "X411 comes without X412"),
        (x4(e16=""), "X415 and X416 must come together"),
        (x4(e08="MB7"), "X408 and X410 must come together"),
        (x4() + b"***YN", "X420 'YN' has 2 characters"),
        (x4(e13="2704!"), "X413 '2704!' is not letters, digits, blanks and dashes"),
        (x4(e02="1" * 16), "X402 '1111111111111111' has 16 characters"),
    ],
)
def test_a_damaged_value_is_named_and_its_bill_stopped(segment: bytes, reason: str):
    letter = only_letter(with_loop(segment))
    assert (letter.bill_of_lading, letter.disposition_code) == ("HBL000012345", "6H")
    assert reason in letter.reason


def test_x420_is_passed_on():
    assert only_event(with_loop(x4() + b"***Y")).indicator == "Y"


# Order of segments


@pytest.mark.parametrize("early", [b"N9*SNP*SLTC", b"N7*CSQU*3054383"])
def test_details_before_an_x4_put_the_set_in_doubt(early: bytes):
    event, letter = read(with_loop(early, X4[:-1], b"N9*SNP*OCNX"))
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert (event.snps, event.uncertain) == ((), "MESSAGE")
    assert f"segment 4: {early[:2].decode()} without an X4 before it" in letter.reason


def test_remarks_before_an_x4_are_the_ports():
    event = only_event(with_loop(b"K1*PORT CLOSED", X4[:-1]))
    assert (event.remarks, event.uncertain) == (None, None)


def older(*segments: bytes) -> bytes:
    return with_loop(*segments).replace(b"*006050", b"*004010")


def test_in_004010_references_come_before_their_x4():
    event = only_event(
        older(b"K1*PORT CLOSED", b"N9*SNP*SLTC", b"K1*ITS TEXT", X4[:-1], b"K1*EXAM", b"N7*CSQU*3054383")
    )
    assert (event.snps, event.remarks, event.uncertain) == (("SLTC",), "ITS TEXT EXAM", None)


def test_in_004010_references_of_several_bills_are_nobodys():
    several = events(older(b"N9*SNP*SLTC", X4[:-1], b"N7*CSQU*3054383", x4(e01="HBL2")))
    assert [(event.snps, event.uncertain) for event in several] == [((), None), ((), None)]
    port = b"P4*2704*20260728"
    apart = events(older(b"N9*SNP*SLTC", X4[:-1], port, b"N9*SNP*FFTH", x4(e01="HBL2")))
    assert [event.snps for event in apart] == [("SLTC",), ("FFTH",)]


def test_in_004010_references_after_an_x4_may_be_the_next_bills():
    one, other, letter = read(older(X4[:-1], b"N9*SNP*SLTC", X4[:-1]))
    assert isinstance(one, Disposition)
    assert isinstance(other, Disposition)
    assert isinstance(letter, DeadLetter)
    assert [(event.snps, event.uncertain) for event in (one, other)] == [((), "MESSAGE"), ((), "MESSAGE")]
    assert "N9 after an X4, where it may be the next bill's" in letter.reason


def test_an_unknown_version_is_in_doubt_until_a_rule_accepts_it():
    newer = with_loop(X4[:-1], b"N9*SNP*SLTC").replace(b"*006050", b"*008010CBP")
    event, letter = read(newer)
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert (event.snps, event.uncertain) == (("SLTC",), "MESSAGE")
    assert "GS08 is '008010CBP', an unknown version" in letter.reason
    (accepted,) = read(newer, rules=Rules(accepted_versions=frozenset({"008010"})))
    assert accepted == event._replace(uncertain=None)


STRUCTURES = {
    "a second M10": (b"P4*", b"M10*OCNX*O~P4*"),
    "no M10": (b"M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~", b""),
    "no P4": (b"P4*2704*20260728~", b""),
    "no ST": (b"ST*350*0001~", b""),
    "no GS": (b"GS*SO*CBPTEST*OCNX*20260714*141205*101*X*006050~", b""),
    "another name of the set": (b"ST*350*", b"ST*35Q*"),
    "the name of a set without bills": (b"ST*350*", b"ST*353*"),
    "a damaged name": (b"M10*", b"Q10*"),
}


@pytest.mark.parametrize("change", STRUCTURES.values(), ids=STRUCTURES.keys())
def test_a_message_out_of_order_stops_and_frees_nothing(change: tuple[bytes, bytes]):
    event, letter = read(one_line(samples.X12_DO_NOT_LOAD).replace(*change))
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert (event.scac, event.bill_of_lading, event.disposition_code) == ("NVXA", "HBL000012345", "6H")
    assert (event.uncertain, letter.in_doubt) == ("MESSAGE", True)
    assert [one.id for one in read_dead_letter(letter, RECEIVED_AT) if isinstance(one, DeadLetter)] == [letter.id]


def test_one_set_at_fault_leaves_the_others_certain():
    content = one_line(samples.X12_HOLD_AND_RELEASE).replace(b"SE*10*0002", b"SE*9*0002")
    found = read(content)
    assert [one.uncertain for one in found if isinstance(one, Disposition)] == [None, None, "MESSAGE", "MESSAGE"]
    assert [one.source for one in found if isinstance(one, DeadLetter)] == [
        "FILE:interchange 000000102:transaction 0002"
    ]


def test_an_interchange_at_fault_has_one_dead_letter_for_all_its_sets():
    content = one_line(samples.X12_HOLD_AND_RELEASE).replace(b"IEA*1", b"IEA*2")
    assert len(letters(content)) == 1
    assert {event.uncertain for event in events(content)} == {"MESSAGE"}


def test_two_wrong_numbers_may_join_two_messages():
    """Neither vessel nor details are taken: they may be those of the other message."""
    one, other = (one_line(sample) for sample in (samples.X12_DO_NOT_LOAD, samples.X12_HOLD_AND_RELEASE))
    joined = one.partition(b"K1*")[0] + other[other.index(b"N7*") :]
    first = events(joined)[0]
    assert (first.snps, first.shipment.vessel_name, first.uncertain) == ((), None, "MESSAGE")


@pytest.mark.parametrize("place", [b"K1*CARGO", b"*2704**OB*", b"N9*SNP*SL"])
def test_an_interchange_within_a_cut_segment_is_read(place: bytes):
    cut = one_line(samples.X12_DO_NOT_LOAD).partition(place)[0] + place
    found = read(cut + one_line(samples.X12_HOLD_AND_RELEASE))
    whole = read(samples.X12_HOLD_AND_RELEASE)
    assert found[-len(whole) :] == whole


# Usage


TEST_MESSAGE = samples.X12_DO_NOT_LOAD.replace(b"*0*P*>", b"*0*T*>")


def test_a_test_interchange_is_put_aside_whole():
    letter, counted = read(TEST_MESSAGE)
    assert isinstance(letter, DeadLetter)
    assert counted == OtherMessage("test interchange (put aside)", "FILE:interchange 000000101")
    assert (letter.scac, letter.in_doubt, letter.source) == (None, False, "FILE:interchange 000000101")
    assert "ISA15 T makes it a test interchange, and this installation is for production" in letter.reason
    for accepted in (False, True):
        again = list(read_dead_letter(letter, RECEIVED_AT, accepted=accepted))
        assert [one.id for one in again if not isinstance(one, OtherMessage)] == [letter.id]


def test_a_test_installation_reads_tests_only():
    rules = Rules(usage="test")
    (event,) = read(TEST_MESSAGE, rules=rules)
    assert isinstance(event, Disposition)
    assert event.test
    letter, _ = read(samples.X12_DO_NOT_LOAD, rules=rules)
    assert isinstance(letter, DeadLetter)


def test_a_set_alone_counts_as_the_installations_own():
    bare = b"ST*" + one_line(samples.X12_DO_NOT_LOAD).partition(b"~ST*")[2].partition(b"GE*")[0]
    assert read(bare) == read(bare, rules=Rules(usage="test"))


# Sets for others


def acknowledgement(count: int = 4, groups: int = 1) -> bytes:
    group = b"GS*FA*CBPTEST*OCNX*20260714*1412*101*X*004010~ST*997*0001~AK1*SO*1~AK9*A*1*1*1~SE*%d*0001~GE*%d*101~"
    return ISA + b"~" + group % (count, groups) + b"IEA*1*000000101~"


@pytest.mark.parametrize("count", [4, 5])
def test_acknowledgements_are_counted_and_not_kept(count: int):
    assert read(acknowledgement(count)) == [OtherMessage("997", "FILE:interchange 000000101:transaction 0001")]


def test_only_technical_acknowledgements_are_counted():
    assert read(ISA + b"~TA1*000000101*260714*1412*A*000~IEA*0*000000101~") == [
        OtherMessage("TA1", "FILE:interchange 000000101")
    ]


def test_an_acknowledgement_that_lost_its_neighbours_is_noticed():
    found = read(acknowledgement(groups=2))
    assert [type(one) for one in found] == [OtherMessage, DeadLetter]


# Size


def test_an_over_long_segment_puts_its_set_in_doubt_and_the_rest_is_read():
    content = with_loop(X4[:-1], b"K1*" + b"A" * (PIECE_LIMIT + 5), X4[:-1])
    *found, letter = read(content)
    assert [event.uncertain for event in found if isinstance(event, Disposition)] == ["MESSAGE", "MESSAGE"]
    assert isinstance(letter, DeadLetter)
    assert (letter.in_doubt, len(letter.content)) == (True, HEAD_SIZE)
    assert letter.content_size > PIECE_LIMIT
    assert "segment 5 is damaged and names no bill: K101 'AAA" in letter.reason


def test_an_over_long_x4_still_stops_its_bill():
    letter = only_letter(with_loop(X4[:-1] + b"A" * (PIECE_LIMIT + 5)))
    assert (letter.scac, letter.bill_of_lading, letter.disposition_code) == ("NVXA", "HBL000012345", "6H")


def test_only_the_head_of_a_set_above_a_megabyte_is_kept():
    letter = only_letter(with_loop(b"BA1*20", *[X4[:-1]] * 20_000).replace(b"~P4*2704*20260728~", b"~"))
    assert letter.content_size > CONTENT_LIMIT
    assert len(letter.content) == HEAD_SIZE


def big_interchange(ports: int, bills: int) -> Iterator[bytes]:
    """One set of the largest size: every port with its bills."""
    isa, rest = one_line(samples.X12_DO_NOT_LOAD)[:106], one_line(samples.X12_DO_NOT_LOAD)[106:]
    yield isa + rest.partition(b"P4*")[0]
    for port in range(ports):
        yield b"P4*%04d*20260728~" % (1000 + port)
        for bill in range(bills):
            yield x4(e01=f"H{port:02}{bill:06}", e13=f"{1000 + port}") + b"~N9*SNP*OCNX~N7*CSQU*%07d~" % bill
    yield b"SE*%d*0001~GE*1*101~IEA*1*000000101~" % (3 + ports * (1 + 3 * bills))


def test_the_largest_set_is_read_in_the_memory_of_its_text():
    tracemalloc.start()
    size = sum(map(len, big_interchange(20, 300)))
    counted = sum(isinstance(event, Disposition) for event in read_x12(big_interchange(20, 300), "FILE", RECEIVED_AT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counted == 6_000
    assert peak < 6 * size


def test_an_interchange_longer_than_any_of_cbps_is_in_doubt(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(x12_interchanges, "INTERCHANGE_LIMIT", 300_000)
    found = list(read_x12(big_interchange(20, 300), "FILE", RECEIVED_AT))
    events = [event for event in found if isinstance(event, Disposition)]
    assert len(events) == 6_000
    assert {event.uncertain for event in events} == {"MESSAGE"}
    assert all("longer than any of CBP's" in one.reason for one in found if isinstance(one, DeadLetter))


# An independent reader


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_independent_reader_finds_the_same_envelope(sample: bytes):
    interchange = oracle.parse_x12_interchange(oracle.tokenize_x12(one_line(sample)))
    inspected = oracle.inspect_x12_interchange(interchange)
    assert set(inspected.transaction_set_codes) == {b"350"}
    found = events(sample)
    assert {event.source.split(":")[1] for event in found if event.source} == {
        f"interchange {interchange.control_number.decode()}"
    }
    bodies = one_line(sample).count(b"~X4*") + one_line(sample).count(b"~V9*")
    assert len(found) == bodies
    assert letters(sample) == []


# Limits


def size_of(content: bytes) -> int:
    return sum(len(published(event)) for event in read(content))


@pytest.mark.parametrize("header", [b"ST*350*", b"GS*SO*", b"M10*NVXA**US**", b"P4*", b"ST*350*1~M10*NVXA***9*"])
@pytest.mark.parametrize("event", [X4, b"X4*A*b~"])
def test_an_endless_header_is_not_repeated_with_each_event_below_it(header: bytes, event: bytes) -> None:
    content = ISA + b"~" + header + b"7" * 100_000 + b"~" + 200 * event
    assert len(events(content)) in (0, 200)
    assert size_of(content) < 3 * len(content) + 200 * 2_000
    assert any("a segment terminator may be missing" in letter.reason for letter in letters(content))


@pytest.mark.parametrize("segments", [50, 5_000, 20_000])
def test_an_endless_event_stops_its_bill_and_is_kept_like_any_other(segments: int) -> None:
    """No party is left out silently, and a record of the event fits the log."""
    found = read(with_loop(X4[:-1], *[b"K1*" + b"R" * 30] * segments))[0]
    assert isinstance(found, Disposition) == (segments <= 5_000)
    assert not isinstance(found, OtherMessage)
    assert len(published(found)) < 1_001_000
    if isinstance(found, DeadLetter):
        assert (found.bill_of_lading, found.disposition_code) == ("HBL000012345", "6H")
        assert found.content_size > segments * 30
        assert "more than 200,000 characters" in found.reason


def test_a_detail_that_lost_its_terminator_frees_nothing_and_takes_no_party() -> None:
    event, letter = read(with_loop(X4[:-1], b"N9*SNP*FFTH", b"N9*SNP*SLTC" + b"N9*SNP*OCNX" * 300))
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert (event.snps, event.uncertain) == ((), "MESSAGE")
    assert "names no bill: it has 602 elements, and N9 has at most 7" in letter.reason


@pytest.mark.parametrize("reference", [b"SNP*FFTH", b"OB*OCNXMB7781234", b"SNP*"])
def test_a_reference_under_the_name_of_a_container_is_damage(reference: bytes) -> None:
    event, letter = read(with_loop(X4[:-1], b"N7*" + reference, b"N9*SNP*SLTC"))
    assert isinstance(event, Disposition)
    assert isinstance(letter, DeadLetter)
    assert (event.uncertain, event.snps, event.shipment.container_numbers) == ("MESSAGE", (), ())
    assert letter.in_doubt


@pytest.mark.parametrize("qualifier", [b"OB", b"OL"])
@pytest.mark.parametrize(
    "reference", [b"OCNX" + b"1" * 13, b"OCNX\xe9123", b"\xe9CNX123", b"OCNXMB-1", b"OCNXOCNXMB7781234", b"OCNX"]
)
def test_an_impossible_reference_is_not_taken_and_frees_nothing(qualifier: bytes, reference: bytes) -> None:
    event = only_event(with_loop(x4(e15="", e16=""), b"N9*" + qualifier + b"*" + reference))
    assert (event.bill_of_lading, event.disposition_code, event.uncertain) == ("HBL000012345", "6H", "MESSAGE")
    assert (event.shipment.master_bill, event.shipment.original_bill) == (None, None)


@pytest.mark.parametrize("number", ["NVXAHBL000012345", "HBL-000012345", "HBL 000012345"])
def test_a_repaired_bill_number_stops_and_frees_nothing(number: str) -> None:
    event = only_event(with_loop(x4(e01=number)))
    assert (event.scac, event.bill_of_lading, event.uncertain) == ("NVXA", "HBL000012345", "BILL")
    letter = only_letter(with_loop(x4(e01=number, e05="yesterday")))
    assert (letter.scac, letter.bill_of_lading) == ("NVXA", "HBL000012345")


def test_an_endless_vessel_event_has_a_short_reason() -> None:
    (letter,) = letters(with_loop(b"V9*" + b"7" * 900_000))
    assert len(letter.reason) < 500


def test_a_letter_with_two_capitals_makes_no_other_bill() -> None:
    letter = only_letter(with_loop(X4[:-1].replace(b"HBL", b"HB\xdf")))
    assert "is not a bill number" in letter.reason
