"""What the README and the pages it leads to tell a newcomer to type works as it stands there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.cli import feed_commands
from router.feeds.formats import read_events
from router.feeds.forms import FilingForm, LineForm, PartyForm, ProcedureForm, SnapshotForm
from router.model.inputs import Disposition

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
YOUR_FILES = (ROOT / "docs" / "your-files.md").read_text()


def block(mark: str) -> str:
    """The code block behind a mark."""
    found = re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"README.md has no block marked {mark}"
    return found[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place where the README's relative paths lead to its sample files and nothing else is."""
    (tmp_path / "router").mkdir()
    (tmp_path / "router" / "demo").symlink_to(ROOT / "router" / "demo")
    return tmp_path


def run(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SNP_")} | {"PATH": path}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_the_demo_commands_last_part_shows_the_demo(folder: Path) -> None:
    *_, last = block("demo command").strip().split(" && ")
    assert last == ".venv/bin/snp-router demo"
    shown = run("snp-router demo", folder)
    assert "OCNX" in shown
    assert "hold" in shown.lower()


def test_ten_minutes_from_own_files_to_notices(folder: Path) -> None:
    shown = {command: run(command, folder) for command in block("ten minutes").strip().splitlines()}
    tail = next(text for command, text in shown.items() if " tail " in command)
    assert "NVXAHBL000012345" in tail or "HBL000012345" in tail
    assert all(command.startswith("snp-router ") for command in shown)


def test_the_library_example_runs() -> None:
    found = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "how-it-works.md").read_text(), re.DOTALL)
    assert found
    subprocess.run([sys.executable, "-c", found[1]], check=True, timeout=60)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_folder_that_is_named_is_there(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"`((?:router|schemas|docs|benchmarks|tests|deploy)/[\w/.-]*)`", text):
        assert (ROOT / name).exists(), name
    for target in re.findall(r"\]\(([\w/.-]+)(?:#[\w-]+)?\)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_is_in_the_file_it_is_said_to_be_in(page: Path) -> None:
    for path, names in re.findall(r"`(router/[\w/.-]*\w\.py)` \((`[^)]*)\)", page.read_text()):
        text = (ROOT / path).read_text()
        assert [name for name in re.findall(r"`(\w+)`", names) if not re.search(rf"\b{name}\b", text)] == [], path


PACKAGE = ROOT / "router"
PACKAGES = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
MODULES = {path.stem for path in PACKAGE.glob("[a-z]*.py")}
TREE, LAYERS = re.findall(r"^```\n(.*?)```", README.partition("## How it is built")[2], re.MULTILINE | re.DOTALL)[:2]


def test_the_tree_shows_every_package_and_module() -> None:
    packages, _, rest = TREE.partition("*.py")
    assert set(re.findall(r"^  (\w+)/ ", packages, re.MULTILINE)) == PACKAGES
    named = set(re.findall(r"\w+", re.sub(r"\([^)]*\)", "", rest.partition("schemas/")[0])))
    assert named == MODULES


def imported_packages(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "router":
                for name in [alias.name for alias in node.names] if node.module == "router" else [node.module[7:]]:
                    yield path, name.partition(".")[0]


def test_a_package_imports_only_packages_on_lines_below_its_own() -> None:
    layers = [line.split() for line in LAYERS.splitlines()]
    assert sorted(name for layer in layers for name in layer) == sorted(PACKAGES)
    for number, layer in enumerate(layers):
        below = {name for lower in layers[number + 1 :] for name in lower}
        for package in layer:
            upward = {
                (str(path), name)
                for path, name in imported_packages(PACKAGE / package)
                if name in PACKAGES and name != package and name not in below
            }
            assert upward == set()


def test_every_page_can_be_reached_from_the_readme() -> None:
    assert [page.name for page in PAGES[1:] if f"](docs/{page.name})" not in README] == []


@pytest.mark.parametrize("table", ["parties", "sailings", "procedures", "filings", "bills"])
def test_every_column_of_a_table_is_named_with_it_and_in_the_help_of_its_import(table: str) -> None:
    forms = {
        "parties": PartyForm,
        "sailings": LineForm,
        "procedures": ProcedureForm,
        "filings": FilingForm,
        "bills": SnapshotForm,
    }
    fields = forms[table].model_fields
    if table == "bills":
        fields = {name: field for name, field in fields.items() if name not in FilingForm.model_fields}
    row = re.search(rf"^\| `import {table}`.*", YOUR_FILES, re.MULTILINE)
    assert row
    shown = (row[0], getattr(feed_commands, f"import_{table}").__doc__)
    assert [column for column in fields for text in shown if not re.search(rf"\b{column}\b", text)] == []
    needed = {name for name, field in fields.items() if field.is_required()}
    assert set(re.findall(r"\*\*`(\w+)`\*\*", row[0])) == needed


def test_the_least_event_is_read() -> None:
    found = re.search(r"```json\n(.*?)```", YOUR_FILES, re.DOTALL)
    assert found
    (event,) = read_events([found[1].encode()], "page", 0)
    assert isinstance(event, Disposition)
