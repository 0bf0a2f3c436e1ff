"""Who may use the console, and as what: local users with argon2, or a trusted proxy's header; viewers and operators.

Sessions live in memory: a restart of the console logs everybody out, and nothing on disk lets anybody in.
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

from router.console.settings import AccessSettings
from router.errors import UsageError
from router.files import replace_for_owner

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
ROLES: Final = (VIEWER, OPERATOR)

COOKIE: Final = "snp_console"
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024
"""Hashing costs by length: who is not logged in must not choose how much."""
LONGEST_NAME: Final = 64

SESSION_SECONDS: Final = 12 * 3600
"""A shift."""
MOST_SESSIONS: Final = 1000
TRIES_WINDOW_SECONDS: Final = 60.0
"""`attempts` wrong passwords in so long for one name; then it waits."""
MOST_NAMES_TRIED: Final = 10_000


class Entry(BaseModel):
    """A user's, in the file."""

    role: str
    hash: str


_ENTRIES: Final = TypeAdapter(dict[str, Entry])


class User(NamedTuple):
    name: str
    role: str

    @property
    def may_act(self) -> bool:
        return self.role == OPERATOR


class Session(NamedTuple):
    user: User
    csrf: str
    """Goes with every form; a page of another site can't know it."""
    expires: float


class Users:
    """The file of local users. Read anew each time: a user taken out is out with the next page."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def names(self) -> dict[str, str]:
        """Names with their roles."""
        return {name: entry.role for name, entry in self._read().items()}

    def put(self, name: str, role: str, password: str) -> None:
        """Add a user or change one. Raises UsageError."""
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise UsageError(f"a user's name is 1 to {LONGEST_NAME} printable characters")
        if role not in ROLES:
            raise UsageError(f"{role!r} is no role: there are {' and '.join(ROLES)}")
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise UsageError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
        self._write(self._read() | {name: Entry(role=role, hash=self._hasher.hash(password))})

    def remove(self, name: str) -> None:
        users = self._read()
        if users.pop(name, None) is None:
            raise UsageError(f"there is no user {name} in {self._path}")
        self._write(users)

    def check(self, name: str, password: str) -> User | None:
        """Takes as long for a name that doesn't exist."""
        entry = self._read().get(name)
        with suppress(VerificationError, InvalidHashError):
            self._hasher.verify(entry.hash if entry else self._nobody, password)
            return User(name, entry.role) if entry else None
        return None

    def _read(self) -> dict[str, Entry]:
        try:
            if self._path.stat().st_mode & 0o077:
                raise UsageError(f"{self._path} may be read by others: `chmod 600 {self._path}`")
            return _ENTRIES.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"{self._path} can't be read: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(
                f"{self._path} is damaged: it is no file of users. Restore it, or delete it and add the users again"
            ) from error

    def _write(self, users: dict[str, Entry]) -> None:
        try:
            replace_for_owner(self._path, _ENTRIES.dump_json(users, indent=1).decode())
        except OSError as error:
            raise UsageError(f"{self._path} can't be written: {error.strerror}") from error


class Access:
    def __init__(self, settings: AccessSettings) -> None:
        self.settings = settings
        self.users = Users(settings.users_file)
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self.one_at_a_time = asyncio.Lock()
        """For logging in: hashing takes a core, and tries are counted one after the other."""
        self._proxies = tuple(ip_network(address) for address in settings.proxy_addresses)

    def session_of(self, request: Request) -> Session | None:
        """Who asks. A proxy's word counts only from its own address."""
        if self._proxies:
            return self._session_by_proxy(request)
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        if session is None or session.expires < time.monotonic():
            return None
        return session if self.users.names().get(session.user.name) == session.user.role else None

    def _session_by_proxy(self, request: Request) -> Session | None:
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

    def lasts(self, request: Request) -> bool:
        """Whether who asked is still in: of a page that stays open."""
        with suppress(UsageError):
            return self.session_of(request) is not None
        return False

    def log_in(self, name: str, password: str) -> str | None:
        """A new session's token, never one that a browser brought along; None: wrong. Raises UsageError while the name
        has been tried too often."""
        now = time.monotonic()
        failures = self._failures.setdefault(name[:LONGEST_NAME], deque(maxlen=self.settings.attempts))
        if len(failures) == self.settings.attempts and now - failures[0] < TRIES_WINDOW_SECONDS:
            raise UsageError("too many wrong passwords for this name: wait a minute")
        user = self.users.check(name[:LONGEST_NAME], password[:LONGEST_PASSWORD])
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
        self._sessions[token] = Session(user, secrets.token_urlsafe(32), time.monotonic() + SESSION_SECONDS)
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)


def csrf_ok(session: Session, given: str) -> bool:
    return hmac.compare_digest(session.csrf.encode(), given.encode())
