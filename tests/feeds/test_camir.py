"""CAMIR status notifications: the same events as in X12, for every separation of records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from router.feeds.bounded_input import OtherMessage, ReadOptions
from router.feeds.camir import read_camir
from router.feeds.formats import read_dead_letter
from router.feeds.x12 import read_x12
from router.model.inputs import DeadLetter, Disposition, disposition_fields
from tests.feeds import samples
from tests.feeds.samples import RECEIVED_AT, published, records

SAMPLES = (samples.CAMIR_DO_NOT_LOAD, samples.CAMIR_REMOVED_AND_RELEASED, samples.CAMIR_ARRIVAL)
SEPARATIONS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda frame: b"".join(records(frame)),
    "nothing, the last record cut short": lambda frame: b"".join(records(frame)).rstrip(),
    "line breaks": lambda frame: b"\n".join(records(frame)),
    "CRLF, blanks trimmed": lambda frame: frame.replace(b"\n", b"\r\n"),
    "*": lambda frame: b"*".join(records(frame)),
    "~": lambda frame: b"~".join(records(frame)) + b"~",
    "# and line breaks": lambda frame: b"#\r\n".join(records(frame)) + b"#\r\n",
    "~, blanks trimmed": lambda frame: frame.replace(b"\n", b"~"),
}
DIFFERENT_FIELDS = {"source", "transmitted_at", "test", "remarks"}


def read(content: bytes, **options: bool) -> list[Disposition | DeadLetter]:
    return list(read_camir([content], "FILE", RECEIVED_AT, ReadOptions(**options)))


def changed(before: bytes, after: bytes, frame: bytes = samples.CAMIR_DO_NOT_LOAD) -> bytes:
    assert before in frame
    return frame.replace(before, after)


def at(position: int, text: bytes, starts: bytes, frame: bytes = samples.CAMIR_DO_NOT_LOAD) -> bytes:
    """The frame with `text` at a position, counted from 1, of each record that begins with `starts`."""
    lines = [
        record[: position - 1] + text + record[position - 1 + len(text) :] if record.startswith(starts) else record
        for record in records(frame)
    ]
    return b"\n".join(lines)


@pytest.mark.parametrize("separate", SEPARATIONS.values(), ids=SEPARATIONS.keys())
@pytest.mark.parametrize("sample", SAMPLES)
def test_every_separation_of_records_gives_the_same_events(sample: bytes, separate: Callable[[bytes], bytes]):
    expected = read(sample)
    assert all(isinstance(event, Disposition) for event in expected)
    assert read(separate(sample)) == expected
    assert len(read(separate(sample) + b"\r\n" + separate(sample))) == 2 * len(expected)


def test_a_separator_within_free_text_is_text():
    frame = b"#".join(records(changed(b"VAGUE", b"#1 * ~ VAGUE")))
    (event,) = read(frame)
    assert isinstance(event, Disposition)
    assert event.remarks == "CARGO DESCRIPTION #1 * ~ VAGUE"


@pytest.mark.parametrize(
    ("x12", "camir", "pairs"),
    [
        (samples.X12_DO_NOT_LOAD, samples.CAMIR_DO_NOT_LOAD, [(0, 0)]),
        (samples.X12_HOLD_AND_RELEASE, samples.CAMIR_REMOVED_AND_RELEASED, [(2, 0), (3, 1)]),
        (samples.X12_NOMINATION_AND_ARRIVAL, samples.CAMIR_ARRIVAL, [(2, 0)]),
    ],
)
def test_the_same_event_reads_the_same_in_both_formats(x12: bytes, camir: bytes, pairs: list[tuple[int, int]]):
    theirs, ours = list(read_x12([x12], "FILE", RECEIVED_AT)), read(camir)
    for first, second in pairs:
        assert fields_of(theirs[first]) == fields_of(ours[second])


def fields_of(event: Disposition | DeadLetter) -> dict[str, Any]:
    assert isinstance(event, Disposition)
    return {name: value for name, value in disposition_fields(event).items() if name not in DIFFERENT_FIELDS}


def test_an_event_has_its_record_number_and_the_date_of_its_transmission():
    first, second = read(samples.CAMIR_REMOVED_AND_RELEASED)
    assert isinstance(first, Disposition)
    assert isinstance(second, Disposition)
    assert (first.source, second.source) == ("FILE:record 5", "FILE:record 10")
    assert first.transmitted_at == 1_785_331_815_000


def test_position_68_makes_the_next_record_a_continuation_even_if_it_looks_like_a_bill():
    frame = changed(b"R022704    ", b"R022704HBL0")
    (event,) = read(frame)
    assert isinstance(event, Disposition)
    assert (event.bill_of_lading, event.firms) == ("HBL000012345", "HBL0")


@pytest.mark.parametrize("written", [b"0000", b"    "])
def test_a_port_of_zeros_is_no_port(written: bytes):
    (event,) = read(at(4, written, b"R022704"))
    assert isinstance(event, Disposition)
    assert event.transaction_port is None
    (event,) = read(at(8, written, b"R01OCNX"))
    assert isinstance(event, Disposition)
    assert event.shipment.port_of_unlading is None


@pytest.mark.parametrize(("written", "read_as"), [(b"3901", "3901"), (b"0000", None), (b"    ", None)])
def test_the_continuation_declares_the_in_bond_destination(written: bytes, read_as: str | None):
    (event,) = read(at(12, written, b"R022704"))
    assert isinstance(event, Disposition)
    assert event.shipment.in_bond_destination == read_as


def test_without_position_68_the_next_r02_is_another_bill():
    frame = at(68, b" ", b"R02HBL", samples.CAMIR_DO_NOT_LOAD)
    found = read(frame)
    assert isinstance(found[0], Disposition)
    assert isinstance(found[1], DeadLetter)


def test_a_missing_continuation_stops_the_bill():
    for before, after in ((b"R022704  ", b"R05NC    "), (b"1\nR022704  ", b"1\nQ022704  ")):
        letter = read(changed(before, after))[0]
        assert isinstance(letter, DeadLetter)
        assert (letter.scac, letter.bill_of_lading, letter.disposition_code) == ("NVXA", "HBL000012345", "6H")


def test_a_container_in_the_continuation_makes_a_container_level_event():
    frame = at(24, b"MSCU123456", b"R022704")
    (event,) = read(frame)
    assert isinstance(event, Disposition)
    assert (event.container_level, event.container_numbers) == (True, ("MSCU123456",))
    assert event.shipment.container_numbers == ("CSQU3054383",)


def test_nc_means_no_container():
    (event,) = read(changed(b"CSQU3054383", b"NC         "))
    assert isinstance(event, Disposition)
    assert disposition_fields(event)["container_numbers"] == ()


@pytest.mark.parametrize(("position", "mark", "field"), [(67, b"N", "reversal"), (69, b"Y", "resent")])
def test_reversals_and_resent_holds_are_marked(position: int, mark: bytes, field: str):
    (event,) = read(at(position, mark, b"R02HBL"))
    assert getattr(event, field) is True


@pytest.mark.parametrize("entry", [b"00000000000000000", b"                 "])
def test_an_entry_of_zeros_or_blanks_is_none(entry: bytes):
    (event,) = read(at(28, entry, b"R02HBL"))
    assert isinstance(event, Disposition)
    assert (event.entry_type, event.entry_number) == (None, None)


def test_remarks_are_joined_and_a_split_names_its_original():
    frame = changed(b"R03CARGO", b"B04OL SLTCORIG9\nR03FIRST\nR03CARGO").replace(b"00009", b"00011")
    (event,) = read(frame)
    assert isinstance(event, Disposition)
    assert (event.shipment.original_bill, event.remarks) == ("SLTCORIG9", "FIRST CARGO DESCRIPTION VAGUE")


def test_a_known_record_without_use_is_passed_over():
    frame = changed(b"R01OCNX", b"M02BATCH7\nR01OCNX").replace(b"00009", b"00010")
    assert [fields_of(event) for event in read(frame)] == [fields_of(read(samples.CAMIR_DO_NOT_LOAD)[0])]


def test_the_details_of_a_bill_outside_ams_join_no_other():
    """R04: its remark is not the earlier bill's."""
    frame = changed(b"R03CARGO", b"R04PAPERLESS\nR03CARGO").replace(b"00009", b"00010")
    (event,) = read(frame)
    assert isinstance(event, Disposition)
    assert (event.remarks, event.uncertain) == (None, None)


