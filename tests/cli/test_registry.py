"""`snp-router registry serve`."""

from __future__ import annotations

import re
import signal

import requests

from tests.cli.conftest import WAIT_SECONDS, Command


def test_it_serves_on_this_machine_only_until_it_is_stopped(command: Command) -> None:
    process = command.start("registry", "serve", "--listen", "127.0.0.1:0")
    assert process.stderr
    said = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert found, said
    assert requests.get(f"{found[0]}/subjects", timeout=WAIT_SECONDS).json()
    process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_SECONDS) == 130
    assert not list(command.folder.iterdir())  # No log is needed, and none is made.
