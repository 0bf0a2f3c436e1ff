"""Tables as people have them. Valid rows are read; a problem names file, row and column, and the right form."""

from __future__ import annotations

import json
from string import ascii_uppercase
from typing import Any, get_args

import pytest

from router.errors import InputError
from router.feeds.bounded_input import blocks
from router.feeds.forms import (
    DispositionForm,
    FilingForm,
    LineForm,
    PartyForm,
    ProcedureForm,
    ShipmentForm,
    SnapshotForm,
)
from router.feeds.tables import read_bills, read_filings, read_parties, read_procedures, read_sailings
from router.model.eastern import iso
from router.model.inputs import (
    Disposition,
    Filing,
    Shipment,
    Snapshot,
    SnapshotHold,
    disposition_fields,
    filing_fields,
)
from router.model.registry_values import (
    MOST_ALIASES,
    MOST_LINES,
    PARTY_STATUSES,
    Line,
    Party,
    PortCall,
    PortProcedure,
    Sailing,
)
from tests.feeds.samples import CAMIR_MANIFEST, RECEIVED_AT

PARTIES = b"""id,name,roles,status,contact_name,contact_phone,contact_email,aliases,production_group
OCNX,"Ocean Exemplar, Inc.",carrier,live,Ana,+1 (212) 555-0100,ana@example.com,OCNY;OCNZ,
nvxa,NVX,nvocc;Filer,,,,,,snp.NVXA.prod
"""
SAILINGS = b"""sailing_id,imo_number,vessel_name,arrival_date,scac,role,voyage_number,scope
S1,9074729,Ocean Exemplar,2026-07-28,OCNX,operator,026E,
S2,9074729,Ocean Exemplar,2026-09-28,OCNX,operator,028E,all
S1,9074729,Ocean Exemplar,2026-07-28,SLTC,charterer,SL026,
"""
BILLS = b"""scac,bill_of_lading,bill_type,snps,master_bill,status_at,manifested_quantity,released_quantity,holds
NVXA,HBL1,30,OCNX;SLTC,OCNXMB1,2026-07-01T08:00,120,,1H/CSQU3054383/60/2026-06-30T10:00;2H///
NVXA,HBL2,House,,,2026-07-01T08:00:00Z,5,5,
"""


def parties(content: bytes) -> tuple[list[Party], list[str], list[str]]:
    result = read_parties([content], "parties.csv")
    return result.values, [str(problem) for problem in result.problems], result.notes


def sailings(content: bytes) -> tuple[list[Sailing], list[str]]:
    result = read_sailings([content], "sailings.csv")
    return result.values, [str(problem) for problem in result.problems]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\r\n"])
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n"])
def test_a_party_sheet_is_read(start: bytes, line_break: bytes):
    values, problems, notes = parties(start + PARTIES.replace(b"\n", line_break))
    assert (problems, notes) == ([], [])
    assert values[0] == Party(
        "OCNX",
        "Ocean Exemplar, Inc.",
        ("carrier",),
        "live",
        "Ana",
        "+1 (212) 555-0100",
        "ana@example.com",
        ("OCNY", "OCNZ"),
    )
    assert values[1] == Party("NVXA", "NVX", ("nvocc", "filer"), production_group="snp.NVXA.prod")


def test_the_same_in_json_lines():
    rows: list[dict[str, Any]] = [
        {"id": "OCNX", "aliases": ["OCNY"], "roles": ["carrier"], "status": "external"},
        {"id": "NVXA"},
    ]
    values, problems, _ = parties("\n".join(map(json.dumps, rows)).encode())
    assert problems == []
    assert values == [Party("OCNX", roles=("carrier",), status="external", aliases=("OCNY",)), Party("NVXA")]