def test_a_bill_without_an_issuer_is_not_guessed():
    letter = read(changed(b"J01NVXA\n", b"").replace(b"00009", b"00008"))[0]
    assert isinstance(letter, DeadLetter)
    assert (letter.scac, letter.bill_of_lading) == (None, None)


def test_another_port_ends_the_issuer():
    again = b"R01OCNX1001OCEAN EXEMPLAR         026E\nR02HBL0000999991H0000000001                 2607140812\nZCR"
    found = read(changed(b"ZCR", again))
    assert [type(event) for event in found[:2]] == [Disposition, DeadLetter]


@pytest.mark.parametrize(
    ("position", "text"),
    [(16, b"  "), (18, b"00000ABCDE"), (45, b"269931"), (45, b"      "), (51, b"2561"), (51, b"    ")],
)
def test_an_unreadable_event_names_its_bill_and_can_be_read_again_alone(position: int, text: bytes):
    (letter,) = read(at(position, text, b"R02HBL"))
    assert isinstance(letter, DeadLetter)
    assert (letter.scac, letter.bill_of_lading) == ("NVXA", "HBL000012345")
    assert [line[:3] for line in letter.content.splitlines()][:6] == [b"ACR", b"M01", b"R01", b"J01", b"R02", b"R02"]
    (again,) = read_dead_letter(letter, RECEIVED_AT)
    assert isinstance(again, DeadLetter)
    assert again.id == letter.id


