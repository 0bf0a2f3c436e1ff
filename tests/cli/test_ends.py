"""How commands end: exit codes, errors in one line, Ctrl-C; live following; the watched folder; check and settings."""

from __future__ import annotations

import itertools
import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from router.cli.layout import global_options_first
from router.cli.main import PANELS, app
from router.demo.scenario import FILES
from tests.cli.conftest import BILL, COMMAND, WAIT_SECONDS, Command, environment

README = Path(__file__).parents[2] / "README.md"


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("parties",), 3, "there is no log snp.db yet"),
        (("run",), 3, "there is no log snp.db yet"),
        (("ingest", FILES / "1-on-file.x12"), 3, "there is no log snp.db yet"),
        (("topics", "check"), 3, "there is no log snp.db yet"),
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
def test_ctrl_c_while_the_command_is_still_being_loaded_shows_no_traceback(command: Command, module: str) -> None:
    python, *rest = COMMAND
    words = [python, "-X", "importtime", *rest, "tail", "--timeline"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=command.folder) as started:
        assert started.stderr is not None
        assert any(line.split("|")[-1].strip() == module for line in started.stderr)
        started.send_signal(signal.SIGINT)
        said = started.stderr.read()
    assert "Traceback" not in said
    assert started.returncode in (-signal.SIGINT, 130)


def test_what_is_not_there_is_said_with_what_there_is(routed: Command) -> None:
    assert "HARX, NVXA" in routed("tail", "--party", "ZZZZ", code=3).stderr
    assert "NOWHERE of NVXA" in routed("bill", "show", "NVXANOWHERE", code=3).stderr
    routed("dead-letters", "show", "ffff", code=3)


def test_a_reader_is_told_that_routing_is_behind(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    assert "snp-router run" in command("bill", "show", BILL, code=3).stderr
    command("run", "--until-idle")
    assert command("bill", "show", BILL).stderr == ""
    command("ingest", FILES / "2-do-not-load.camir")
    assert "not routed yet" in command("bill", "show", BILL, "--format", "json").stderr


def test_a_live_tail_sees_what_another_process_routes_and_ctrl_c_ends_both(command: Command) -> None:
    command.set_up()
    run = command.start("run")
    tail = command.start("tail", "--party", "NVXB", "--from-start", "--format", "json")
    command("ingest", FILES / "1-on-file.x12", FILES / "2-do-not-load.camir")
    assert tail.stdout is not None
    notices = [json.loads(tail.stdout.readline()) for _ in range(2)]
    assert [notice["kind"] for notice in notices] == ["change", "hold"]
    for process in (tail, run):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_SECONDS)
        assert process.returncode == 130
        assert "Traceback" not in errors
    assert [json.loads(line)["event"] for line in errors.splitlines()]  # the router's: log lines, and nothing else


def test_ctrl_c_breaks_in_while_standard_input_is_awaited(command: Command) -> None:
    command.set_up()
    ingest = command.start("ingest", "-")
    assert ingest.stdin is not None
    ingest.stdin.write("{}\n" * 100_000)  # more than a pipe holds: when this is written, it is reading
    ingest.stdin.flush()
    ingest.send_signal(signal.SIGINT)
    assert ingest.wait(timeout=WAIT_SECONDS) == 130


def test_a_watched_folder_is_emptied_into_done_and_failed(command: Command) -> None:
    command.set_up()
    inbox = command.folder / "inbox"
    inbox.mkdir()
    watch = command.start("ingest", "--watch", "inbox", "--settle-seconds", "0.1", "--format", "json")
    (inbox / "good.x12").write_text((FILES / "1-on-file.x12").read_text())
    (inbox / "bad.jsonl").write_text("{}\n")
    wait_for(lambda: (inbox / "done" / "good.x12").exists() and (inbox / "failed" / "bad.jsonl").exists())
    assert "dead letters 1" in (inbox / "failed" / "bad.jsonl.report.txt").read_text()
    watch.send_signal(signal.SIGTERM)
    out, _ = watch.communicate(timeout=WAIT_SECONDS)
    assert watch.returncode == 130
    by_file = {Path(one["file"]).name: one["events"] for one in map(json.loads, out.splitlines())}
    assert by_file == {"good.x12": 3, "bad.jsonl": 0}


def test_check_finds_nothing_wrong_with_the_demo_s_tables(command: Command) -> None:
    files = ("--parties", FILES / "parties.csv", "--sailings", FILES / "sailings.csv")
    assert re.search(r"disposition codes of 20\d\d-\d\d: nothing wrong", command("check", *files).stdout)


def test_check_says_what_is_wrong_and_where(command: Command) -> None:
    parties = command.write("parties.csv", "scac,contact_email\nOCNX,\n")
    rows = "sailing_id,imo_number,scac,role,voyage_number\nS1,9074728,OCNX,operator,\nS1,9074728,SLTC,charterer,X1\n"
    sailings = command.write("sailings.csv", rows)
    command.environment["SNP_LGO"] = "x"
    (checked,) = command.json("check", "--parties", parties, "--sailings", sailings, code=1)
    for expected in (
        "SNP_LGO",
        "party OCNX: no 24-hour contact",
        "SLTC is aboard but not",
        "check digit",
        "OCNX has no",
    ):
        assert any(expected in problem for problem in checked["problems"]), expected


