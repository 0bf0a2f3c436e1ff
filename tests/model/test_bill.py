"""How a bill is written: the key everywhere."""

from __future__ import annotations

import pytest

from router.model.bill import bill_key, is_vessel_key, split_bill_key, vessel_key
from router.model.registry import Party


@pytest.mark.parametrize(
    ("scac", "number", "key"),
    [("NVXA", "HBL000012345", "NVXAHBL000012345"), ("AB", "1", "AB  1"), ("ABC", "XYZ", "ABC XYZ")],
)
def test_a_bill_is_its_issuer_padded_to_four_places_and_its_number(scac: str, number: str, key: str) -> None:
    assert bill_key(scac, number) == key
    assert split_bill_key(key) == (scac, number)


def test_a_vessels_key_is_no_bills() -> None:
    key = vessel_key("9074729", None, "OCNX", "026E")
    assert is_vessel_key(key)
    assert not is_vessel_key(bill_key("VESS", "EL:1"))
    assert key != vessel_key("9074729", None, "SLTC", "026E")


def test_a_partys_topic_is_under_its_own_scac() -> None:
    assert Party("OCNX", aliases=("OCNY",)).topic == "snp.party.OCNX"
