"""How a bill is written: the key everywhere.

Identifiers are checked where a check exists; what fails is flagged, never dropped.
"""

from __future__ import annotations

import pytest

from router.model.identifiers import (
    bill_key,
    container_clean,
    container_key,
    entry_check_digit,
    found_number,
    has_invalid_identifier,
    is_bill_key,
    is_valid_container,
    is_valid_entry_number,
    is_valid_imo_number,
    is_valid_port,
    is_valid_scac,
    is_vessel_key,
    key_without_prefix,
    split_bill_key,
    vessel_key,
)
from router.model.inputs import Shipment
from router.model.registry_values import Party
from tests.checking.samples import event, with_fields


@pytest.mark.parametrize(
    ("scac", "number", "key"),
    [("NVXA", "HBL000012345", "NVXAHBL000012345"), ("AB", "1", "AB  1"), ("ABC", "XYZ", "ABC XYZ")],
)
def test_a_bill_is_its_issuer_padded_to_four_places_and_its_number(scac: str, number: str, key: str) -> None:
    assert bill_key(scac, number) == key
    assert split_bill_key(key) == (scac, number)


@pytest.mark.parametrize(
    ("text", "scac", "number"),
    [
        ("HBL-000012345", "NVXA", "HBL000012345"),
        ("HBL 0000 12345", "NVXA", "HBL000012345"),
        ("HBL\xa0000012345", "NVXA", "HBL000012345"),
        ("HBL\u2013000012345", "NVXA", "HBL000012345"),
        ("NVXAHBL000012345", "NVXA", "HBL000012345"),
        ("NVXA-HBL-000012345", "NVXA", "HBL000012345"),
        ("NVX 000123456789", "NVX", "000123456789"),
    ],
)
def test_a_number_with_blanks_dashes_or_its_scac_in_front_is_repaired(text: str, scac: str, number: str) -> None:
    assert found_number(text, scac) == number


@pytest.mark.parametrize("number", ["1", "HBL000012345", "NVXAHBL12345", "1E11", "000000000000"])
def test_a_number_of_up_to_twelve_letters_and_digits_is_kept(number: str) -> None:
    assert found_number(number, "NVXA") == number
    assert is_bill_key(bill_key("NVXA", number))


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", "1.23457E+11", "HBL0000123456", "OCNXHBL000012345", "NVXANVXAHBL000012345", "HBL/1", "h1"],
)
def test_any_other_text_is_no_bill_number(text: str) -> None:
    assert found_number(text, "NVXA") is None
    assert not is_bill_key(bill_key("NVXA", text))


def test_a_vessels_key_is_no_bills() -> None:
    key = vessel_key(Shipment(imo_number="9074729", carrier_scac="OCNX", voyage_number="026E"))
    assert is_vessel_key(key)
    assert not is_vessel_key(bill_key("VESS", "EL:1"))
    assert key != vessel_key(Shipment(imo_number="9074729", carrier_scac="SLTC", voyage_number="026E"))


def test_a_partys_topic_is_under_its_own_scac() -> None:
    assert Party("OCNX", aliases=("OCNY",)).topic == "snp.party.OCNX"


SOUND = event("1H", container_numbers=("CSQU3054383",), imo_number="9074729")


@pytest.mark.parametrize(
    ("scac", "ok"), [("NVXA", True), ("AB", True), ("A", False), ("ABCDE", False), ("AB1", False), ("nvxa", False)]
)
def test_a_scac_has_two_to_four_letters(scac: str, ok: bool):
    assert is_valid_scac(scac) is ok