def test_a_message_for_others_on_the_line_is_counted_and_not_kept():
    found = read(at(14, b"MR", b"ACR") + b"\n" + samples.CAMIR_ARRIVAL)
    assert found[0] == OtherMessage("CAMIR MR", "FILE:record 1")
    assert isinstance(found[1], Disposition)
    assert found[1].source == "FILE:record 15"


def test_a_container_under_the_name_of_a_bill_stops_no_bill() -> None:
    found = read(b"\n".join(records(changed(b"R05CSQU", b"R02CSQU"))))
    assert [letter.bill_of_lading for letter in found if isinstance(letter, DeadLetter)] == [None, None]
    assert [event.uncertain for event in found if isinstance(event, Disposition)] == ["MESSAGE"]


def test_a_message_for_others_may_have_any_records():
    frame = at(14, b"MR", b"ACR").replace(b"R03CARGO", b"W01A RESPONSE\nM01CARGO").replace(b"00009", b"00010")
    assert read(frame) == [OtherMessage("CAMIR MR", "FILE:record 1")]


@pytest.mark.parametrize("lost", [b"ZCR", b"R05"])
def test_a_damaged_message_for_others_may_have_swallowed_a_stop(lost: bytes):
    frame = b"\n".join(record for record in records(at(14, b"MR", b"ACR")) if not record.startswith(lost))
    (letter,) = read(frame)
    assert isinstance(letter, DeadLetter)
    assert letter.bill_of_lading is None
    assert "for others (application MR), but damaged" in letter.reason


def test_an_unknown_application_is_put_aside_whole():
    found = read(at(14, b"QQ", b"ACR") + b"\n" + samples.CAMIR_ARRIVAL)
    assert [type(event) for event in found] == [DeadLetter, Disposition]
    assert isinstance(found[0], DeadLetter)
    assert "'QQ'" in found[0].reason
    assert b"R05CSQU" in found[0].content
    (again,) = read_dead_letter(found[0], RECEIVED_AT)
    assert isinstance(again, DeadLetter)
    assert again.id == found[0].id


