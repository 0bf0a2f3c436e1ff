"""Attacks on the console, and use without permission: none of them works."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import ExitStack

import pytest
import requests

from router.console import actions, pages
from router.console.live_stream import MOST_SUBSCRIBERS
from tests.cli.conftest import WAIT_SECONDS
from tests.console import installation
from tests.console.installation import OPERATOR, PASSWORD, VIEWER, Client, Installation
from tests.desk.test_bill_index import BILL

EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>'

OWN_SCRIPTS = {
    f'<script src="/static/{name}.js" defer>' for name in ("vendor/idiomorph-0.8.0.min", "console", "reading")
}
EXPORTS = (
    "/bills.csv", "/waiting.csv", "/dead-letters.csv", "/audit.csv", "/handover.csv?since=2h", "/sailings.csv",
    "/sailings/EXEMPLAR-026E/lines.csv", "/parties.csv", "/unread.csv", "/notices.csv", "/new-do-not-loads.csv",
    "/outages.csv", f"/bills/{BILL}/history.csv",
)  # fmt: skip
PAGES = (*installation.PAGES, *EXPORTS, "/holds", "/dead-letters/abc", "/outages/1", "/users")
STREAM = "/live"
ACTIONS = [
    f"/bills/{BILL}/confirm",
    f"/bills/{BILL}/by-hand",
    f"/bills/{BILL}/clear",
    "/dead-letters/abc/retry",
    "/dead-letters/abc/accept",
    "/dead-letters/abc/dismiss",
]
ACTIONS += ["/bills"]
ACTIONS += ["/holds", "/outages", "/outages/1/end"]
ACTIONS += ["/outages/1/change", "/outages/1/paper", "/outages/1/match"]
ACTIONS += ["/parties/SLTC/called", "/parties/SLTC/resync"]
ADMINS = ["/parties/SLTC/live", "/parties/SLTC/suspend", "/users", "/users/role", "/users/log-out", "/users/remove"]


# Not logged in


def test_every_page_and_every_action_is_tried_here() -> None:
    tried = [path.partition("?")[0] for path in (*PAGES, STREAM, "/looked", *ACTIONS, *ADMINS)]
    routes = (*pages.ROUTES, *actions.ACTIONS)
    assert [route.path for route in routes if not any(map(route.path_regex.match, tried))] == []


@pytest.mark.parametrize("path", [*PAGES, STREAM, "/nothing-here"])
def test_a_stranger_sees_the_log_in_page_only(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].partition("?")[0] == "/login"
    assert "NVXA" not in answer.text


@pytest.mark.parametrize("path", [*ACTIONS, *ADMINS])
def test_a_stranger_can_do_nothing(client: Client, path: str) -> None:
    assert client.post(path, {"reason": "x"}).status_code == 401


def test_a_wrong_password_and_an_unknown_name_look_the_same(client: Client) -> None:
    wrong, unknown = client.log_in(OPERATOR, "wrong"), client.log_in("nobody-such", "wrong")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.text == unknown.text


def test_a_log_in_sent_from_another_site_is_refused(client: Client) -> None:
    fields = {"name": OPERATOR, "password": PASSWORD}
    assert client.post("/login", fields, headers={"sec-fetch-site": "cross-site"}).status_code == 403


# Sessions


def test_a_token_planted_in_a_browser_never_becomes_a_session(client: Client) -> None:
    client.session.cookies.set("snp_console", "fixed-by-an-attacker")
    answer = client.log_in()
    assert answer.cookies["snp_console"] != "fixed-by-an-attacker"
    attacker = Client(client.address)
    attacker.session.cookies.set("snp_console", "fixed-by-an-attacker")
    assert attacker.get("/").status_code == 303


def test_scripts_and_other_sites_cannot_use_the_cookie(client: Client) -> None:
    cookie = client.log_in().headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_cookie_is_worthless_after_logging_out(client: Client) -> None:
    client.log_in()
    cookies = dict(client.session.cookies)
    client.post("/logout", {"csrf": client.csrf()})
    stolen = Client(client.address)
    stolen.session.cookies.update(cookies)
    assert stolen.get("/").status_code == 303


def test_a_proxys_headers_from_other_addresses_are_ignored(client: Client) -> None:
    headers = {"X-Forwarded-User": "root", "X-Forwarded-Role": "operator"}
    assert client.get("/", headers=headers).status_code == 303


def test_a_removed_users_session_ends_with_the_next_page(installation: Installation) -> None:
    installation.command("console", "user", "add", "temp", stdin=f"{PASSWORD}\n")
    client = Client(installation.address)
    client.log_in("temp")
    assert client.get("/").status_code == 200
    installation.command("console", "user", "remove", "temp")
    assert client.get("/").status_code == 303


def test_a_log_in_leads_to_no_other_site(client: Client) -> None:
    for wanted in ("//evil.example", "/\\evil.example", "https://evil.example/", "/a\r\nset-cookie: x=1", "/login"):
        fields = {"name": VIEWER, "password": PASSWORD, "next": wanted}
        assert client.post("/login", fields).headers["location"] == "/", wanted


def test_another_sites_form_is_not_kept_for_the_log_in(client: Client) -> None:
    answer = client.post(ACTIONS[0], {"reason": "planted"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 401
    assert "planted" not in answer.text


def test_a_strangers_form_is_limited_too(client: Client) -> None:
    assert client.post(ACTIONS[0], {"reason": "x" * 1_000_000}).status_code == 413
    assert client.post(ACTIONS[0], {}, headers={"content-type": "multipart/form-data; boundary=x"}).status_code == 415


# Acting without permission


@pytest.mark.parametrize("path", ACTIONS)
def test_an_operators_action_is_refused_to_a_viewer(client: Client, path: str) -> None:
    client.log_in(VIEWER)
    answer = client.post(path, {"csrf": client.csrf(), "reason": "because"})
    assert answer.status_code == 403
    assert "operator" in answer.text


def test_a_viewers_pages_have_no_actions(client: Client) -> None:
    client.log_in(VIEWER)
    for path in PAGES:
        assert 'class="act"' not in client.get(path).text


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize("token", ["", "guessed"])
def test_a_form_without_its_own_token_is_refused(client: Client, path: str, token: str) -> None:
    client.log_in()
    answer = client.post(path, {"csrf": token, "reason": "because"})
    assert answer.status_code == 403
    assert "another page" in answer.text


def test_another_sessions_token_is_refused(client: Client, installation: Installation) -> None:
    client.log_in()
    other = Client(installation.address)
    other.log_in(VIEWER)
    assert client.post(ACTIONS[0], {"csrf": other.csrf(), "reason": "because"}).status_code == 403


# Odd addresses and sizes


@pytest.mark.parametrize(
    "path",
    [
        "/static/../access.py",
        "/static/%2e%2e/access.py",
        "/static/..%2f..%2fsettings.py",
        "/static//etc/passwd",
        "/bills/../../etc/passwd",
        "/bills/%00",
        "/dead-letters/..%2f..%2f",
        "/sailings/%F0%9F%9A%A2",
        "/parties/%3Cscript%3E",
    ],
)
def test_manipulated_paths_find_nothing(client: Client, path: str) -> None:
    client.log_in()
    prepared = requests.Request("GET", client.address).prepare()
    prepared.url = client.address + path  # set here because requests would normalise it
    prepared.headers["cookie"] = "; ".join(f"{name}={value}" for name, value in client.session.cookies.items())
    answer = requests.Session().send(prepared, allow_redirects=False, timeout=10)
    assert answer.status_code in (303, 404)
    assert "argon2" not in answer.text
    assert "root:" not in answer.text


def test_oversized_requests_are_refused_before_they_are_read(client: Client) -> None:
    client.log_in()
    csrf = client.csrf()
    assert client.get("/search?q=" + "x" * 5_000).status_code == 414
    assert client.get("/bills/" + "x" * 5_000).status_code == 414
    assert client.post(ACTIONS[0], {"csrf": csrf, "reason": "x" * 1_000_000}).status_code == 413
    assert client.post(ACTIONS[0], {"csrf": csrf} | {f"f{n}": "" for n in range(100)}).status_code in (400, 413)


def test_a_search_text_is_never_a_query(client: Client) -> None:
    client.log_in()
    for text in ("' OR 1=1 --", "%", "_", "\\", "\x00", "Ω漢字", "*"):
        answer = client.get("/search", params={"q": text})
        assert answer.status_code == 200
        assert BILL not in answer.text.replace(text, "")


@pytest.mark.parametrize("encoding", ["undefined", "punycode", "raw_unicode_escape", "utf-8"])
def test_a_form_must_be_url_encoded(client: Client, encoding: str) -> None:
    """A multipart body names its own encoding; some raise errors, some yield text that can't be written."""
    client.log_in()
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={encoding}"}
    body = '--x\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n\\ud800\r\n--x--\r\n'
    for path in ("/login", "/logout", ACTIONS[0]):
        answer = client.session.post(client.address + path, data=body, headers=headers, timeout=10)
        assert answer.status_code == 415, path


