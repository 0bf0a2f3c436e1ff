"""Slips that people make in tables, and what they are told: in words, with what to write instead."""

from __future__ import annotations

import pytest

from router.feeds.tables import read_filings, read_parties

MADE_AT = 1_784_031_120_000


@pytest.mark.parametrize("header", ["SCAC,Contact Phone", "scac, contact-phone", "Scac,CONTACT_PHONE"])
def test_headers_as_people_write_them(header: str) -> None:
    found = read_parties([f"{header}\nNVXA,+1 555 0101\n".encode()], "p.csv")
    assert [party.contact_phone for party in found.values] == ["+1 555 0101"]
    assert found.notes == []


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (b"TOOLONG,", "p.csv: row 2, column 'scac': a SCAC has two to four letters (it says 'TOOLONG')"),
        (b",Name", "p.csv: row 2, column 'scac': "),
    ],
)
def test_what_a_cell_has_to_look_like_is_said_in_words(row: bytes, told: str) -> None:
    (problem,) = read_parties([b"scac,name\n" + row + b"\n"], "p.csv").problems
    assert str(problem).startswith(told)
    assert "pattern" not in str(problem)


@pytest.mark.parametrize("separator", [";", "|"])
def test_another_separator_is_named(separator: str) -> None:
    table = "scac,bill_of_lading\nACME,HBL1\n".replace(",", separator).encode()
    (problem,) = read_filings([table], "f.csv", MADE_AT)
    assert (
        str(problem) == f"f.csv: column 'scac': the columns are separated by {separator!r}: save the file with commas"
    )