@pytest.mark.parametrize(
    ("before", "after", "reason", "uncertain"),
    [
        (b"00009", b"00010", "ZCR counts '00010' records, but 9 came", "BILL"),
        (b"00009", b"00008", "ZCR counts '00008' records, but 9 came", "MESSAGE"),
        (b"00009", b"", "ZCR counts ''", "MESSAGE"),
        (b"00009", b"0000", "ZCR counts '0000'", "MESSAGE"),
        (b"ZCROCNX      RC                   00009", b"", "no ZCR", "MESSAGE"),
        (b"ACROCNX      RC26071414120500031\n", b"", "no ACR", "MESSAGE"),
        (b"      RC2607", b"      R*2607", "ACR 14-15 'R*'", "MESSAGE"),
        (b"M01OCNX", b"M01OC\x00X", "record 2: M01 4-7", "MESSAGE"),
        (b"R01OCNX2704", b"R01OCNX27O4", "record 3: R01 8-11 '27O4' is no port", "MESSAGE"),
        (b"B04SNPSLTC", b"Q04SNPSLTC", "record 8 begins with 'Q04'", "MESSAGE"),
        (b"B04SNPSLTC", b"B04SNPSL_C", "record 8: B04 7-36 'SL_C' is no value", "MESSAGE"),
        (b"B04SNPSLTC", b"?04SNPSLTC", "bytes after record 7 is no record", "MESSAGE"),
        (b"B04SNPSLTC", b"B04SNP", "record 8: B04 7-36 '' is no value", "MESSAGE"),
        (b"B04SNPSLTC", b"B04S  SLTC", "record 8: B04 4-6 'S' is no qualifier", "MESSAGE"),
        (b"B04SNPSLTC", b"R01OCNX2704", "record 9: R03 does not come here", "MESSAGE"),
    ],
)
def test_a_damaged_transmission_stops_and_frees_nothing(before: bytes, after: bytes, reason: str, uncertain: str):
    """No detail is taken: it may be another bill's."""
    frame = changed(before, after)
    event, letter = read(frame)
    whole = read(samples.CAMIR_DO_NOT_LOAD)[0]
    assert isinstance(event, Disposition)
    assert isinstance(whole, Disposition)
    assert (event.scac, event.bill_of_lading, event.disposition_code) == ("NVXA", "HBL000012345", "6H")
    assert (event.uncertain, event.snps, event.remarks) == (uncertain, (), None)
    assert event.transaction_port == (None if uncertain == "BILL" else "2704")
    assert isinstance(letter, DeadLetter)
    assert (letter.in_doubt, letter.bill_of_lading) == (True, None)
    assert reason in letter.reason
    again = list(read_dead_letter(letter, RECEIVED_AT))
    assert [one.uncertain for one in again if isinstance(one, Disposition)] == [uncertain]
    assert [one.id for one in again if isinstance(one, DeadLetter)] == [letter.id]
    (accepted,) = read_dead_letter(letter, RECEIVED_AT, accepted=True)
    assert isinstance(accepted, Disposition)
    assert accepted.uncertain is None
    if uncertain == "BILL" or "ZCR" in reason:
        assert fields_of(accepted) | {"retry_of": None} == fields_of(whole)


@pytest.mark.parametrize(
    "damaged", [b"\x80\x81 BIN", b"Q01NVXB", b"J01NV?B", b"?01NVXB", b"J0?NVXB", b"JO1NVXXB", b"J01"]
)
def test_what_may_be_a_damaged_j01_ends_the_issuer(damaged: bytes):
    bill = b"R02HBL0000999991H0000000001                 2607140812"
    frame = changed(b"R03CARGO", damaged + b"\n" + bill + b"\nR03CARGO")
    first, second, letter = read(frame.replace(b"00009", b"00011"))
    assert isinstance(first, Disposition)
    assert (first.uncertain, first.remarks) == ("MESSAGE", None)
    assert isinstance(second, DeadLetter)
    assert (second.bill_of_lading, second.disposition_code) == (None, "1H")
    assert isinstance(letter, DeadLetter)
    assert letter.in_doubt


