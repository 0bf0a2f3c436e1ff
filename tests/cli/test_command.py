"""Settings, and the log's failures."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from router.demo.story import FILES
from tests.cli.conftest import Command


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


@pytest.mark.parametrize(
    "settings",
    [
        f"partitions = {'9' * 5000}",
        f"partitions = {'[' * 5000}",
        'log = "sqlite:///a\\u0000b"',
        '[rules]\ndisposition_codes = "a\\u0000b"',
        '[rules]\ndisposition_codes = "snp-router.toml"',
        '[rules]\nrelease_after_hold_exceptions = {"7X" = "previous"}',
        '[rules]\nrelease_after_hold_exceptions = {"7H" = "later"}',
        "[sqlite]\nbusy_timeout_seconds = inf",
        "[work]\npoll_seconds = inf",
    ],
)
def test_any_invalid_settings_end_with_a_message(command: Command, settings: str) -> None:
    command.write("snp-router.toml", settings)
    assert "error: " in command("run", "--until-idle", code=2).stderr


def test_a_log_that_fails_for_now_has_an_exit_code_of_its_own(command: Command) -> None:
    """A service manager restarts on this code, but not on 4."""
    command.set_up()
    command.environment["SNP_SQLITE__BUSY_TIMEOUT_SECONDS"] = "0.1"
    with closing(sqlite3.connect(command.folder / "snp.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "is locked by another program" in command("ingest", FILES / "1-on-file.x12", code=5).stderr
    command("ingest", FILES / "1-on-file.x12")
