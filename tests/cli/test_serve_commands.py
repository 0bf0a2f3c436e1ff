"""`console`, `webhooks` and `registry`."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import requests

from tests.cli.conftest import WAIT_SECONDS, Command, Terminal

NVXA = "id,contact_phone,webhook_url\nNVXA,+1-555-0130,https://nvxa.example/notices\n"


def with_webhook(command: Command) -> None:
    command.set_up()
    command("import", "parties", "-", stdin=NVXA)


def test_registry_serve_listens_on_this_machine_only_until_stopped(command: Command) -> None:
    process = command.start("registry", "serve", "--listen", "127.0.0.1:0")
    assert process.stderr
    said = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert found, said
    assert requests.get(f"{found[0]}/subjects", timeout=WAIT_SECONDS).json()
    process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_SECONDS) == 130
    assert not list(command.folder.iterdir())  # No log is needed, and none is made.


def test_a_secret_is_shown_once_and_kept_for_its_owner_alone(command: Command) -> None:
    with_webhook(command)
    secret = command("webhooks", "secret", "NVXA").stdout.strip()
    assert secret.startswith("whsec_")
    kept = command.folder / "webhook-secrets" / "NVXA"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert secret in kept.read_text()
    command("webhooks", "secret", "NVXA")
    done = command("webhooks", "secret", "NVXA", "--finish")
    assert "1 older secret dropped" in done.stdout
    assert secret not in kept.read_text() + done.stdout + done.stderr


def test_webhook_status_counts_what_waits_and_an_order_needs_a_webhook(command: Command) -> None:
    assert "no log" in command("webhooks", "status", code=3).stderr
    command.set_up()
    assert "add one to the parties' table" in command("webhooks", "status").stderr
    with_webhook(command)
    (one,) = command.json("webhooks", "status")
    assert (one["party"], one["state"], one["waiting"]) == ("NVXA", "nothing posted yet", 0)
    assert "webhook of NVXA is paused" in command("webhooks", "pause", "NVXA").stdout
    assert "SLTC has no webhook_url" in command("webhooks", "resume", "SLTC", code=2).stderr
    assert "'yesterday' is not a time" in command("webhooks", "replay", "NVXA", "--from", "yesterday", code=2).stderr


def test_on_a_terminal_a_password_is_asked_for_with_its_least_length(terminal: Callable[..., Terminal]) -> None:
    assert terminal("console", "user", "add", "alice").shows("password, at least 12 characters")


def test_users_of_the_console_are_listed_in_each_format(command: Command) -> None:
    password = "correct horse battery staple\n"
    command("console", "user", "add", "victor", stdin=password)
    command("console", "user", "add", "alice", "--role", "operator", stdin=password)
    assert re.findall("alice +operator", command("console", "user", "list").stdout)
    assert command("console", "user", "list", "--format", "csv").stdout.splitlines() == [
        "name,role", "alice,operator", "victor,viewer"
    ]  # fmt: skip
    assert command.json("console", "user", "list")[1] == {"name": "victor", "role": "viewer"}
    for name in ("alice", "victor"):
        command("console", "user", "remove", name)
    assert command("console", "user", "list", "--format", "json").stdout == ""
    assert "has no users" in command("console", "user", "list").stderr
