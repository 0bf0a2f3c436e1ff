"""Users, their roles, their passwords and their sessions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path

import pytest
from starlette.requests import Request

from router.console import AccessSettings
from router.console.sessions import MOST_WAITING, OPERATOR, SESSION_SECONDS, VIEWER, LoginSessions, User, Users
from router.errors import UsageError

PASSWORD = "correct horse battery"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    return Users(tmp_path / "users.json")


def request_from(host: str, **headers: str) -> Request:
    raw = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": (host, 1), "headers": raw, "method": "GET", "path": "/"})


def test_a_user_needs_the_right_password(users: Users) -> None:
    users.put("alice", OPERATOR, PASSWORD)
    assert users.check("alice", PASSWORD) == User("alice", OPERATOR)
    assert users.check("alice", PASSWORD + "!") is None
    assert users.check("bob", PASSWORD) is None


def test_only_its_owner_may_read_the_file_which_has_no_password_in_it(users: Users, tmp_path: Path) -> None:
    users.put("alice", OPERATOR, PASSWORD)
    file = tmp_path / "users.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in file.read_text()
    assert "$argon2id$" in file.read_text()
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        users.check("alice", PASSWORD)


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [
        ("", VIEWER, PASSWORD),
        ("a\nb", VIEWER, PASSWORD),
        ("x" * 65, VIEWER, PASSWORD),
        ("al", "root", PASSWORD),
        ("al", VIEWER, "short"),
    ],
)
def test_invalid_names_roles_and_short_passwords_are_refused(users: Users, name: str, role: str, password: str) -> None:
    with pytest.raises(UsageError):
        users.put(name, role, password)
    assert users.roles() == {}


@pytest.mark.parametrize("text", ['{"alice": ', "[]", '{"alice": 1}', '{"alice": {"role": "operator"}}'])
def test_a_damaged_file_lets_nobody_in_and_is_named(users: Users, tmp_path: Path, text: str) -> None:
    users.put("alice", OPERATOR, PASSWORD)
    (tmp_path / "users.json").write_text(text)
    with pytest.raises(UsageError, match="is damaged"):
        users.check("alice", PASSWORD)


def test_a_proxys_headers_count_from_its_own_address_only(tmp_path: Path) -> None:
    access = LoginSessions(AccessSettings(users_file=tmp_path / "users.json", proxy_addresses=("10.1.0.0/16",)))
    session = access.session_of(request_from("10.1.2.3", x_forwarded_user="alice", x_forwarded_role="operator"))
    assert session is not None
    assert session.user == User("alice", OPERATOR)
    assert access.session_of(request_from("10.2.2.3", x_forwarded_user="alice", x_forwarded_role="operator")) is None
    assert access.session_of(request_from("10.1.2.3")) is None
    unknown_role = access.session_of(request_from("10.1.2.3", x_forwarded_user="bob", x_forwarded_role="root"))
    assert unknown_role is not None
    assert unknown_role.user == User("bob", VIEWER), "an unknown role may only read"


def test_behind_a_proxy_a_cookie_opens_nothing(tmp_path: Path) -> None:
    access = LoginSessions(AccessSettings(users_file=tmp_path / "users.json", proxy_addresses=("10.1.0.0/16",)))
    access.session_of(request_from("10.1.2.3", x_forwarded_user="alice", x_forwarded_role="operator"))
    for cookie in ("proxy:operator:alice", "alice"):
        assert access.session_of(request_from("10.1.2.3", cookie=f"snp_console={cookie}")) is None


# Guessing passwords

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def sessions(tmp_path: Path) -> LoginSessions:
    made = LoginSessions(AccessSettings(users_file=tmp_path / "users.json"))
    Users(tmp_path / "users.json").put("alice", OPERATOR, PASSWORD)
    return made


async def test_a_flood_of_wrong_passwords_leaves_the_event_loop_free_and_waits_in_a_short_queue(
    sessions: LoginSessions,
) -> None:
    async def try_from(number: int) -> str:
        try:
            token = await sessions.log_in(f"name{number}", "wrong", f"192.0.2.{number}", is_known=False)
            return "in" if token else "wrong"
        except UsageError as error:
            return str(error)

    longest, before = 0.0, time.monotonic()
    attempts = asyncio.gather(*map(try_from, range(3 * MOST_WAITING)))
    while not attempts.done():
        await asyncio.sleep(0.005)
        longest, before = max(longest, time.monotonic() - before), time.monotonic()
    answers = await attempts
    assert answers.count("wrong") == MOST_WAITING
    assert {answer for answer in answers if answer != "wrong"} == {"too many log-ins at once: try again in a moment"}
    one = await timed(sessions.log_in("alice", "wrong", HOME, is_known=False))
    assert longest < 5 * one + 0.1, "no hash held the loop, let alone all of them"
    assert await sessions.log_in("alice", PASSWORD, HOME, is_known=True), "the queue is empty again"


async def timed(attempt: Awaitable[object]) -> float:
    started = time.monotonic()
    await attempt
    return time.monotonic() - started


async def test_one_address_takes_a_few_places_of_the_queue_only(sessions: LoginSessions) -> None:
    async def flood() -> str | None:
        return await sessions.log_in("mallory", "wrong", ELSEWHERE, is_known=False)

    attempts = [asyncio.create_task(flood()) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert await sessions.log_in("alice", PASSWORD, HOME, is_known=False)
    await asyncio.wait(attempts)


# What ends a session


@pytest.fixture
def browser(sessions: LoginSessions) -> Request:
    """A request of alice's browser, logged in."""
    request = Request({**request_from(HOME).scope, "session": {}})
    sessions.begin(request, User("alice", OPERATOR))
    return request


