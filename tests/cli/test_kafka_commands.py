"""`topics`, where it does not need Kafka (with it: tests/kafka)."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.cli.conftest import Command


def test_topics_check_and_run_refuse_a_damaged_file(command: Command) -> None:
    command.set_up()
    command("topics", "check")
    with closing(sqlite3.connect(command.folder / "snp.db")) as sqlite, sqlite:
        sqlite.execute("UPDATE records SET value = x'00' WHERE substr(key, 1, 6) = CAST('party:' AS BLOB)")
    for words in (("topics", "check"), ("run", "--until-idle")):
        assert "is damaged" in command(*words, code=4).stderr
