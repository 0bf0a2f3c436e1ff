"""Forms that people and programs fill in: one grammar of identifiers, one meaning of empty values, faults in words."""

from __future__ import annotations

from typing import Any

import pytest

from router.errors import UsageError
from router.feeds.forms import (
    DispositionForm,
    FilingForm,
    ManualForm,
    OutageForm,
    PaperForm,
    check_moment,
    checked,
    feed_name,
    manual_event,
    paper_bill,
)
from router.model.eastern import DAY
from router.model.inputs import Disposition, ManualEvent, PaperBill, Shipment, disposition_fields, filing_fields
from tests.feeds.samples import RECEIVED_AT

BILL: dict[str, Any] = {"scac": "nvxa", "bill_of_lading": "hbl1"}
EVENT = BILL | {"disposition_code": "1h", "action_at": "2026-07-14T08:12"}
MANUAL = BILL | {"action": "PLACE", "code": "6h", "said_at": "2026-07-14T08:12", "by": "alice"}
SHIPMENT = {
    "carrier_scac": "OCNX",
    "imo_number": "9074729",
    "vessel_name": "OCEAN EXEMPLAR",
    "voyage_number": "026E",
    "manifest_sequence_number": "000001",
    "port_of_unlading": "2704",
    "arrival_date": "2026-07-28",
    "in_bond_destination": "3901",
    "master_bill": "OCNXMB1",
    "original_bill": "SLTCO1",
    "container_numbers": ("CSQU3054383",),
}


def disposition(**values: Any) -> Disposition:
    return checked(DispositionForm, EVENT | values).disposition(RECEIVED_AT, "FILE")


def test_dispositions_and_filings_read_the_same_shipment():
    event = disposition(**SHIPMENT)
    filing = checked(FilingForm, BILL | SHIPMENT).filing("FILE", RECEIVED_AT)
    assert event.shipment == filing.shipment == Shipment(**SHIPMENT)
    assert SHIPMENT.items() <= disposition_fields(event).items()
    assert SHIPMENT.items() <= filing_fields(filing).items()


@pytest.mark.parametrize("level", [True, False])
def test_a_container_level_form_is_about_its_containers_only(level: bool):
    flat = {
        "container_level": level,
        "container_numbers": ("CSQU3054383",),
        "other_container_numbers": ("TGHU7654321",),
    }
    event = disposition(**flat)
    if level:
        assert flat.items() <= disposition_fields(event).items()
    else:
        assert event.container_numbers == ()
        assert event.shipment.container_numbers == ("CSQU3054383", "TGHU7654321")


@pytest.mark.parametrize("empty", [None, "", "  "])
@pytest.mark.parametrize("name", sorted(set(DispositionForm.model_fields) - set(EVENT)))
def test_an_empty_value_is_as_good_as_none(name: str, empty: str | None):
    assert disposition(**{name: empty}) == disposition()