def test_a_session_outlives_a_restart(sessions: LoginSessions, browser: Request) -> None:
    again = LoginSessions(sessions.settings)
    assert again.key == sessions.key
    session = again.session_of(browser)
    assert session is not None
    assert session == sessions.session_of(browser)
    assert session.user == User("alice", OPERATOR)


def test_a_log_out_ends_all_of_a_users_sessions_also_after_a_restart(sessions: LoginSessions, browser: Request) -> None:
    other = Request({**request_from(ELSEWHERE).scope, "session": {}})
    sessions.begin(other, User("alice", OPERATOR))
    stolen = Request({**browser.scope, "session": dict(browser.session)})
    sessions.log_out(other, User("alice", OPERATOR))
    for access in (sessions, LoginSessions(sessions.settings)):
        assert access.session_of(stolen) is None
        assert access.session_of(other) is None


@pytest.mark.parametrize("change", ["removed", "removed and added again", "another password", "another role"])
def test_a_changed_user_is_logged_out(sessions: LoginSessions, browser: Request, users: Users, change: str) -> None:
    if change.startswith("removed"):
        users.remove("alice")
    if change != "removed":
        users.put("alice", VIEWER if change == "another role" else OPERATOR, PASSWORD)
    assert sessions.session_of(browser) is None


def test_a_session_ends_after_a_shift(
    sessions: LoginSessions, browser: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time() + SESSION_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert sessions.session_of(browser) is None


def test_without_its_file_every_session_ends(sessions: LoginSessions, browser: Request) -> None:
    sessions.settings.sessions_file.unlink()
    again = LoginSessions(sessions.settings)
    assert again.key != sessions.key
    assert again.session_of(browser) is None
    assert sessions.settings.sessions_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ['{"key": ', "[]", "{}"])
def test_a_damaged_file_of_sessions_is_named(sessions: LoginSessions, text: str) -> None:
    sessions.settings.sessions_file.write_text(text)
    with pytest.raises(UsageError, match="is damaged"):
        LoginSessions(sessions.settings)
    sessions.settings.sessions_file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        LoginSessions(sessions.settings)