def test_a_row_with_a_fault_names_row_and_column_and_the_others_are_read():
    content = PARTIES + b"TOOLONG,X,,,,,,,\nSLTC,X,,asleep,,,,,\nABCD,,,,,,,,,,,extra\nEFGH,X,,,,,,,\n"
    values, problems, _ = parties(content)
    assert [party.id for party in values] == ["OCNX", "NVXA", "EFGH"]
    assert problems[0].startswith("parties.csv: row 4, column 'id': ")
    assert problems[1].startswith("parties.csv: row 5, column 'status': ")
    assert problems[2].startswith("parties.csv: row 6: 12 cells under 9 columns")


def test_a_scac_belongs_to_one_party():
    rows = b"OCNY,X,,,,,,,\nSLTC,X,,,,,,OCNZ,\nnvxa,again,,,,,,,\n"
    values, problems, _ = parties(PARTIES + rows)
    assert [party.id for party in values] == ["OCNX", "NVXA"]
    assert [problem.partition(": ")[2] for problem in problems] == [
        "row 4, column 'id': OCNY already stands for the party OCNX",
        "row 5, column 'aliases': OCNZ already stands for the party OCNX",
        "row 6, column 'id': NVXA has a row already",
    ]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (b"id,name,ID", "parties.csv: column 'id': the header has this column more than once"),
        (b"name,status", "parties.csv: column 'id': the column is missing"),
    ],
)
def test_a_wrong_header_names_the_column(header: bytes, problem: str):
    values, problems, _ = parties(header + b"\nOCNX,1,2\n")
    assert values == []
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_unknown_columns_and_formulas_are_noted_and_stop_nothing():
    values, problems, notes = parties(b'id,name,colour\nOCNX,"=1+1",red\nNVXA,-5,blue\nSLTC,@you,\n')
    assert problems == []
    assert [party.name for party in values] == ["=1+1", "-5", "@you"]
    assert notes == [
        "parties.csv: row 2, column 'name': kept as text, though it looks like a formula",
        "parties.csv: unknown columns are ignored: 'colour'",
        "parties.csv: row 4, column 'name': kept as text, though it looks like a formula",
    ]


def test_another_encoding_is_read_and_noted():
    values, _, notes = parties("id,name\nOCNX,Océan\n".encode("latin-1"))
    assert values[0].name == "Océan"
    assert notes == ["parties.csv: row 2: not UTF-8, read as Latin-1"]


def test_an_unclosed_quote_is_a_problem_and_the_rows_after_its_field_are_read():
    values, problems, _ = parties(b'id,name\nOCNX,"open\n' + b"A" * 200_000 + b"\nNVXA,X\n")
    assert [party.id for party in values] == ["NVXA"]
    assert len(problems) == 1
    assert problems[0].startswith("parties.csv: row 2: the row cannot be read")


def test_rows_of_a_sailing_may_be_in_any_order():
    values, problems = sailings(SAILINGS)
    assert problems == []
    assert values == [
        Sailing(
            "S1",
            "9074729",
            "OCEAN EXEMPLAR",
            (PortCall(None, "2026-07-28"),),
            (Line("OCNX", "operator", "026E", "holds"), Line("SLTC", "charterer", "SL026", "own")),
        ),
        Sailing(
            "S2",
            "9074729",
            "OCEAN EXEMPLAR",
            (PortCall(None, "2026-09-28"),),
            (Line("OCNX", "operator", "028E", "all"),),
        ),
    ]


