"""Users, their roles and their sessions. Users are local, with argon2 hashes, or come from a trusted proxy's headers.

A session is a signed cookie (Starlette's SessionMiddleware), so it outlives a restart of the console. It names the
user's generation, which changes with the password, the role and each log-out, and ends with the user.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import Counter
from contextlib import suppress
from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request

from router.console import AccessSettings
from router.console.login_throttle import LoginThrottle, network_of
from router.errors import UsageError
from router.files import OTHERS, EntriesFile, replace_for_owner

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
ADMIN: Final = "admin"
ROLES: Final = (VIEWER, OPERATOR, ADMIN)
"""Each may do what those before it may."""

COOKIE: Final = "snp_console"
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024
"""The cost of hashing grows with the length, which must not be a stranger's choice."""
LONGEST_NAME: Final = 64

SESSION_SECONDS: Final = 12 * 3600
"""A shift."""
DIGEST_CHARACTERS: Final = 32
MOST_WAITING: Final = 16
"""Log-ins whose passwords wait to be hashed, one at a time: about a second's."""
MOST_WAITING_OF_ADDRESS: Final = 4


class StoredUser(BaseModel):
    """A user's entry in the file."""

    role: str
    hash: str


_STORED_USERS: Final = TypeAdapter(dict[str, StoredUser])


class User(NamedTuple):
    name: str
    role: str

    def has(self, role: str) -> bool:
        """Tell whether the user may do what this role may."""
        return self.role in ROLES and ROLES.index(self.role) >= ROLES.index(role)

    @property
    def may_act(self) -> bool:
        return self.has(OPERATOR)

    @property
    def may_administer(self) -> bool:
        return self.has(ADMIN)


class LoginSession(NamedTuple):
    user: User
    csrf: str
    """Token in every form; other sites can't know it."""


class Users:
    """The file of local users. Each call reads it anew, so that a removed user's session ends with the next page."""

    def __init__(self, path: Path) -> None:
        self._file = EntriesFile(path, _STORED_USERS, "user", "snp-router console user list")
        self._hasher = PasswordHasher()

    @cached_property
    def _unknown_hash(self) -> str:
        return self._hasher.hash(secrets.token_hex(16))

    def roles(self) -> dict[str, str]:
        """The role of each user, by name."""
        return {name: user.role for name, user in self._file.read().items()}

    def stored(self, name: str) -> StoredUser | None:
        return self._file.read().get(name)

    def put(self, name: str, role: str, password: str) -> None:
        """Add a user, or replace role and password of an existing one. Raises UsageError."""
        self.store(name, self.made(name, role, password))

    def store(self, name: str, user: StoredUser) -> None:
        """Add a user, or replace the one of that name. Raises UsageError."""
        self._file.put(name, user)

    def made(self, name: str, role: str, password: str) -> StoredUser:
        """The entry of a user with this password, not yet in the file. Hashing takes a core for 0.1 s or so. Raises
        UsageError."""
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise UsageError(f"the name {name!r} is invalid: use 1 to {LONGEST_NAME} printable characters")
        if role not in ROLES:
            raise UsageError(f"there is no role {role!r}: use {', '.join(ROLES[:-1])} or {ROLES[-1]}")
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise UsageError(
                f"the password has {len(password)} characters: use {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}"
            )
        return StoredUser(role=role, hash=self._hasher.hash(password))

    def remove(self, name: str) -> None:
        self._file.remove(name)

    def check(self, name: str, password: str) -> User | None:
        """The user with this password. An unknown name takes as long as a wrong password."""
        stored, unknown = self.stored(name), self._unknown_hash
        with suppress(VerificationError, InvalidHashError):
            self._hasher.verify(stored.hash if stored else unknown, password)
            return User(name, stored.role) if stored else None
        return None


class StoredSessions(BaseModel):
    """Contents of the sessions' file. It names no session, but its key signs them all."""

    key: str
    logouts: dict[str, int] = {}
    """Number of log-outs of each user."""


class SessionsFile:
    """The key that signs sessions, and each user's log-outs. Without the file a new one is made, which ends every
    session."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError."""
        self._path = path
        self._stored = self._read()

    def _read(self) -> StoredSessions:
        try:
            if self._path.stat().st_mode & OTHERS:
                raise UsageError(f"other users of this machine may read {self._path}: run `chmod 600 {self._path}`")
            return StoredSessions.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            made = StoredSessions(key=secrets.token_urlsafe(32))
            self._write(made)
            return made
        except OSError as error:
            raise UsageError(f"cannot read {self._path}: {error.strerror}") from error
        except ValidationError as error:
            raise UsageError(f"{self._path} is damaged: delete it; everybody then logs in again") from error

    def _write(self, stored: StoredSessions) -> None:
        try:
            replace_for_owner(self._path, stored.model_dump_json())
        except OSError as error:
            raise UsageError(f"cannot write {self._path}: {error.strerror}") from error

    @property
    def key(self) -> str:
        return self._stored.key

    def logouts(self, name: str) -> int:
        return self._stored.logouts.get(name, 0)

    def count_logout(self, name: str) -> None:
        """Raises UsageError if the count can't be kept; until a restart it is in force all the same."""
        self._stored.logouts[name] = self.logouts(name) + 1
        self._write(self._stored)

    def digest(self, *parts: object) -> str:
        """A digest that nobody without the key can make."""
        return hmac.new(self.key.encode(), repr(parts).encode(), "sha256").hexdigest()[:DIGEST_CHARACTERS]