def test_no_redirect_follows_the_host_header(client: Client) -> None:
    client.log_in()
    cookie = "; ".join(f"{name}={value}" for name, value in client.session.cookies.items())
    for path in ("/login/", "/parties/", "/sailings/"):
        assert client.get(path, headers={"host": "evil.example", "cookie": cookie}).status_code == 404


def test_an_unexpected_body_stops_nothing(client: Client) -> None:
    client.log_in()
    with client.get("/live", data=b"x" * 300_000, stream=True) as answer:
        assert next(answer.iter_lines()).startswith(b'data: {"revision"')


# Text from CBP, carriers and parties


def test_markup_is_shown_as_text(installation: Installation) -> None:
    """Every field that a page shows is filled with markup."""
    event = {
        "scac": "NVXA",
        "bill_of_lading": "EVIL1",
        "disposition_code": "6H",
        "action_at": "2026-07-14T12:12:00Z",
        "quantity": 1,
        "vessel_name": EVIL,
        "voyage_number": EVIL,
        "entry_number": EVIL,
        "remarks": EVIL,
        "firms": EVIL,
        "container_numbers": [EVIL[-25:]],  # a longer number is not accepted
        "manifest_sequence_number": EVIL,
        "snps": ["SLTC"],
    }
    (installation.folder / "evil.jsonl").write_text(json.dumps(event) + "\n" + EVIL + "\n")
    subprocess_code = installation.start("ingest", "evil.jsonl").wait(30)
    assert subprocess_code in (0, 1)
    installation.command("run", "--until-idle")
    client = Client(installation.address)
    client.log_in()
    letters = re.findall(r"/dead-letters/[0-9a-f]+", client.get("/dead-letters").text)
    pages = ["/", "/bills/NVXAEVIL1", "/search?q=EVIL1", "/waiting", "/dead-letters", *letters]
    shown = {path: client.get(path).text for path in pages}
    for path, text in shown.items():
        assert "<img" not in text.lower(), path
        assert set(re.findall("<script[^>]*>", text.lower())) == OWN_SCRIPTS, path
    assert "&lt;script&gt;" in shown["/bills/NVXAEVIL1"].lower(), "it is shown, as text"