def test_a_sailing_may_have_ports_of_call():
    rows = (
        b"sailing_id,imo_number,scac,role,ports\nS1,9074729,OCNX,operator,2704;2811\nS1,9074729,SLTC,charterer,2704\n"
    )
    (sailing,), problems = sailings(rows)
    assert problems == []
    assert sailing.ports == ("2704", "2811")
    assert "column 'ports'" in sailings(rows.replace(b"2704\n", b"Los Angeles\n"))[1][0]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (
            b"S1,9074729,Ocean Exemplar,2026-07-28,ABCD,operator,1,",
            "row 5, column 'role': sailing S1 has two operators",
        ),
        (b"S1,9074729,Other,2026-07-28,ABCD,charterer,1,", "row 5, column 'vessel_name': "),
        (b"S1,1234567,Ocean Exemplar,2026-07-28,ABCD,charterer,1,", "row 5, column 'imo_number': "),
        (b"S1,9074729,Ocean Exemplar,2026-08-29,ABCD,charterer,1,", "row 5, column 'arrival_date': "),
        (b"S1,9074729,Ocean Exemplar,2026-07-28,SLTC,charterer,OTHER,", "row 5, column 'scac': "),
        (b"S1,9074729,Ocean Exemplar,28.7.2026,ABCD,charterer,1,", "row 5, column 'arrival_date': "),
        (b"S1,9074729,Ocean Exemplar,2026-07-28,ABCD,passenger,1,", "row 5, column 'role': "),
    ],
)
def test_a_sailing_with_a_wrong_row_is_left_out_whole(row: bytes, problem: str):
    values, problems = sailings(SAILINGS + row + b"\n")
    assert [sailing.sailing_id for sailing in values] == ["S2"]
    assert problems[0].startswith(f"sailings.csv: {problem}")


def test_a_sailing_may_have_a_row_for_each_port_call_with_its_date():
    values, problems = sailings(
        b"sailing_id,imo_number,arrival_date,ports,scac,role,voyage_number,first_lading_date\n"
        b"S1,9074729,2026-07-31,2811,OCNX,operator,026E,2026-07-12\n"
        b"S1,9074729,2026-07-28,2704,OCNX,operator,026E,2026-07-12\n"
        b"S1,9074729,2026-07-28,2704,SLTC,charterer,S26E,2026-07-12\n"
    )
    assert problems == []
    (sailing,) = values
    assert sailing.calls == (PortCall("2704", "2026-07-28"), PortCall("2811", "2026-07-31"))
    assert [line.scac for line in sailing.lines] == ["OCNX", "SLTC"]
    assert sailing.first_lading_date == "2026-07-12"


def test_the_same_row_twice_is_one_line():
    values, problems = sailings(SAILINGS + SAILINGS.splitlines()[1] + b"\n")
    assert problems == []
    assert len(values[0].lines) == 2


def test_filings_are_a_stream_of_filings_and_problems():
    content = b"scac,bill_of_lading,bill_type,manifested_quantity,container_numbers,original_bill\n"
    content += b"NVXA,hbl1,M,120,csqu 305438-3;NC,SLTCORIG\nNVXA,,,1,,\nNVXA,HBL3,,lots,,\n"
    first, second, third = read_filings([content], "filings.csv", RECEIVED_AT)
    assert first == Filing(
        "NVXA",
        "HBL1",
        "M",
        shipment=Shipment(original_bill="SLTCORIG", container_numbers=("CSQU3054383",)),
        manifested_quantity=120,
        received_at=RECEIVED_AT,
        source="filings.csv:row 2",
    )
    assert isinstance(second, InputError)
    assert isinstance(third, InputError)
    assert second.place == "filings.csv: row 3, column 'bill_of_lading'"
    assert third.place == "filings.csv: row 4, column 'manifested_quantity'"


def test_a_snapshot_has_its_holds():
    first, second = read_bills([BILLS], "bills.csv", RECEIVED_AT)
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert iso(first.status_at) == "2026-07-01T12:00:00Z"
    assert first.filing.snps == ("OCNX", "SLTC")
    placed_at = first.holds[0].placed_at
    assert placed_at is not None
    assert iso(placed_at) == "2026-06-30T14:00:00Z"
    assert first.holds == (SnapshotHold("1H", "CSQU3054383", 60, placed_at), SnapshotHold("2H", None, None, None))
    assert (second.filing.bill_type, second.released_quantity, second.holds) == ("house", 5, ())


