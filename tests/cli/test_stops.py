"""SIGTERM ends every long-running command soon, whatever it is at: with code 130, with its processes, and quietly."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import requests

from tests.cli.conftest import WAIT_SECONDS, Command, event_line
from tests.cli.stops import BACKLOG, events, read_until, stop

PASSWORD = "correct horse battery"


@contextmanager
def connected(url: str, sent: bytes) -> Iterator[socket.socket]:
    """A client that sends this and then nothing."""
    address = urlsplit(url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80), WAIT_SECONDS) as client:
        client.sendall(sent)
        yield client


def address_in(text: str) -> str:
    found = re.search(r"http://[\d.]+:\d+", text)
    assert found, text
    return found[0]


def test_run_with_a_backlog(command: Command) -> None:
    command.set_up()
    command("ingest", command.write("many.jsonl", events(BACKLOG)))
    routing = command.start("run", "--status-listen", "127.0.0.1:0")
    read_until(routing.stderr, "task_restored")
    stop(routing)
    assert "not routed yet" in command("waiting", "list", code=1).stderr, "it stopped within its backlog"


def test_ingest_in_the_middle_of_a_large_file(command: Command) -> None:
    command.set_up()
    reading = command.start("ingest", "-")
    assert reading.stdin is not None
    reading.stdin.write(events(BACKLOG))
    reading.stdin.flush()
    stop(reading)


def test_ingest_watch_with_files_waiting(command: Command) -> None:
    command.set_up()
    inbox = command.folder / "inbox"
    inbox.mkdir()
    for number in range(200):
        (inbox / f"{number}.jsonl").write_text(event_line(action_at=f"2026-07-16T10:{number % 60:02d}"))
    (inbox / "large.jsonl").write_text(events(100_000))
    watching = command.start("ingest", "--watch", "inbox", "--settle-seconds", "0.1")
    read_until(watching.stdout, "inbox/done")
    stop(watching)
    assert (inbox / "large.jsonl").exists()


@pytest.mark.parametrize("words", [("--from-start", "--each"), ()], ids=["from the start", "live"])
def test_tail(routed: Command, words: tuple[str, ...]) -> None:
    following = routed.start("tail", "--party", "NVXA", *words)
    read_until(following.stdout, "NVXA" if words else "code")
    stop(following)


def test_the_console_with_a_browser_that_shows_live_notices(command: Command) -> None:
    command.set_up()
    command("run", "--until-idle")
    command.environment["SNP_CONSOLE__ACCESS__SECURE_COOKIE"] = "false"
    command("console", "user", "add", "alice", "--role", "operator", stdin=f"{PASSWORD}\n")
    serving = command.start("console", "--listen", "127.0.0.1:0")
    url = address_in(read_until(serving.stderr, "http://"))
    with requests.Session() as browser:
        origin = {"Origin": url}
        browser.post(f"{url}/login", {"name": "alice", "password": PASSWORD}, headers=origin, timeout=WAIT_SECONDS)
        with browser.get(f"{url}/live", stream=True, timeout=WAIT_SECONDS) as live:
            assert live.headers["content-type"].startswith("text/event-stream")
            stop(serving)


@pytest.mark.parametrize("sent", ["", "POST /messages HT", "POST /messages HTTP/1.1\r\nHost: a\r\n{token}\r\n\r\n{{"])
def test_listen_with_a_request_that_is_half_sent(command: Command, sent: str) -> None:
    command.set_up()
    token = command("listen", "token", "add", "relay").stdout.strip()
    listening = command.start("listen", "--address", "127.0.0.1:0")
    url = json.loads(read_until(listening.stderr, "listener_ready"))["url"]
    with connected(url, sent.format(token=f"Content-Length: 999\r\nAuthorization: Bearer {token}").encode()):
        stop(listening)


def test_registry_serve_with_a_request_that_is_half_sent(command: Command) -> None:
    serving = command.start("registry", "serve", "--listen", "127.0.0.1:0")
    with connected(address_in(read_until(serving.stderr, "http://")), b"GET /subj"):
        stop(serving)


def test_webhooks_while_an_endpoint_does_not_answer(command: Command) -> None:
    asked = threading.Event()
    ended = threading.Event()

    class Hanging(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.set()
            ended.wait(WAIT_SECONDS)

        def log_message(self, *_: object) -> None: ...

    command.set_up()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hanging) as endpoint:
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{endpoint.server_port}/"
        command("import", "parties", "-", stdin=f"id,contact_phone,webhook_url\nNVXA,+1-555-0130,{url}\n")
        command("webhooks", "secret", "NVXA")
        command.environment["SNP_WEBHOOKS__ALLOW_HTTP"] = "true"
        command.environment["SNP_WEBHOOKS__ALLOWED_NETWORKS"] = '["127.0.0.1/32"]'
        command("ingest", command.write("one.jsonl", event_line()))
        command("run", "--until-idle")
        posting = command.start("webhooks", "run")
        try:
            assert asked.wait(WAIT_SECONDS)
            stop(posting)
        finally:
            ended.set()
            endpoint.shutdown()
