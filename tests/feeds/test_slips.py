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
        (b"TOOLONG,", "p.csv: row 2, column 'scac': a SCAC has two to four letters (it is 'TOOLONG')"),
        (b",Name", "p.csv: row 2, column 'scac': "),
    ],
)
def test_what_a_cell_has_to_look_like_is_said_in_words(row: bytes, told: str) -> None:
    (problem,) = read_parties([b"scac,name\n" + row + b"\n"], "p.csv").problems
    assert str(problem).startswith(told)
    assert "pattern" not in str(problem)


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("arrival_date,07/28/2026", "'07/28/2026' is not a date such as 2026-07-28 (year, month, day)"),
        ('manifested_quantity,"1,200"', "write a whole number in digits only, such as 1200 (it is '1,200')"),
        ("bill_of_lading,HBL 1", "a bill number has at most 50 characters, without blanks (it is 'HBL 1')"),
        ("bill_of_lading,", "it is missing"),
    ],
)
def test_what_a_filing_says_wrong_is_told_in_words(cell: str, told: str) -> None:
    column, _, value = cell.partition(",")
    number = "" if column == "bill_of_lading" else ",bill_of_lading"
    row = f"scac{number},{column}\nNVXA{',HBL1' if number else ''},{value}\n"
    (problem,) = read_filings([row.encode()], "f.csv", MADE_AT)
    assert str(problem) == f"f.csv: row 2, column {column!r}: {told}"


def test_a_choice_names_what_can_be_chosen() -> None:
    (problem,) = read_parties([b"scac,status\nNVXA,active\n"], "p.csv").problems
    assert str(problem) == (
        "p.csv: row 2, column 'status': it must be 'certifying', 'live', 'suspended' or 'external' (it is 'active')"
    )


@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_a_table_as_the_spreadsheets_of_other_countries_save_it(separator: str) -> None:
    table = '\ufeffscac,name,aliases\r\nACME,Acme,"ACMA;ACMB"\r\n'.replace(",", separator).encode()
    (party,) = read_parties([table], "p.csv").values
    assert (party.scac, party.name, party.aliases) == ("ACME", "Acme", ("ACMA", "ACMB"))


EVENT = b'{"scac":"NVXA","bill_of_lading":"HBL1","disposition_code":"1H","action_at":"2026-07-14T08:00"}'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (EVENT, "row 1: these are events, for `snp-router ingest`"),
        (b"scac,bill_of_lading,snps\nNVXA,HBL1,SLTC\n", "these are filings, for `snp-router import filings`"),
        (b"scac,bill_of_lading,status_at\n", "these are the state of bills, for `snp-router import bills`"),
        (b"sailing_id,scac,role\nS1,OCNX,operator\n", "these are sailings, for `snp-router import sailings`"),
        (b"ISA*00*          *00*", "these are CBP's messages, for `snp-router ingest`"),
        (b'[{"scac": "NVXA"}]', "this is a JSON array: write one object a line"),
        (b"PK\x03\x04\x14\x00", "this is an Excel workbook or a zip archive: save the sheet as CSV"),
    ],
)
def test_what_is_for_another_command_registers_nobody_and_names_that_command(content: bytes, told: str) -> None:
    found = read_parties([content], "p")
    assert found.values == []
    (problem,) = found.problems
    assert str(problem).startswith(("p: " + told, "p: row 1: " + told))


def test_holds_are_not_taken_in_as_filings() -> None:
    (problem,) = read_filings([EVENT], "f.jsonl", MADE_AT)
    assert "for `snp-router ingest`" in str(problem)


def test_columns_of_others_are_named_once() -> None:
    found = read_parties([b"scac,colour,size\nNVXA,red,1\nSLTC,blue,2\n"], "p.csv")
    assert found.notes == ["p.csv: unknown columns are ignored: 'colour', 'size'"]
