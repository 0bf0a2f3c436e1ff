"""Users, their roles and their sessions. Users are local, with argon2 hashes, or come from a trusted proxy's headers.

Sessions are kept in memory: a restart of the console logs everybody out, and no file contains a valid session.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict, deque
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request

from router.console import AccessSettings
from router.errors import UsageError
from router.files import EntriesFile

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
ROLES: Final = (VIEWER, OPERATOR)

COOKIE: Final = "snp_console"
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024
"""The cost of hashing grows with the length, which must not be a stranger's choice."""
LONGEST_NAME: Final = 64

SESSION_SECONDS: Final = 12 * 3600
"""A shift."""
MOST_SESSIONS: Final = 1000
MOST_FAILURES: Final = 5
"""Wrong passwords for one name within `FAILURES_SECONDS`; further attempts are then refused."""
FAILURES_SECONDS: Final = 60.0
MOST_NAMES_TRIED: Final = 10_000


class StoredUser(BaseModel):
    """A user's entry in the file."""

    role: str
    hash: str


_STORED_USERS: Final = TypeAdapter(dict[str, StoredUser])


class User(NamedTuple):
    name: str
    role: str

    @property
    def may_act(self) -> bool:
        return self.role == OPERATOR


class LoginSession(NamedTuple):
    user: User
    csrf: str
    """Token in every form; other sites can't know it."""
    expires: float


class Users:
    """The file of local users. Each call reads it anew, so that a removed user's session ends with the next page."""

    def __init__(self, path: Path) -> None:
        self._file = EntriesFile(path, _STORED_USERS, "user", "snp-router console user list")
        self._hasher = PasswordHasher()
        self._unknown_hash = self._hasher.hash(secrets.token_hex(16))

    def roles(self) -> dict[str, str]:
        """The role of each user, by name."""
        return {name: user.role for name, user in self._file.read().items()}

    def put(self, name: str, role: str, password: str) -> None:
        """Add a user, or replace role and password of an existing one. Raises UsageError."""
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise UsageError(f"the name {name!r} is invalid: use 1 to {LONGEST_NAME} printable characters")
        if role not in ROLES:
            raise UsageError(f"there is no role {role!r}: use {' or '.join(ROLES)}")
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise UsageError(
                f"the password has {len(password)} characters: use {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}"
            )
        self._file.put(name, StoredUser(role=role, hash=self._hasher.hash(password)))

    def remove(self, name: str) -> None:
        self._file.remove(name)

    def check(self, name: str, password: str) -> User | None:
        """The user with this password. An unknown name takes as long as a wrong password."""
        stored = self._file.read().get(name)
        with suppress(VerificationError, InvalidHashError):
            self._hasher.verify(stored.hash if stored else self._unknown_hash, password)
            return User(name, stored.role) if stored else None
        return None


class LoginSessions:
    """The sessions of this process."""

    def __init__(self, settings: AccessSettings) -> None:
        self.settings = settings
        self.login_lock = asyncio.Lock()
        """Lets one log-in run at a time: hashing takes a core, and failures are counted in order."""
        self._users = Users(settings.users_file)
        self._sessions: OrderedDict[str, LoginSession] = OrderedDict()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._proxies = tuple(ip_network(address) for address in settings.proxy_addresses)

    def session_of(self, request: Request) -> LoginSession | None:
        """The session of a request, by its cookie or by headers from a proxy's address. Raises UsageError."""
        if self._proxies:
            return self._session_by_proxy(request)
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        if session is None or session.expires < time.monotonic():
            return None
        return session if self._users.roles().get(session.user.name) == session.user.role else None

    def _session_by_proxy(self, request: Request) -> LoginSession | None:
        host = request.client.host if request.client else ""
        if not any(ip_address(host) in network for network in self._proxies):
            return None
        name = request.headers.get(self.settings.proxy_user_header, "")
        if not name or len(name) > LONGEST_NAME:
            return None
        role = OPERATOR if request.headers.get(self.settings.proxy_role_header) == OPERATOR else VIEWER
        token = f"proxy:{role}:{name}"
        if token not in self._sessions:
            self._keep(token, User(name, role))
        return self._sessions[token]

    def log_in(self, name: str, password: str) -> str | None:
        """A new session's token, or None if the password is wrong. Raises UsageError after too many wrong ones.

        The token is always new, so that nobody can plant one in another person's browser.
        """
        now = time.monotonic()
        failures = self._failures.setdefault(name[:LONGEST_NAME], deque(maxlen=MOST_FAILURES))
        if len(failures) == MOST_FAILURES and now - failures[0] < FAILURES_SECONDS:
            raise UsageError("too many wrong passwords for this name: wait a minute")
        user = self._users.check(name[:LONGEST_NAME], password[:LONGEST_PASSWORD])
        if user is None:
            failures.append(now)
            while len(self._failures) > MOST_NAMES_TRIED:
                self._failures.popitem(last=False)
            return None
        self._failures.pop(name, None)
        token = secrets.token_urlsafe(32)
        self._keep(token, user)
        return token

    def log_out(self, request: Request) -> None:
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def _keep(self, token: str, user: User) -> None:
        self._sessions[token] = LoginSession(user, secrets.token_urlsafe(32), time.monotonic() + SESSION_SECONDS)
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)


def csrf_ok(session: LoginSession, given: str) -> bool:
    return hmac.compare_digest(session.csrf.encode(), given.encode())