def test_settings_come_from_the_file_then_the_environment_then_the_options(command: Command) -> None:
    command.write("snp-router.toml", 'log = "sqlite:///file.db"\npartitions = 2\n')
    command("import", "parties", FILES / "parties.csv")
    command.environment["SNP_LOG"] = "sqlite:///environment.db"
    command("import", "parties", FILES / "parties.csv")
    command("import", "parties", FILES / "parties.csv", "--log", "sqlite:///option.db")
    assert sorted(path.name for path in command.folder.glob("*.db")) == ["environment.db", "file.db", "option.db"]


def test_wrong_settings_are_named(command: Command) -> None:
    command.write("snp-router.toml", "partitions = 0\n[rules]\nlate = 3\n")
    errors = command("check", code=2).stderr
    assert "partitions" in errors
    assert "rules.late: there is no such setting" in errors


def test_global_options_may_stand_anywhere() -> None:
    assert global_options_first(["run", "--log", "x", "--until-idle"]) == ["--log", "x", "run", "--until-idle"]
    assert global_options_first(["run", "--log=x"]) == ["--log=x", "run"]
    assert global_options_first(["ingest", "--", "--log"]) == ["ingest", "--", "--log"]


def commands_in(group: Any, *words: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command there is: its words and its help."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_in(command, *words, name)
        else:
            yield (*words, name), command.help or ""


COMMANDS = dict(commands_in(get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_s_help_has_an_example(words: tuple[str, ...]) -> None:
    assert re.search(rf"^Example:  \[bold\]snp-router (--\S+ \S+ )?{' '.join(words)}\b", COMMANDS[words], re.MULTILINE)


def test_every_command_is_in_the_readme() -> None:
    table = README.read_text().partition("## The commands")[2].partition("\n## ")[0]
    named = {name for cell in re.findall(r"`([^`]*)`", table) for name in re.findall(r"[a-z-]+", cell)}
    assert {words[0] for words in COMMANDS} - named == set()


def test_a_flag_shows_no_type_in_the_help(command: Command) -> None:
    """`--from-start <bool>` makes people write `--from-start true`."""
    for words in ((), ("tail",), ("console", "user", "add")):
        flags = [line for line in command(*words, "--help").stdout.splitlines() if "completion" not in line]
        assert not any("<bool>" in line for line in flags)


def test_the_help_lists_the_commands_by_what_one_wants(command: Command) -> None:
    panels = re.findall(r"^╭─ ([A-Z][a-z ]+[A-Za-z]+)", command("--help").stdout, re.MULTILINE)
    assert panels == ["Options", *PANELS]


def test_the_exit_codes_are_in_the_help(command: Command) -> None:
    assert "Exit codes" in command.process("--help").stdout


@pytest.mark.parametrize(
    "settings",
    [
        f"partitions = {'9' * 5000}",
        f"partitions = {'[' * 5000}",
        'log = "sqlite:///a\\u0000b"',
        '[rules]\ndisposition_codes = "a\\u0000b"',
        '[rules]\ndisposition_codes = "snp-router.toml"',
        "[sqlite]\nbusy_timeout_seconds = inf",
        "[webhooks]\nattempt_seconds = inf",
    ],
)
def test_whatever_stands_in_the_settings_the_command_ends_with_a_message(command: Command, settings: str) -> None:
    command.write("snp-router.toml", settings)
    assert "error: " in command("run", "--until-idle", code=2).stderr


def test_an_import_of_very_many_parties_with_very_many_aliases_ends(command: Command) -> None:
    names = ["".join(letters) for letters in itertools.islice(itertools.product("ABCDEFGHIJ", repeat=4), 3000)]
    aliases = [names[start : start + 100] for start in range(1000, 3000, 100)]
    rows = [
        f"{name},{';'.join(of_party)}\n"
        for name, of_party in itertools.zip_longest(names[:1000], aliases, fillvalue=())
    ]
    done = command("import", "parties", command.write("parties.csv", "scac,aliases\n" + "".join(rows)))
    assert "1000 added" in done.stdout
    clash = command.write("clash.csv", "scac,aliases\nZZZZ,AAAB;AAAC\n")
    assert "AAAB already stands for the party AAAB" in command("import", "parties", clash, code=1).stderr


def test_a_terminal_that_knows_few_letters_shows_the_others_written_out(tmp_path: Path) -> None:
    narrow = environment() | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = subprocess.run([*COMMAND, "--help"], cwd=tmp_path, env=narrow, capture_output=True, timeout=30, check=True)
    assert b"\\xb7" in shown.stdout
    assert shown.stderr == b""


def test_a_log_that_fails_for_now_has_a_code_of_its_own(command: Command) -> None:
    """A service is started again on it; on 4 it isn't."""
    command.set_up()
    command.environment["SNP_SQLITE__BUSY_TIMEOUT_SECONDS"] = "0.1"
    with closing(sqlite3.connect(command.folder / "snp.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "is locked by another program" in command("ingest", FILES / "1-on-file.x12", code=5).stderr
    command("ingest", FILES / "1-on-file.x12")


def test_a_damaged_file_is_found_by_the_check_and_routed_by_nobody(command: Command) -> None:
    command.set_up()
    command("topics", "check")
    with closing(sqlite3.connect(command.folder / "snp.db")) as sqlite, sqlite:
        sqlite.execute("UPDATE records SET value = x'00' WHERE substr(key, 1, 6) = CAST('party:' AS BLOB)")
    for words in (("topics", "check"), ("run", "--until-idle")):
        assert "is damaged" in command(*words, code=4).stderr


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
    assert done.stderr == "error: what is said can't be written or read: No space left on device\n"
