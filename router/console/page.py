"""Making pages from templates."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from router.console.access import Session
from router.console.desk import Desk
from router.console.index import Entry
from router.console.shown import STATUSES, moment
from router.harmless import harmless

FORM: Final = "application/x-www-form-urlencoded"

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=lambda value: harmless(value) if type(value) is str else value,
)
_TEMPLATES.globals["moment"] = moment
_TEMPLATES.globals["STATUSES"] = STATUSES


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def session_of(request: Request) -> Session:
    """Of one who got past the gate."""
    session: Session = request.scope["state"]["session"]
    return session


async def form_of(request: Request, most_fields: int) -> dict[str, str]:
    """The fields of a form as browsers send ours. Raises HTTPException for any other: a body in parts may name its own
    encoding, down to ones that make text which can't be written."""
    if request.headers.get("content-type", FORM).partition(";")[0].strip().lower() != FORM:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a form is sent as {FORM}")
    given = await request.form(max_files=0, max_fields=most_fields)
    return {name: str(value) for name, value in given.items()}


def rendered(template: str, **values: Any) -> str:
    return _TEMPLATES.get_template(template).render(**values)


def page(request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    desk = desk_of(request)
    session = request.scope.get("state", {}).get("session")
    shared = {
        "user": session.user if session else None,
        "csrf": session.csrf if session else "",
        "path": request.url.path,
        "trouble": desk.follower.trouble,
        "catching_up": not desk.follower.caught_up.is_set(),
        "outages": [outage for outage in desk.follower.outages.values() if outage.ended_at is None],
    }
    return HTMLResponse(rendered(template, **shared, **values), status)


def problem(request: Request, status: HTTPStatus, text: str) -> Response:
    return page(request, "problem.html", status, title=status.phrase, text=text)


def row_of(entry: Entry) -> str:
    """An entry as a row of the notices' table."""
    return rendered("rows.html", entries=[entry])
