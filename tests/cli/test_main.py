"""The command as a whole: its help, its errors and exit codes, Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from router.cli.main import LISTED, PANELS, ListedGroup, global_options_first, load_command
from router.demo.story import FILES
from tests.cli.conftest import COMMAND, Command, environment

README = Path(__file__).parents[2] / "README.md"


def commands_in(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The command's words and its help, or those of each of its subcommands."""
    if isinstance(command, ListedGroup):
        for name in command.listed:
            yield from commands_in(command.load(name), *words, name)
    elif hasattr(command, "commands"):
        for name, subcommand in command.commands.items():
            yield from commands_in(subcommand, *words, name)
    else:
        yield words, command.help or ""


COMMANDS = {
    words: text for name, listed in LISTED.items() for words, text in commands_in(load_command(name, listed), name)
}
NESTED = {(name, one): two for name, listed in LISTED.items() for one, two in (listed.commands or {}).items()}
ALL_LISTED = {(name,): listed for name, listed in LISTED.items()} | NESTED
HEAVY = {
    "aiohttp", "aiokafka", "argon2", "asyncio", "cramjam", "fastavro", "h11", "jinja2", "msgspec", "prometheus_client",
    "pydantic", "pydantic_settings", "starlette", "structlog", "uvicorn", "watchfiles", "router.codec", "router.decide",
    "router.desk", "router.engine", "router.settings", "router.task",
}  # fmt: skip
"""Libraries and packages that a command loads when it uses them."""


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


@pytest.mark.parametrize("words", ["--help", "--version", ""])
def test_help_and_version_load_no_large_module(command: Command, words: str) -> None:
    python, *rest = COMMAND
    done = subprocess.run(
        [python, "-X", "importtime", *rest, *words.split()],
        cwd=command.folder, env=command.environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    loaded = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert {"typer", "router.cli.main"} <= loaded
    assert loaded & HEAVY == set()


def test_the_version_is_that_of_the_package(command: Command) -> None:
    assert command("--version").stdout == f"snp-router {version('snp-router')}\n"


@pytest.mark.parametrize("words", ALL_LISTED, ids=" ".join)
def test_a_command_is_listed_with_the_first_paragraph_of_its_help(words: tuple[str, ...]) -> None:
    first = load_command(words[-1], ALL_LISTED[words]).help.partition("\n\n")[0]
    assert ALL_LISTED[words].summary == " ".join(first.split())


def test_a_command_may_be_completed_without_loading_the_others(command: Command) -> None:
    completing = command.environment | {"_SNP_ROUTER_COMPLETE": "complete_bash"}
    words = {"snp-router w": 1, "snp-router check --format ": 3}
    shown = [
        subprocess.run(
            [Path(sys.executable).parent / "snp-router"],
            env=completing | {"COMP_WORDS": line, "COMP_CWORD": str(place)},
            capture_output=True, text=True, timeout=30, check=False,
        ).stdout.split()
        for line, place in words.items()
    ]  # fmt: skip
    assert shown == [["waiting", "webhooks"], ["table", "json"]]


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
