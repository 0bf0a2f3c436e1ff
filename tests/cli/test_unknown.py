"""Every command that reads, against a log that does not answer, and against one that nobody has routed yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import BILL, Command, event_line
from tests.cli.test_main import COMMANDS

READS = {
    "dead-letters list": "",
    "dead-letters show": "0123456789abcdef",
    "check": "",
    "rules show": "",
    "lost-input list": "",
    "tail": "--party NVXA --until-end",
    "find": BILL,
    "bills": "",
    "box": "CSQU3054383",
    "bill show": BILL,
    "explain": BILL,
    "waiting list": "",
    "unread": "",
    "handover": "--since 2026-07-14T08:00",
    "audit verify": "",
    "audit heads": "",
    "outage list": "",
    "outage checklist": "--port 2704",
    "paper list": "",
    "paper matches": "",
    "parties": "",
    "sailings": "",
    "contacts": "--port 2704",
    "certify": "NVXA",
    "party show": "NVXA",
    "webhooks status": "",
    "topics check": "",
    "provision plan": "",
}
"""By command that reads a log, the arguments of a call."""
OTHERS = {
    "demo", "import parties", "import sailings", "import procedures", "import filings", "import bills", "ingest",

    "listen token add", "listen token list", "listen token remove", "dead-letters retry", "dead-letters accept",
    "dead-letters dismiss", "run", "rules apply", "lost-input accept", "bill confirm", "hold place", "hold lift",
    "hold clear", "release", "outage declare", "outage change", "outage end", "paper add", "paper match", "resync",
    "party live", "party suspend", "console user add", "console user remove", "console user list",
    "webhooks run", "webhooks pause", "webhooks resume", "webhooks replay", "webhooks secret", "registry serve",
    "registry check", "registry register", "asyncapi", "topics create", "provision apply", "provision revoke",
    "provision password", "move",
}  # fmt: skip
"""Deeds, services, and commands that ask no log."""
DEPENDS_ON_ROUTING = ("bills", "waiting list", "dead-letters list", "handover", "paper list", "paper matches")
"""Commands whose output may lack what is not routed yet."""


def test_every_command_has_its_place_here() -> None:
    assert {" ".join(words) for words in COMMANDS} == READS.keys() | OTHERS


@pytest.mark.parametrize("name", READS)
def test_a_log_that_does_not_answer_is_named_and_nothing_is_claimed(command: Command, name: str) -> None:
    command.environment |= {"SNP_LOG": "kafka://127.0.0.1:9", "SNP_KAFKA__START_DEADLINE_SECONDS": "0.5"}
    done = command(*name.split(), *READS[name].split(), code=5)
    assert "127.0.0.1:9" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("name", sorted(READS.keys() - {"check", "provision plan"}))
def test_a_log_that_is_not_there_is_not_empty(command: Command, name: str) -> None:
    done = command(*name.split(), *READS[name].split(), code=3)
    assert "there is no log" in done.stderr
    assert done.stdout == ""
    assert not Path(command.folder, "snp.db").exists()


@pytest.mark.parametrize("name", DEPENDS_ON_ROUTING)
def test_what_is_not_routed_yet_makes_the_answer_incomplete(command: Command, name: str) -> None:
    command.set_up()
    command("ingest", "-", stdin=event_line())
    done = command(*name.split(), *READS[name].split(), code=1)
    assert "not routed yet: start `snp-router run`" in done.stderr
    command("run", "--until-idle")
    assert "not routed yet" not in command(*name.split(), *READS[name].split()).stderr


def test_check_says_that_there_is_no_log(command: Command) -> None:
    assert "nothing is registered yet: there is no log" in command("check").stderr
