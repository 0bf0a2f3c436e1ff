"""Users, their roles, their passwords and their sessions."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.requests import Request

from router.console import AccessSettings
from router.console.sessions import OPERATOR, VIEWER, LoginSessions, User, Users
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