def test_a_hold_with_too_many_parts_is_a_problem():
    (problem,) = read_bills(
        [b"scac,bill_of_lading,status_at,holds\nNVXA,H1,2026-07-01,1H/A/1/2/3\n"], "b.csv", RECEIVED_AT
    )
    assert isinstance(problem, InputError)
    assert "code/container/quantity/placed_at" in problem.reason


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("2062-07-01T08:12,,", "status_at"),
        ("2026-07-01,,", "status_at"),
        ("2026-07-01T08:12,2026-07-02T08:12,", "release_posted_at"),
        ("2026-07-01T08:12,,1H///2026-07-02T08:12", "holds"),
    ],
)
def test_a_snapshot_of_the_future_or_with_later_times_is_refused(row: str, column: str) -> None:
    """After a snapshot of 2062 no hold would count that CBP posts before."""
    header = "scac,bill_of_lading,status_at,release_posted_at,holds\n"
    (problem,) = read_bills([f"{header}NVXA,H1,{row}\n".encode()], "b.csv", RECEIVED_AT)
    assert isinstance(problem, InputError)
    assert problem.place == f"b.csv: row 2, column {column!r}"


def test_a_port_has_one_procedure() -> None:
    table = b"port,procedure,telephone\n2704,Fax the list,+1-310-555-0100\n2709,,\n2704,Call us,\n27O4,Call us,\n"
    values, problems, *_ = read_procedures([table], "p.csv")
    assert values == [PortProcedure("2704", "Fax the list", "+1-310-555-0100")]
    places = ["p.csv: row 3, column 'procedure'", "p.csv: row 4, column 'port'", "p.csv: row 5, column 'port'"]
    assert [problem.place for problem in problems] == places


# Limits


def test_a_row_with_very_many_faults_names_a_few_and_counts_the_others() -> None:
    (problem,) = read_parties([b'{"id":"OCNX","aliases":[' + b"1," * 100_000 + b"1]}\n"], "FILE").problems
    assert problem.reason.endswith("; and 99993 more")
    assert len(problem.reason) < 2000


def test_a_header_of_very_many_columns_is_read_quickly() -> None:
    header = b",".join(b"column%d" % number for number in range(60_000))
    assert [party.id for party in read_parties([b"id," + header + b"\nOCNX\n"], "FILE").values] == ["OCNX"]


@pytest.mark.parametrize("column", ["snps", "container_numbers"])
def test_a_filing_with_more_names_than_any_bill_has_is_refused(column: str) -> None:
    names = ";".join(f"N{number}" for number in range(1001))
    (read,) = read_filings([f"scac,bill_of_lading,{column}\nNVXA,H1,{names}\n".encode()], "FILE", 5)
    assert isinstance(read, InputError)
    assert column in str(read)


def test_parties_and_sailings_are_bounded() -> None:
    codes = [first + second for first in ascii_uppercase for second in ascii_uppercase][: MOST_LINES + 1]
    rows = [f"S1,9074729,,,{code},charterer,,\n" for code in codes]
    head = SAILINGS.decode().partition("\n")[0] + "\n"
    assert len(sailings((head + "".join(rows[:MOST_LINES])).encode())[0]) == 1
    (problem,) = sailings((head + "".join(rows)).encode())[1]
    assert "more than 500 lines aboard" in problem
    (problem,) = parties(f"id,aliases\nAA,{';'.join(codes[1 : MOST_ALIASES + 2])}\n".encode())[1]
    assert "at most 100" in problem


def test_a_row_with_unclosed_quotes_is_bounded_and_the_others_are_read() -> None:
    """A row continues from line to line while quotes are open, without a limit to the end of the file."""
    table = b"scac,bill_of_lading\n" + 210_000 * b'"a\n",' + b'"\nNVXA,H1\n'
    found = list(read_filings(blocks([table]), "f.csv", 5))
    assert "more than 1,048,576 bytes; a quote may be missing" in str(found[0])
    assert [one.bill_of_lading for one in found if isinstance(one, Filing)] == ["H1"]


