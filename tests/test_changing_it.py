"""docs/changing-it.md is true: its names are there, its counts are right, and two of its changes are made here.

Its paths: tests/test_readme.py."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from router.decide.bill import _APPLY
from router.decide.identity import BillRecord
from router.feeds.bounded_input import DEFAULT_OPTIONS, ReadOptions
from router.feeds.formats import FORMATS, InputFormat, read_dead_letter, read_events
from router.model.inputs import DeadLetter, Disposition

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/changing-it.md").read_text()
PATH = r"`((?:router|schemas|docs|tests|deploy|benchmarks)/[\w./-]*|README\.md)`"
CHANGES = re.findall(r"^## ([^\n]+) \((\d+) files\)\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)


def test_every_name_is_in_the_file_it_is_said_to_be_in() -> None:
    said = [(path, name) for name, path in re.findall(r"`([A-Za-z_]+)` in " + PATH, PAGE)]
    for path, names in re.findall(PATH + r" \(([^)]*)\)", PAGE):
        said += [(path, name.rpartition(".")[2]) for name in re.findall(r"`([\w.]+)`", names)]
    files = [(ROOT / path, name) for path, name in said if not (ROOT / path).is_dir()]
    assert len(files) > 20
    assert [(path, name) for path, name in files if name not in path.read_text()] == []


@pytest.mark.parametrize(("change", "count", "text"), CHANGES, ids=[change for change, _, _ in CHANGES])
def test_a_change_touches_as_many_files_as_it_says(change: str, count: str, text: str) -> None:
    steps = re.findall(r"^\d\. (?:.*\n)(?:   .*\n)*", text, re.MULTILINE)
    assert len({path for step in steps for path in re.findall(PATH, step)}) == int(count), steps


def test_every_record_about_a_bill_is_applied() -> None:
    assert set(_APPLY) == set(get_args(BillRecord))


DECIDING = """
from router.decide.bill import decide
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.model.inputs import Disposition
bill = None
for minute, code in enumerate(("55", "ZH", "ZI", "ZR", "15")):
    event = Disposition("NVXA", "HBL1", code, 1_784_031_120_000 + minute * 60_000, 120)
    bill = decide(bill, event, Context(Registry(), Rules())).bill
    print(bill.status.status)
"""


def test_a_code_is_a_row(tmp_path: Path) -> None:
    """A hold, its removal, and a release with its place in what takes it back: on a copy of the package."""
    shutil.copytree(ROOT / "router", tmp_path / "router", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    table = tmp_path / "router/decide/disposition_codes.csv"
    rows = table.read_text().replace(",1B 1C 4C,", ",1B 1C 4C ZR,")
    rows += "ZH,a new hold,CBP,PLACE,,ZI,,,,,bill,x\nZI,removes it,CBP,LIFT,,ZH,,,,,bill,x\n"
    table.write_text(rows + "ZR,a new release,CBP,RELEASE,,,,,,,bill,x\n")
    done = subprocess.run([sys.executable, "-c", DECIDING], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["ON_FILE", "HELD", "ON_FILE", "RELEASED", "NOT_RELEASED"], done.stderr


def read_ours(
    chunks: Iterable[bytes], source: str, received_at: int, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[Disposition | DeadLetter]:
    """Fixed places: `OURS`, SCAC, code, number."""
    content = b"".join(chunks)
    if len(content) < 11:
        yield DeadLetter("0" * 32, "too short", source, "ours", content, len(content), received_at=received_at)
        return
    scac, code, number = content[4:8].decode(), content[8:10].decode(), content[10:].decode()
    yield Disposition(scac, number, code, 1_784_031_120_000, received_at=received_at, source=source)


def test_a_format_is_a_reader_and_its_place_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = InputFormat("Ours", re.compile(rb"OURS"), read_ours)
    monkeypatch.setitem(FORMATS, "ours", ours)  # type: ignore[attr-defined]
    (event,) = read_events([b"OURSNVXA6HHBL1"], "FILE", 5)
    assert isinstance(event, Disposition)
    assert (event.scac, event.disposition_code, event.bill_of_lading) == ("NVXA", "6H", "HBL1")
    (letter,) = read_events([b"OURS"], "FILE", 5)
    assert isinstance(letter, DeadLetter)
    (again,) = read_dead_letter(letter._replace(content=b"OURSNVXA6HHBL1", content_size=14), 6)
    assert isinstance(again, Disposition)
    assert again.retry_of == letter.id
    (nothing,) = read_events([b"%PDF"], "FILE", 5)
    assert isinstance(nothing, DeadLetter)
    assert "Ours" in nothing.reason
