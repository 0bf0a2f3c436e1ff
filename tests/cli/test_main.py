"""The command as a whole: its help, its errors and exit codes, Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from router.cli.main import PANELS, app, global_options_first
from router.demo.story import FILES
from tests.cli.conftest import COMMAND, Command, environment

README = Path(__file__).parents[2] / "README.md"


def commands_in(group: Any, *words: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command that the help shows: its words and its help."""
    for name, command in group.commands.items():
        if getattr(command, "hidden", False):
            continue
        if hasattr(command, "commands"):
            yield from commands_in(command, *words, name)
        else:
            yield (*words, name), command.help or ""


COMMANDS = dict(commands_in(get_command(app)))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("parties",), 3, "there is no log snp.db"),
        (("run",), 3, "there is no log snp.db"),
        (("ingest", FILES / "1-on-file.x12"), 3, "there is no log snp.db"),
        (("topics", "check"), 3, "there is no log snp.db"),
        (("ingest", "missing.x12"), 2, "no file or folder missing.x12"),
        (("ingest",), 2, "--watch"),
        (("tail",), 2, "--party"),
        (("--log", "postgres://x", "parties"), 2, "names no log"),
        (("--config", "missing.toml", "parties"), 2, "missing.toml"),
        (("bill", "show", "X"), 2, "NVXAHBL000012345"),
        (("import", "parties", "--log", "sqlite:///no/such/folder.db", FILES / "parties.csv"), 4, "can't be made"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_each_error_is_one_message_and_a_documented_code(
    command: Command, arguments: tuple[object, ...], code: int, says: str
) -> None:
    done = command(*arguments, code=code)
    assert says in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("module", ["typer", "pydantic", "fastavro"])
def test_ctrl_c_during_loading_shows_no_traceback(command: Command, module: str) -> None:
    python, *rest = COMMAND
    words = [python, "-X", "importtime", *rest, "tail", "--timeline"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=command.folder) as started:
        assert started.stderr is not None
        assert any(line.split("|")[-1].strip() == module for line in started.stderr)
        started.send_signal(signal.SIGINT)
        said = started.stderr.read()
    assert "Traceback" not in said
    assert started.returncode in (-signal.SIGINT, 130)


def test_global_options_may_stand_anywhere() -> None:
    assert global_options_first(["run", "--log", "x", "--until-idle"]) == ["--log", "x", "run", "--until-idle"]
    assert global_options_first(["run", "--log=x"]) == ["--log=x", "run"]
    assert global_options_first(["ingest", "--", "--log"]) == ["ingest", "--", "--log"]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_s_help_has_an_example(words: tuple[str, ...]) -> None:
    assert re.search(rf"^Example:  \[bold\]snp-router (--\S+ \S+ )?{' '.join(words)}\b", COMMANDS[words], re.MULTILINE)


def test_every_command_is_in_the_readme() -> None:
    table = README.read_text().partition("## The commands")[2].partition("\n## ")[0]
    named = {name for cell in re.findall(r"`([^`]*)`", table) for name in re.findall(r"[a-z-]+", cell)}
    assert {words[0] for words in COMMANDS} - named == set()


@pytest.mark.parametrize("words", [(), ("tail",), ("console", "user", "add"), ("ingest",), ("bill", "show"), ("demo",)])
def test_the_help_shows_no_types_of_python(command: Command, words: tuple[str, ...]) -> None:
    """`--from-start <bool>` would make people type `--from-start true`."""
    shown = command(*words, "--help").stdout
    assert set(re.findall(r"<.*?>", shown)) <= {"<table|json>"}


def test_the_help_lists_the_commands_by_panel_and_in_order(command: Command) -> None:
    panels = re.findall(r"^╭─ ([A-Z][a-z ]+[A-Za-z]+)", command("--help").stdout, re.MULTILINE)
    assert panels == ["Options", *PANELS]


def test_the_exit_codes_are_in_the_help(command: Command) -> None:
    assert "Exit codes" in command.process("--help").stdout


def test_a_terminal_without_a_character_shows_its_escape(tmp_path: Path) -> None:
    narrow = environment() | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = subprocess.run([*COMMAND, "--help"], cwd=tmp_path, env=narrow, capture_output=True, timeout=30, check=True)
    assert b"\\xb7" in shown.stdout
    assert shown.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full, a disk that is always full")
def test_output_to_a_full_disk_ends_in_one_line(command: Command) -> None:
    command("import", "parties", FILES / "parties.csv")
    words = [*COMMAND, "parties"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            words,
            cwd=command.folder,
            env=command.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 5
    assert done.stderr == "error: cannot read or write the output: No space left on device\n"