def test_a_form_has_every_field_of_its_value():
    """Except for fields that the reader adds. A field missing in the form would be empty for every file."""
    assert set(PartyForm.model_fields) == set(Party._fields)
    assert set(ProcedureForm.model_fields) == set(PortProcedure._fields)
    assert set(LineForm.model_fields) == set(Line._fields) | (set(Sailing._fields) - {"lines", "calls"}) | {
        "arrival_date",
        "ports",
    }
    assert set(ShipmentForm.model_fields) == set(Shipment._fields)
    assert set(FilingForm.model_fields) == set(filing_fields(Filing("NVXA", "H1"))) - {
        *("received_at", "source", "declared_in"),
    }
    assert set(SnapshotForm.model_fields) == set(FilingForm.model_fields) | (set(Snapshot._fields) - {"filing"})
    fields = set(disposition_fields(Disposition("NVXA", "H1", "1H", 0)))
    assert set(DispositionForm.model_fields) == fields - {"retry_of", "transmitted_at"}
    assert get_args(PartyForm.model_fields["status"].annotation) == PARTY_STATUSES


# Slips


@pytest.mark.parametrize("header", ["ID,Contact Phone", "id, contact-phone", "Id,CONTACT_PHONE"])
def test_headers_may_have_capitals_blanks_and_hyphens(header: str) -> None:
    found = read_parties([f"{header}\nNVXA,+1 555 0101\n".encode()], "p.csv")
    assert [party.contact_phone for party in found.values] == ["+1 555 0101"]
    assert found.notes == []


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (b"TOOLONG,", "p.csv: row 2, column 'id': a party's id is a SCAC (two to four letters), a FIRMS code (four"),
        (b",Name", "p.csv: row 2, column 'id': "),
    ],
)
def test_a_wrong_cell_is_described_in_words(row: bytes, told: str) -> None:
    (problem,) = read_parties([b"id,name\n" + row + b"\n"], "p.csv").problems
    assert str(problem).startswith(told)
    assert "pattern" not in str(problem)


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("arrival_date,07/28/2026", "'07/28/2026' is not a date such as 2026-07-28 (year, month, day)"),
        ("arrival_date,1926-07-28", "'1926-07-28' is not within the years 2000 to 2100"),
        (
            "port_of_unlading,401",
            "a port of unlading has four digits (Schedule D, 0401), or five abroad (Schedule K) (it is '401')",
        ),
        ("bill_type,hause", "'hause' is none of empty, house, master, regular, nor a code of CBP's such as 30"),
        ("in_bond_destination,390", "a port is a Schedule D code of four digits (it is '390')"),
        ('manifested_quantity,"1,200"', "write a whole number in digits only, such as 1200 (it is '1,200')"),
        (
            "bill_of_lading,HBL 1",
            "'HBL 1' is not a bill number of one to twelve letters and digits; write 'HBL1', without its SCAC, blanks "
            "and dashes",
        ),
        (
            "bill_of_lading,1.23457E+11",
            "'1.23457E+11' was changed by a spreadsheet: format the column as text and enter the number again",
        ),
        ("bill_of_lading,", "it is missing"),
    ],
)
def test_a_wrong_cell_of_a_filing_is_described_in_words(cell: str, told: str) -> None:
    column, _, value = cell.partition(",")
    number = "" if column == "bill_of_lading" else ",bill_of_lading"
    row = f"scac{number},{column}\nNVXA{',HBL1' if number else ''},{value}\n"
    (problem,) = read_filings([row.encode()], "f.csv", RECEIVED_AT)
    assert str(problem) == f"f.csv: row 2, column {column!r}: {told}"


def test_a_number_that_begins_with_its_scac_is_kept_and_noted() -> None:
    notes: list[str] = []
    (filing,) = read_filings([b"scac,bill_of_lading\nNVXA,NVXAHBL1\n"], "f.csv", RECEIVED_AT, note=notes.append)
    assert isinstance(filing, Filing)
    assert filing.bill_of_lading == "NVXAHBL1"
    assert notes == ["f.csv: row 2: the number NVXAHBL1 begins with its SCAC: is it part of it?"]


def test_a_group_of_another_partys_prefix_is_refused() -> None:
    (problem,) = read_parties([b"id,production_group\nNVXA,snp.NVXB.gate\n"], "p.csv").problems
    assert str(problem) == (
        "p.csv: row 2, column 'production_group': 'snp.NVXB.gate' does not begin with snp.NVXA., as this party's "
        "consumer groups must"
    )