class LoginSessions:
    """Log-ins, and the sessions that follow from them."""

    def __init__(self, settings: AccessSettings) -> None:
        self.settings = settings
        self.throttle = LoginThrottle()
        self._hashing = asyncio.Lock()
        """Lets one log-in run at a time: hashing takes a core, and failures are counted in order."""
        self._waiting: Counter[str] = Counter()
        """Log-ins under way, by network address."""
        self._known: set[tuple[str, str]] = set()
        """Names and the networks that logged in under them, since the console started."""
        self.users = Users(settings.users_file)
        self._file = SessionsFile(settings.sessions_file)
        self._signer = URLSafeSerializer(self._file.key, salt="receipt")
        self._proxies = tuple(ip_network(address) for address in settings.proxy_addresses)

    def session_of(self, request: Request) -> LoginSession | None:
        """The session of a request, by its cookie or by headers from a proxy's address. Raises UsageError."""
        if self._proxies:
            return self._session_by_proxy(request)
        kept = request.session
        if kept.get("until", 0) < time.time() or self._generation(kept["name"]) != kept["generation"]:
            return None
        return LoginSession(User(kept["name"], kept["role"]), kept["csrf"])

    def _generation(self, name: str) -> str | None:
        """Changes when the user is given another password or role, or logs out; None without such a user."""
        stored = self.users.stored(name)
        if stored is None:
            return None
        return self._file.digest(name, stored.role, stored.hash, self._file.logouts(name))

    def _session_by_proxy(self, request: Request) -> LoginSession | None:
        host = request.client.host if request.client else ""
        if not any(ip_address(host) in network for network in self._proxies):
            return None
        name = request.headers.get(self.settings.proxy_user_header, "")
        if not name or len(name) > LONGEST_NAME:
            return None
        asked = request.headers.get(self.settings.proxy_role_header)
        role = asked if asked in ROLES else VIEWER
        return LoginSession(User(name, role), self._file.digest("proxy", name, role))

    def begin(self, request: Request, user: User) -> None:
        """Begin a session in this browser. Its token is new, so that nobody can plant one."""
        request.session.clear()
        request.session.update(
            name=user.name,
            role=user.role,
            csrf=secrets.token_urlsafe(32),
            until=int(time.time()) + SESSION_SECONDS,
            generation=self._generation(user.name),
        )

    async def log_in(self, name: str, password: str, address: str, *, is_known: bool) -> User | None:
        """The user, or None if the password is wrong. Raises UsageError if it is not even looked at, after too many
        wrong ones or while too many wait.

        `is_known`: this address has logged in under this name before. Hashing leaves the event loop free.
        """
        self._refuse_too_many(name, address, is_known=is_known)
        network = network_of(address)
        if self._waiting.total() >= MOST_WAITING or self._waiting[network] >= MOST_WAITING_OF_ADDRESS:
            raise UsageError("too many log-ins at once: try again in a moment")
        self._waiting[network] += 1
        try:
            async with self._hashing:
                self._refuse_too_many(name, address, is_known=is_known)  # others may have failed meanwhile
                user = await asyncio.to_thread(self.users.check, name, password[:LONGEST_PASSWORD])
                if user is None:
                    self.throttle.failed(name, address, is_known=is_known)
                    return None
        finally:
            self._waiting[network] -= 1
            self._waiting += Counter()  # drops those at zero
        self._known.add((name, network))
        return user

    def knows(self, name: str, address: str) -> bool:
        """Tell whether `address` has logged in under this name since the console started."""
        return (name, network_of(address)) in self._known

    def _refuse_too_many(self, name: str, address: str, *, is_known: bool) -> None:
        if reason := self.throttle.reason_against(name, address, is_known=is_known):
            raise UsageError(reason)

    def is_user(self, name: str) -> bool:
        return self.users.stored(name) is not None

    def log_out(self, request: Request, user: User) -> None:
        """End all sessions of the user, in every browser. Raises UsageError."""
        request.session.clear()
        self.end_all(user.name)

    def end_all(self, name: str) -> None:
        """End all sessions of the user of that name, in every browser. Raises UsageError."""
        self._file.count_logout(name)

    @property
    def are_local(self) -> bool:
        """False if a proxy logs users in."""
        return not self._proxies

    def sign(self, value: Any) -> str:
        """A token of a JSON value that only this console makes; for a page's address."""
        return self._signer.dumps(value)

    def signed(self, token: str) -> Any:
        """The value of a token; None for any other text."""
        with suppress(BadData):
            return self._signer.loads(token)
        return None

    @property
    def key(self) -> str:
        """The key that signs sessions."""
        return self._file.key


def csrf_ok(session: LoginSession, given: str) -> bool:
    return hmac.compare_digest(session.csrf.encode(), given.encode())
