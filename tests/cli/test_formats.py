"""`--format` of every command that prints a table."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from router.cli.main import LISTED, ListedGroup, load_command
from router.cli.printing import CsvPrinter
from router.harmless_text import csv_cell
from tests.cli.conftest import BILL, Command, event_line
from tests.cli.test_main import COMMANDS

ONE_RESULT = {
    ("bill", "show"), ("check",), ("dead-letters", "accept"), ("dead-letters", "retry"), ("dead-letters", "show"),
    ("hold", "clear"), ("hold", "lift"), ("hold", "place"), ("import", "bills"), ("import", "filings"),
    ("import", "parties"), ("import", "procedures"), ("import", "sailings"), ("ingest",), ("outage", "change"),
    ("outage", "checklist"), ("outage", "declare"), ("outage", "end"), ("paper", "add"), ("paper", "match"),
    ("party", "show"), ("provision", "apply"), ("provision", "revoke"), ("release",), ("resync",), ("rules", "apply"),
    ("run",),
}  # fmt: skip
"""Commands with --format that print one result and no table."""

ON_THE_LOG = [
    ("audit", "verify"), ("certify", "SLTC"), ("contacts", "--port", "2704"), ("dead-letters", "list"),
    ("explain", BILL), ("handover", "--since", "1h"),
    ("lost-input", "list"), ("outage", "list"), ("paper", "list"), ("paper", "matches"),
    ("parties",), ("rules", "show"), ("sailings",), ("tail", "--party", "NVXA", "--until-end"),
    ("tail", "--timeline", "--until-end"), ("unread",), ("waiting", "list"), ("webhooks", "status"),
]  # fmt: skip
"""Table commands that a log alone answers."""
OF_OTHER_SHAPE = {"explain", "handover", "rules", "sailings", "unread"}
"""Commands whose table has several rows for one record."""


def format_of(words: tuple[str, ...]) -> str | None:
    command: Any = load_command(words[0], LISTED[words[0]])
    for word in words[1:]:
        command = command.load(word) if isinstance(command, ListedGroup) else command.commands[word]
    return next((one.metavar for one in command.params if "--format" in one.opts), None)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_with_a_table_prints_it_as_csv_too(words: tuple[str, ...]) -> None:
    offered = format_of(words)
    assert offered in ((None, "table|json") if words in ONE_RESULT or offered is None else ("table|json|csv",))


@pytest.mark.parametrize("words", ON_THE_LOG, ids=" ".join)
def test_csv_has_all_rows(routed: Command, words: tuple[str, ...]) -> None:
    code = 1 if words[0] == "certify" else 0
    shown = routed(*words, "--format", "csv", code=code).stdout
    rows = list(csv.reader(io.StringIO(shown)))
    assert len({len(row) for row in rows}) <= 1, "every row has every column"
    if words[0] not in OF_OTHER_SHAPE:
        records = routed(*words, "--format", "json", code=code).stdout.splitlines()
        assert len(rows) == len(records) + bool(records)
        assert not records or rows[0] == list(json.loads(records[0]))


def test_csv_of_sailings_has_a_row_for_each_line_aboard(routed: Command) -> None:
    rows = list(csv.DictReader(io.StringIO(routed("sailings", "--format", "csv").stdout)))
    assert [(row["sailing_id"], row["scac"]) for row in rows] == [
        ("EXEMPLAR-026E", scac) for scac in ("OCNX", "SLTC", "HARX")
    ]


def test_csv_of_an_explanation_has_a_row_for_each_ground(routed: Command) -> None:
    rows = list(csv.DictReader(io.StringIO(routed("explain", BILL, "--format", "csv").stdout)))
    assert [row["recipient"] for row in rows].count("SLTC") == 4
    assert {row["last_notice"] for row in rows if row["recipient"] == "SLTC"} == {"release"}


@pytest.mark.parametrize("words", [("bill", "show", BILL), ("check",), ("release", BILL)], ids=" ".join)
def test_a_command_without_a_table_refuses_csv_and_says_what_to_give(routed: Command, words: tuple[str, ...]) -> None:
    assert "prints no table: give --format table or --format json" in routed(*words, "--format", "csv", code=2).stderr


def test_dead_letters_as_csv_keep_reasons_with_commas_and_quotes_whole(command: Command) -> None:
    command.set_up()
    command("ingest", "-", stdin=event_line(disposition_code='7",X'))
    command("run", "--until-idle")
    (letter,) = command.json("dead-letters", "list")
    (row,) = csv.DictReader(io.StringIO(command("dead-letters", "list", "--format", "csv").stdout))
    assert row["reason"] == letter["reason"]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""), (True, "true"), (12, "12"), (-3, "-3"), (["A", "B"], "A; B"), ([], ""),
        ([{"code": "1H"}], '[{"code": "1H"}]'), ("two\nlines", "two lines"), ("\x1b[2J", "\\u001b[2J"),
        ("=cmd()", "'=cmd()"), ("@SUM(A1)", "'@SUM(A1)"), ("-1+cmd", "'-1+cmd"), ("+1 310 555 0100", "+1 310 555 0100"),
        (["=1", "B"], "'=1; B"),
    ],
)  # fmt: skip
def test_a_cell_is_text_that_no_spreadsheet_takes_for_a_formula(value: object, cell: str) -> None:
    assert csv_cell(value) == cell


def test_followed_records_have_the_columns_of_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    printer = CsvPrinter()
    printer.row({"bill": "A", "code": "1H"})
    printer.row({"bill": "B, C", "other": 1})
    assert capsys.readouterr().out == 'bill,code\nA,1H\n"B, C",\n'