@pytest.mark.parametrize(
    ("container", "ok"),
    [
        ("CSQU3054383", True),
        ("CSQU305438", True),
        ("CSQU3054384", False),
        ("CSQ3054383", False),
        ("CSQU30543", False),
        ("", False),
    ],
)
def test_a_container_has_its_check_digit_or_none(container: str, ok: bool):
    assert is_valid_container(container) is ok


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("CSQU3054383 CSQU3054383", "CSQU3054383"),
        ("CSQU305438 CSQU3054383", "CSQU3054383"),
        ("CSQU CSQU3054383", "CSQU3054383"),
        ("MSKU 5008", "MSKU0005008"),
        ("MSKU5008 MSKU0005008", "MSKU0005008"),
        ("CSQU3054383 CSQU3054384", "CSQU3054383CSQU3054384"),
        ("CSQU3054384 CSQU3054384", "CSQU3054384CSQU3054384"),
        ("CSQU305438 CSQU305438", "CSQU305438CSQU305438"),
        ("CSQU3054383 CSQU305439", "CSQU3054383CSQU305439"),
        ("CSQU3054383 MSKU9070323", "CSQU3054383MSKU9070323"),
        ("CSQU 54383", "CSQU54383"),
        ("3054383", "3054383"),
        ("CSQU305438", "CSQU305438"),
    ],
)
def test_a_container_given_twice_or_without_zeros_is_the_one_that_its_check_digit_proves(given: str, read: str):
    assert container_clean(given) == read


def test_a_number_that_begins_with_its_own_scac_may_stand_for_another():
    assert key_without_prefix("NVXANVXAHBL1") == "NVXAHBL1"
    assert key_without_prefix("NV  NVHBL1") == "NV  HBL1"
    for key in ("NVXAHBL1", "NVXANVXA", "NVXANVXBHBL1", "vessel:9074729:OCNX:026E"):
        assert key_without_prefix(key) is None


def test_a_container_is_the_same_with_and_without_its_check_digit():
    assert container_key("csqu 305438-3") == container_key("CSQU305438") == "CSQU305438"
    assert container_key("BOX 17") == "BOX17"
    assert container_clean(" nc ") is None


@pytest.mark.parametrize(
    ("number", "ok"), [("9074729", True), ("9074728", False), ("907472", False), ("IMO9074729", False)]
)
def test_an_imo_number_has_its_own_digit(number: str, ok: bool):
    assert is_valid_imo_number(number) is ok


def test_a_port_has_four_digits():
    assert is_valid_port("2704")
    assert not is_valid_port("USLAX")


def test_only_a_port_of_unlading_may_be_foreign():
    """Cargo that stays aboard (FROB) is unladen at a Schedule K port, five digits."""
    assert not has_invalid_identifier(with_fields(SOUND, port_of_unlading="57035"))
    assert not has_invalid_identifier(with_fields(SOUND, in_bond_destination="3901"))
    assert has_invalid_identifier(with_fields(SOUND, transaction_port="57035"))
    assert has_invalid_identifier(with_fields(SOUND, in_bond_destination="57035"))


@pytest.mark.parametrize(("ten", "digit"), [("ABC1234567", 6), ("9999999999", 0), ("AB10004521", 5)])
def test_entry_check_digits_are_those_of_the_table(ten: str, digit: int):
    assert entry_check_digit(ten) == digit
    assert is_valid_entry_number(f"{ten}{digit}", "01")
    assert not is_valid_entry_number(f"{ten}{(digit + 1) % 10}", "01")


def test_in_bond_and_form_numbers_are_no_entry_numbers_and_not_checked():
    assert is_valid_entry_number("123456789", "61")
    assert is_valid_entry_number("FORM77", None)
    assert not is_valid_entry_number("123456789", "01")
    assert not is_valid_entry_number("00012345678", "01")


def test_one_doubtful_identifier_makes_the_event_doubtful():
    assert not has_invalid_identifier(SOUND)
    for change in (
        {"scac": "N1"},
        {"carrier_scac": "X"},
        {"imo_number": "1234568"},
        {"port_of_unlading": "27"},
        {"transaction_port": "LAX"},
        {"container_numbers": ("CSQU3054380",)},
        {"other_container_numbers": ("CSQU3054380",)},
        {"entry_type": "01", "entry_number": "1"},
    ):
        assert has_invalid_identifier(with_fields(SOUND, **change)), change
