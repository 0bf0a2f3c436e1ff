"""Progress with total and remaining time, on a terminal only."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from router.cli.printing import LONG_BYTES
from router.demo.story import FILES
from tests.cli.conftest import Command, Terminal, event_line

LONG = (" " * 999 + "\n") * (LONG_BYTES // 1000)
"""Blank lines, which every reader of tables and messages passes over."""
TABLES = {
    "filings": "scac,bill_of_lading\nNVXA,B1\n", "parties": "id\nNVXA\n",
    "sailings": "sailing_id,imo_number,scac,role,voyage_number\nS1,9074729,OCNX,operator,1\n",
}  # fmt: skip
REMAINING = r"\d:\d\d:\d\d|-:--:--"


def plain(seen: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)


@pytest.mark.parametrize("words", [("ingest", "long.jsonl"), *(("import", kind, "long.csv") for kind in TABLES)])
def test_long_input_shows_how_much_of_it_is_read(
    command: Command, terminal: Callable[..., Terminal], words: tuple[str, ...]
) -> None:
    command.write("long.jsonl", LONG + event_line())
    command.write("long.csv", TABLES.get(words[1], "") + LONG)
    shown = terminal(*words)
    assert shown.shows("reading")
    assert shown.shows("/5.0 MB")
    assert re.search(REMAINING, plain(shown.seen))


def test_a_run_until_idle_shows_how_much_of_the_input_is_routed(
    command: Command, terminal: Callable[..., Terminal]
) -> None:
    command("import", "parties", FILES / "parties.csv")
    command("ingest", *sorted(FILES.glob("[1-7]-*")))
    shown = terminal("run", "--until-idle")
    assert shown.shows("bills on the ledger")
    bars = re.findall(rf"routing .*?([\d,]+) of ([\d,]+) records (?:{REMAINING})", plain(shown.seen))
    done, total = bars[-1]
    assert done == total != "0"


@pytest.mark.parametrize(
    "words", [("ingest", "long.jsonl"), ("import", "filings", "long.csv"), ("run", "--until-idle")]
)
def test_off_a_terminal_no_progress_is_shown(command: Command, words: tuple[str, ...]) -> None:
    command.set_up()
    command.write("long.jsonl", LONG + event_line())
    command.write("long.csv", TABLES["filings"] + LONG)
    done = command.process(*words)
    assert not re.search(r"reading|MB|-:--:--|of [\d,]+ records", done.stdout + done.stderr)