def test_entry_numbers_read_as_in_cbp_messages():
    event = disposition(entry_type="01", entry_number="ab1 0004521-5")
    assert (event.entry_type, event.entry_number) == ("01", "AB100045215")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"scac": "NVXAB"}, "scac: a SCAC has at most four characters, without blanks (it is 'NVXAB')"),
        ({"scac": "\u017fxxx"}, "scac: a SCAC has at most four characters, without blanks (it is '\u017fxxx')"),
        (
            {"bill_of_lading": "A B"},
            "bill_of_lading: 'A B' is not a bill number of one to twelve letters and digits; write 'AB', without its ",
        ),
        ({"bill_of_lading": "nvxahbl000012345"}, "bill_of_lading: 'NVXAHBL000012345' is not a bill number of one to"),
        ({"bill_of_lading": "A/B"}, "bill_of_lading: 'A/B' is not a bill number of one to twelve letters and digits"),
        (
            {"bill_of_lading": "\u00df1"},
            "bill_of_lading: '\u00df1' is not a bill number of one to twelve letters and digits",
        ),
        ({"quantity": "1_0"}, "quantity: write a whole number in digits only, such as 1200 (it is '1_0')"),
        ({"bill_of_lading": "1.23457E+11"}, "bill_of_lading: '1.23457E+11' was changed by a spreadsheet: format the"),
        ({"master_bill": "OCNXMB-1"}, "master_bill: 'OCNXMB-1' is not a bill: a SCAC of four places, then a number"),
        ({"code": "1"}, "code: a disposition code has two or three letters or digits, such as 1H (it is '1')"),
        ({"code": "\u212a1"}, "code: a disposition code has two or three letters or digits, such as 1H"),
        ({"code": None}, "a hold needs its code, such as 6H for a do-not-load: ask the person who relays it"),
        ({"container": "CSQU30543"}, "container: a container number has four letters and seven digits, such as "),
        ({"by": " "}, "by: it is missing"),
        ({"by": "a\x07"}, "by: it has characters that cannot be printed (it is 'a\\x07')"),
        ({"quantity": "1.5"}, "quantity: write a whole number in digits only, such as 1200 (it is '1.5')"),
        ({"said_at": "yesterday"}, "said_at: 'yesterday' is not a time in ISO 8601, such as 2026-07-14T08:12"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted (it is 'red')"),
    ],
)
def test_a_wrong_form_is_refused_in_words(values: dict[str, Any], reason: str):
    with pytest.raises(UsageError) as refused:
        checked(ManualForm, MANUAL | values)
    assert str(refused.value).startswith(reason)


def test_a_missing_field_is_named_before_a_wrong_one():
    with pytest.raises(UsageError) as refused:
        checked(FilingForm, {"scac": "NVXA", "arrival_date": "28.7.2026"})
    assert str(refused.value).startswith("bill_of_lading: it is missing; arrival_date: '28.7.2026' is not a date")


def test_a_manual_form_becomes_a_manual_event():
    form = checked(ManualForm, MANUAL | {"channel": " E-Mail", "container": "csqu 305438-3", "quantity": "5"})
    event = manual_event(form, "id", RECEIVED_AT)
    place = {"disposition_code": "6H", "container_number": "CSQU3054383", "quantity": 5}
    assert event == ManualEvent(
        "NVXA", "HBL1", "id", "PLACE", 1_784_031_120_000, "alice", "e-mail", received_at=RECEIVED_AT, **place
    )


def test_a_paper_form_becomes_a_paper_bill_and_its_form_may_be_left_empty():
    form = checked(PaperForm, BILL | {"delivered_at": "2026-07-14T08:12", "form": "", "ticket": "T1"})
    filing = form.filing("FILE", RECEIVED_AT)
    assert paper_bill(form, "FILE", "alice", RECEIVED_AT) == PaperBill(
        filing, 1_784_031_120_000, "CBPF1302", "alice", "T1", RECEIVED_AT
    )


def test_an_outage_ends_after_it_began():
    with pytest.raises(UsageError, match="until must be later than since"):
        checked(OutageForm, {"reason": "down", "by": "alice", "since": RECEIVED_AT, "until": RECEIVED_AT})


def test_names_of_feeds_are_checked():
    assert feed_name(" ACE-Ocean ") == "ace-ocean"
    with pytest.raises(UsageError, match=r"^feed: a feed.s name has letters, digits, dots and dashes"):
        feed_name("-")


@pytest.mark.parametrize(("moment", "fault"), [(61 * DAY + 600_000, "still to come"), (0, "more than 60 days ago")])
def test_times_of_the_future_and_of_long_ago_are_slips(moment: int, fault: str):
    with pytest.raises(UsageError, match=f"^said-at: that is {fault}"):
        check_moment("said-at", moment, 61 * DAY)
    check_moment("said-at", 61 * DAY, 61 * DAY)