def test_every_answer_has_security_headers(client: Client) -> None:
    answers = [
        client.get("/login"),
        client.get("/"),
        client.get("/static/console.css"),
        client.get("/search?q=" + "x" * 5_000),
    ]
    client.log_in()
    answers += [client.get("/"), client.get("/bills/none")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers


def test_streams_that_nobody_reads_keep_no_other_user_out(client: Client) -> None:
    client.log_in(VIEWER)
    host, _, port = client.address.removeprefix("http://").rpartition(":")
    cookies = "; ".join(f"{name}={value}" for name, value in client.session.cookies.items())
    asked = f"GET {STREAM} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookies}\r\n\r\n".encode()
    other = Client(client.address)
    other.log_in(OPERATOR)
    with ExitStack() as stack:
        for _ in range(MOST_SUBSCRIBERS + 50):
            deaf = stack.enter_context(socket.create_connection((host, int(port)), WAIT_SECONDS))
            deaf.sendall(asked)
        deadline = time.monotonic() + WAIT_SECONDS
        while client.session.head(client.address + STREAM, timeout=WAIT_SECONDS).status_code != 503:
            assert time.monotonic() < deadline, "one user has all the places there are"
        with other.get(STREAM, stream=True) as stream:
            assert stream.status_code == 200
            assert next(stream.iter_lines()).startswith(b"data: ")
            assert other.get("/bills").status_code == 200
