"""Users of the console: their page, and the deeds on them. For admins only."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.deeds import Deed, FormFields, Preview, name_of, required
from router.console.rendering import backend_of, page, session_of
from router.console.sessions import ADMIN, LONGEST_NAME, ROLES, SHORTEST_PASSWORD, LoginSessions, StoredUser
from router.engine.administration import AuditEntry, audit_output
from router.errors import UsageError

USERS: Final = "/users"
SEALED: Final = "sealed"
"""The field with the signed entry of a new user. It has the password's hash, so that no preview holds the password."""

MAY: Final = {
    "viewer": "read",
    "operator": "read, and act on bills, outages and dead letters",
    "admin": "read, act, manage users, and start or stop a party's notices",
}


async def users(request: Request) -> Response:
    """The local users and their roles."""
    if not session_of(request).user.may_administer:
        raise HTTPException(HTTPStatus.FORBIDDEN, "only admins see the users")
    sessions = backend_of(request).sessions
    known = sorted(sessions.users.roles().items()) if sessions.are_local else []
    return page(
        request, "users.html", users=known, are_local=sessions.are_local, roles=ROLES, may=MAY,
        longest_name=LONGEST_NAME, shortest_password=SHORTEST_PASSWORD, is_live=False,
    )  # fmt: skip


def _sessions(request: Request) -> LoginSessions:
    """Raises UsageError where a proxy has the users."""
    sessions = backend_of(request).sessions
    if not sessions.are_local:
        raise UsageError("the proxy logs users in: change them there")
    return sessions


def _known(request: Request, fields: FormFields) -> tuple[str, StoredUser]:
    """The user that the form names. Raises UsageError."""
    name = required(fields, "name")
    stored = _sessions(request).users.stored(name)
    if stored is None:
        raise UsageError(f"there is no user {name}")
    return name, stored


def _refuse_own(request: Request, name: str) -> None:
    """Keep an admin from locking everybody out. Raises UsageError."""
    if name == name_of(request):
        raise UsageError("this is your own account: another admin has to do that")


def _role_of(fields: FormFields) -> str:
    role = fields.get("role", "")
    if role not in ROLES:
        raise UsageError(f"there is no role {role!r}: use {', '.join(ROLES[:-1])} or {ROLES[-1]}")
    return role


async def _preview_add(request: Request, fields: FormFields) -> Preview:
    sessions, name, role = _sessions(request), required(fields, "name"), _role_of(fields)
    sealed = fields.get(SEALED)
    if sealed is None:
        made = await asyncio.to_thread(sessions.users.made, name, role, required(fields, "password"))
        sealed = sessions.sign([name, made.model_dump()])
    else:
        _unsealed(sessions, sealed, name)
    stored = sessions.users.stored(name)
    if stored is not None and role != stored.role:
        _refuse_own(request, name)
    facts = [f"{name} may {MAY[role]}."]
    warnings = []
    if stored is not None:
        warnings.append(f"{name} is {stored.role} already, gets this role and password, and is logged out everywhere.")
    heading = f"{'Add the user' if stored is None else 'Change'} {name}, {role}"
    return Preview(heading, tuple(facts), warnings=tuple(warnings), fields={"name": name, "role": role, SEALED: sealed})


def _unsealed(sessions: LoginSessions, sealed: str, name: str) -> StoredUser:
    """Raises UsageError for anything but what this console sealed for that name."""
    match sessions.signed(sealed):
        case [str(of), dict(entry)] if of == name:
            return StoredUser.model_validate(entry)
    raise UsageError("the preview is missing: enter the user again")


async def _add(request: Request, fields: FormFields) -> str:
    """Add a user, or give one another role and password."""
    sessions, name = _sessions(request), required(fields, "name")
    user = _unsealed(sessions, fields[SEALED], name)
    await _audited(request, "console user add", name, user.role)
    sessions.users.store(name, user)
    return USERS


async def _preview_role(request: Request, fields: FormFields) -> Preview:
    (name, stored), role = _known(request, fields), _role_of(fields)
    _refuse_own(request, name)
    if stored.role == role:
        raise UsageError(f"{name} is {role} already")
    facts = (f"{name} was {stored.role}, and may then {MAY[role]}.", "All sessions of the user end.")
    return Preview(f"Make {name} {role}", facts)


async def _change_role(request: Request, fields: FormFields) -> str:
    """Give a user another role."""
    name, stored = _known(request, fields)
    role = _role_of(fields)
    await _audited(request, "console user role", name, f"{role}, was {stored.role}")
    _sessions(request).users.store(name, stored.model_copy(update={"role": role}))
    return USERS


async def _preview_log_out(request: Request, fields: FormFields) -> Preview:
    name, _ = _known(request, fields)
    return Preview(f"Log {name} out everywhere", ("All sessions of the user end, in every browser.",))


async def _log_out(request: Request, fields: FormFields) -> str:
    """End all sessions of a user."""
    name, _ = _known(request, fields)
    await _audited(request, "console user log-out", name)
    _sessions(request).end_all(name)
    return USERS


async def _preview_remove(request: Request, fields: FormFields) -> Preview:
    name, stored = _known(request, fields)
    _refuse_own(request, name)
    return Preview(f"Remove {name}, {stored.role}", ("The user may not log in any more; all sessions end.",))


async def _remove(request: Request, fields: FormFields) -> str:
    """Remove a user."""
    name, _ = _known(request, fields)
    await _audited(request, "console user remove", name)
    _sessions(request).users.remove(name)
    return USERS


async def _audited(request: Request, action: str, name: str, detail: str | None = None) -> None:
    """Write to the audit first: what can't be audited is not done."""
    entry = AuditEntry(now_milliseconds(), name_of(request), action, name, detail)
    await backend_of(request).log.append([audit_output(entry)])


DEEDS: Final = (
    Deed("/users", "add", users, USERS, _preview_add, _add, role=ADMIN),
    Deed("/users/role", "role", users, USERS, _preview_role, _change_role, role=ADMIN),
    Deed("/users/log-out", "log-out", users, USERS, _preview_log_out, _log_out, role=ADMIN),
    Deed("/users/remove", "remove", users, USERS, _preview_remove, _remove, role=ADMIN),
)
ROUTES: Final = [Route(USERS, users)]