@pytest.mark.parametrize("damaged", [b"Q04SNPSLTC", b"?04SNPSLTC", b"R0XCARGO DESCRIPTION"])
def test_behind_other_damage_the_issuer_is_in_doubt(damaged: bytes):
    """Its stops count on a bill that is known, and tell nobody else; vessel and port are unknown."""
    bill = b"R02HBL0000999991H0000000001                 2607140812"
    frame = changed(b"R03CARGO", damaged + b"\n" + bill + b"\nR03CARGO")
    _, second, _ = read(frame.replace(b"00009", b"00011"))
    assert isinstance(second, Disposition)
    assert (second.scac, second.uncertain, second.shipment.vessel_name) == ("NVXA", "BILL", None)


@pytest.mark.parametrize("damaged", [b"C01NVXB", b"M02NVXB", b"C02NVXB"])
def test_behind_what_may_be_a_j01_under_another_name_the_issuer_is_in_doubt(damaged: bytes) -> None:
    bill = b"R02HBL0000999991H0000000001                 2607140812"
    frame = changed(b"R03CARGO", damaged + b"\n" + bill + b"\nR03CARGO")
    _, second, _ = read(frame.replace(b"00009", b"00011"))
    assert isinstance(second, Disposition)
    assert (second.scac, second.disposition_code, second.uncertain) == ("NVXA", "1H", "BILL")


@pytest.mark.parametrize("separate", ["nothing", "line breaks", "~, blanks trimmed"])
@pytest.mark.parametrize(("code", "more"), [(b"6H", b" "), (b"6H", b"1"), (b"1C", b" ")])
def test_the_last_record_of_a_cut_file_stops_as_far_as_it_is_whole(separate: str, code: bytes, more: bytes):
    frame = SEPARATIONS[separate](at(68, more, b"R02HBL").replace(b"6H00", code + b"00"))
    begin = frame.index(b"R02HBL")
    for length in range(3, 80):
        found = read(frame[: begin + length])
        letter = found[-1]
        assert isinstance(letter, DeadLetter)
        assert letter.in_doubt
        named = [(event.bill_of_lading, event.disposition_code) for event in found if event.bill_of_lading is not None]
        assert named == ([("HBL000012345", code.decode() if length >= 17 else None)] if length >= 15 else [])
        events = [event for event in found if isinstance(event, Disposition)]
        assert all((event.uncertain, event.snps) == ("MESSAGE", ()) for event in events)


def test_a_cut_continuation_names_no_container_and_no_master():
    frame = SEPARATIONS["nothing"](at(24, b"MSCU1234566", b"R022704"))
    begin = frame.index(b"R022704")
    for length in range(3, 81):
        found = read(frame[: begin + length])
        assert [event.disposition_code for event in found] == ["6H", None]
        assert not any(isinstance(event, Disposition) for event in found)


def test_a_transmission_with_more_records_than_a_trailer_counts_frees_nothing():
    records_of_one = samples.CAMIR_DO_NOT_LOAD.splitlines()
    bills = records_of_one[4].replace(b"6H", b"1C").replace(b"1", b" ", 0).ljust(80)[:67] + b" "
    frame = b"\n".join([*records_of_one[:4], *100_000 * [bills], records_of_one[-1]])
    events, letters = 0, []
    for event in read_camir([frame], "FILE", RECEIVED_AT):
        if isinstance(event, DeadLetter):
            letters.append(event)
        else:
            assert isinstance(event, Disposition)
            assert event.uncertain == "MESSAGE"
            events += 1
    assert events == 100_000
    (letter,) = letters
    assert letter.in_doubt
    assert "longer than any of CBP's" in letter.reason
    assert letter.content_size > 6_000_000 > len(letter.content)