BILL: dict[str, Any] = {
    "scac": "NVXA", "bill_of_lading": "HBL1", "bill_type": "house", "snps": ["SLTC"], "master_bill": "OCNXMB1",
    "original_bill": "SLTCO1", "carrier_scac": "OCNX", "imo_number": "9074729", "vessel_name": "OCEAN",
    "voyage_number": "026E", "manifest_sequence_number": "1", "port_of_unlading": "2704", "arrival_date": "2026-07-28",
    "in_bond_destination": "3901", "manifested_quantity": 10, "container_numbers": ["CSQU3054383"],
    "status_at": "2026-07-13T08:12", "released_quantity": 5, "release_posted_at": "2026-07-13T08:10",
    "holds": ["1H/CSQU3054383/5/2026-07-13T08:00"],
}  # fmt: skip
DAMAGED = [
    "\x07",
    "A\x00B",
    [[]],
    {},
    {"a": 1},
    float("nan"),
    float("inf"),
    -1,
    10**30,
    1.5,
    True,
    ["\x01"],
    [None],
    [{}],
]


@pytest.mark.parametrize("name", sorted(BILL))
def test_no_damaged_value_of_a_bill_counts_as_an_unknown_one(name: str) -> None:
    assert set(BILL) == set(SnapshotForm.model_fields)
    for value in DAMAGED:
        (problem,) = read_bills([json.dumps(BILL | {name: value}).encode()], "F", RECEIVED_AT)
        assert isinstance(problem, InputError), value


def test_a_wrong_choice_names_the_choices() -> None:
    (problem,) = read_parties([b"id,status\nNVXA,active\n"], "p.csv").problems
    assert str(problem) == (
        "p.csv: row 2, column 'status': it must be 'certifying', 'live', 'suspended' or 'external' (it is 'active')"
    )


@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_tables_of_other_countries_spreadsheets_are_read(separator: str) -> None:
    table = '\ufeffid,name,aliases\r\nACME,Acme,"ACMA;ACMB"\r\n'.replace(",", separator).encode()
    (party,) = read_parties([table], "p.csv").values
    assert (party.id, party.name, party.aliases) == ("ACME", "Acme", ("ACMA", "ACMB"))


JSON_EVENT = b'{"scac":"NVXA","bill_of_lading":"HBL1","disposition_code":"1H","action_at":"2026-07-14T08:00"}'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (JSON_EVENT, "row 1: these are events, for `snp-router ingest`"),
        (b"scac,bill_of_lading,snps\nNVXA,HBL1,SLTC\n", "these are filings, for `snp-router import filings`"),
        (b"scac,bill_of_lading,status_at\n", "these are the state of bills, for `snp-router import bills`"),
        (b"sailing_id,scac,role\nS1,OCNX,operator\n", "these are sailings, for `snp-router import sailings`"),
        (
            b"ISA*00*          *00*",
            "these are messages, for `snp-router ingest`; of manifests (309, MI)",
        ),
        (CAMIR_MANIFEST, "these are messages, for `snp-router ingest`; of manifests (309, MI)"),
        (b'[{"scac": "NVXA"}]', "this is a JSON array: write one object a line"),
        (b"PK\x03\x04\x14\x00", "this is an Excel workbook or a zip archive: save the sheet as CSV"),
    ],
)
def test_another_commands_file_is_refused_and_the_command_named(content: bytes, told: str) -> None:
    found = read_parties([content], "p")
    assert found.values == []
    (problem,) = found.problems
    assert str(problem).startswith(("p: " + told, "p: row 1: " + told))


def test_events_are_not_imported_as_filings() -> None:
    (problem,) = read_filings([JSON_EVENT], "f.jsonl", RECEIVED_AT)
    assert "for `snp-router ingest`" in str(problem)


def test_unknown_columns_are_noted_once() -> None:
    found = read_parties([b"id,colour,size\nNVXA,red,1\nSLTC,blue,2\n"], "p.csv")
    assert found.notes == ["p.csv: unknown columns are ignored: 'colour', 'size'"]
