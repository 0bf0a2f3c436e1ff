"""`listen` and its tokens."""

from __future__ import annotations

import json
import signal

import requests

from tests.cli.conftest import WAIT_SECONDS, Command, event_line


def test_a_token_is_shown_once_and_its_scope_listed(command: Command) -> None:
    assert "has no tokens" in command("listen", "token", "list").stderr
    words = ("listen", "token", "add", "edi", "--kinds", "filings, dispositions", "--issuers", "NVXA,nvxb")
    token = command(*words, "--feed", "nvxa").stdout.strip()
    assert token.startswith("snp_")
    (one,) = command.json("listen", "token", "list")
    assert one == {
        "name": "edi", "feed": "nvxa", "kinds": ["dispositions", "filings"], "issuers": ["NVXA", "NVXB"],
    }  # fmt: skip
    assert "edi" in command("listen", "token", "list").stdout
    assert "already" in command(*words, code=2).stderr
    command("listen", "token", "remove", "edi")
    assert "no token edi" in command("listen", "token", "remove", "edi", code=2).stderr


def test_it_listens_until_stopped_and_takes_tokens_meanwhile(command: Command) -> None:
    assert "there is no log" in command("listen", code=3).stderr
    command.set_up()
    process = command.start("listen", "--address", "127.0.0.1:0", "--status-listen", "127.0.0.1:0")
    assert process.stderr
    assert "has no tokens" in process.stderr.readline()
    token = command("listen", "token", "add", "relay").stdout.strip()
    assert json.loads(process.stderr.readline())["event"] == "status_served"
    said = json.loads(process.stderr.readline())
    assert said["event"] == "listener_ready"
    answer = requests.post(
        said["url"], event_line(), headers={"Authorization": f"Bearer {token}"}, timeout=WAIT_SECONDS
    )
    assert (answer.status_code, answer.json()["events"]) == (200, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_SECONDS) == 130
    assert token not in process.stderr.read()
    assert "1 new event" in command("run", "--until-idle").stdout


def test_an_address_that_others_reach_needs_tls(command: Command) -> None:
    command.set_up()
    command("listen", "token", "add", "relay")
    assert "listen.tls_certificate" in command("listen", "--address", "0.0.0.0:0", code=2).stderr