@pytest.mark.parametrize("separate", ["nothing", "line breaks", "*"])
@pytest.mark.parametrize("place", [20, 100, 200, 290, 412, 500, 600, 680])
@pytest.mark.parametrize("put", [b"A", b" ", b""])
def test_a_character_too_many_or_too_few_frees_nothing_and_loses_no_other_record(separate: str, place: int, put: bytes):
    whole = SEPARATIONS[separate](samples.CAMIR_REMOVED_AND_RELEASED)
    found = read(whole[:place] + put + whole[place + (not put) :])
    codes = [event.disposition_code for event in found if event.disposition_code is not None]
    assert codes == ["1I", "1C"] or put == b" "
    assert all(event.uncertain for event in found if isinstance(event, Disposition))
    letters = [event for event in found if isinstance(event, DeadLetter)]
    assert letters
    for letter in letters:
        assert [one.id for one in read_dead_letter(letter, RECEIVED_AT) if isinstance(one, DeadLetter)][-1:] == [
            letter.id
        ]


def test_access_codes_are_masked():
    frame = at(8, b"SECRET", b"ACR", samples.CAMIR_DO_NOT_LOAD)
    for broken in (frame.replace(b"6H0000000120", b"6H00000001X0"), frame.replace(b"00009", b"00001")):
        letters = [event for event in read(broken) if isinstance(event, DeadLetter)]
        assert letters
        assert all(b"SECRET" not in letter.content for letter in letters)


@pytest.mark.parametrize("remarks", [2_000, 3_000, 20_000])
def test_an_endless_event_stops_its_bill(remarks: int) -> None:
    frame = records(samples.CAMIR_DO_NOT_LOAD.replace(b"00009", b"%05d" % (9 + remarks)))
    place = next(number for number, record in enumerate(frame) if record.startswith(b"R02")) + 2
    content = b"\n".join([*frame[:place], *remarks * [b"R03" + b"\xe9" * 77], *frame[place:]])
    (found,) = (event for event in read(content) if event.bill_of_lading is not None)
    assert isinstance(found, Disposition) == (remarks == 2_000)
    assert len(published(found)) < 1_001_000
    if isinstance(found, DeadLetter):
        assert "more than 200,000 characters" in found.reason
        assert found.content_size > remarks * 80


def test_a_letter_with_two_capitals_shifts_no_field_and_makes_no_other_bill() -> None:
    (letter,) = read(at(5, b"\xdf", b"R02"))[:1]
    assert isinstance(letter, DeadLetter)
    assert letter.bill_of_lading is None
    assert "is no bill" in letter.reason


@pytest.mark.parametrize("separate", [b"", b"\n"])
@pytest.mark.parametrize("continued", [b"1", b" "])
@pytest.mark.parametrize(
    "name", [b"R03", b"R04", b"R05", b"R06", b"B04", b"M02", b"C01", b"J01", b"R01", b"X02", b"R0:", b"\x00\x0002"]
)
def test_a_bills_event_under_another_name_stops_its_bill_and_joins_no_other(
    name: bytes, continued: bytes, separate: bytes
) -> None:
    """Read as a remark, it would reach the parties of the bill before."""
    first, *rest = records(samples.CAMIR_REMOVED_AND_RELEASED)
    place = next(index for index, record in enumerate(rest) if record[15:17] == b"1C")
    hold = (name + rest[place][3:15] + b"1H" + rest[place][17:67] + continued + rest[place][68:]).ljust(80)[-80:]
    after = rest[place + (1 if continued == b"1" else 2) :][:4]
    content = separate.join([first, *rest[: place - 1], hold, *after])  # without the J01 between
    removal, *letters = read(content)
    assert isinstance(removal, Disposition)
    assert (removal.disposition_code, removal.remarks) == ("1I", None)
    assert removal.uncertain
    assert ("NVXA", "HBL000012345", "1H") in {
        (letter.scac, letter.bill_of_lading, letter.disposition_code)
        for letter in letters
        if isinstance(letter, DeadLetter)
    }
