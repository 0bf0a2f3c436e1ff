"""The read-only part of the Confluent Schema Registry API, so that stock deserializers need no other server.

Paths, bodies and error codes are those of that API (https://docs.confluent.io/platform/current/schema-registry/develop).
Apicurio's deserializer, the one on Maven Central, asks for the same schemas at `GET /apis/registry/v2/ids/…`.
Clients can write nothing: ids come from `schemas/ids.json`. Schemas are not secret, so there is no log-in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from router.http import web_application
from router.schema_registry.schema_publication import COMPATIBILITY, CONTENT_TYPE, PublishedSchema, published_schemas

LONGEST_PATH: Final = 1000
"""Bytes of path and query together. The longest request of a stock client has about 200."""

SUBJECT_NOT_FOUND: Final = 40401
VERSION_NOT_FOUND: Final = 40402
SCHEMA_NOT_FOUND: Final = 40403
INVALID_VERSION: Final = 42202
LARGEST_VERSION: Final = 2**31 - 1

READ_ONLY: Final = (
    "this registry is read-only: its schemas and their ids come with the router. A serializer needs "
    "auto.register.schemas = false and use.latest.version = true"
)


class _ApiError(Exception):
    """An error in the API's code and words; `_error_answer` turns it into JSON."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def schema_registry_app() -> ASGIApp:
    """The registry as an ASGI application; it needs no log."""
    app = web_application(
        routes=[Route(path, _endpoint(answer)) for path, answer in _ANSWERS.items()],
        exception_handlers={_ApiError: _error_answer, HTTPException: _error_answer},
    )
    return _WithinLimits(app)


class _WithinLimits:
    """Refuses requests that no client of a read-only registry sends, before their bodies are read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._app
        if scope["type"] == "http" and len(scope["path"]) + len(scope["query_string"]) > LONGEST_PATH:
            answer = _error(HTTPStatus.REQUEST_URI_TOO_LONG, f"the address has more than {LONGEST_PATH} bytes")
        elif scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            answer = _error(HTTPStatus.METHOD_NOT_ALLOWED, READ_ONLY, {"Allow": "GET, HEAD"})
        await answer(scope, receive, send)


def _endpoint(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """An endpoint that answers with a schema's text as it is, and with anything else as the API's JSON."""

    async def respond(request: Request) -> Response:
        found = answer(request)
        if isinstance(found, str):
            return Response(found, media_type="application/json")
        return JSONResponse(found, media_type=CONTENT_TYPE)

    return respond


def _schema_of_id(request: Request) -> PublishedSchema:
    wanted = request.path_params["id"]
    for one in published_schemas():
        if str(one.id) == wanted:
            return one
    raise _ApiError(SCHEMA_NOT_FOUND, f"Schema {wanted} not found")


def _schemas_of_subject(request: Request) -> list[PublishedSchema]:
    subject = request.path_params["subject"]
    found = [one for one in published_schemas() if one.subject == subject]
    if not found:
        raise _ApiError(SUBJECT_NOT_FOUND, f"Subject '{subject}' not found.")
    return found


def _schema_of_version(request: Request) -> PublishedSchema:
    versions, wanted = _schemas_of_subject(request), request.path_params["version"]
    if wanted in ("latest", "-1"):
        return versions[-1]
    if not (wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= LARGEST_VERSION):
        raise _ApiError(
            INVALID_VERSION,
            f"The specified version '{wanted}' is not a valid version id. Allowed values are between "
            f'[1, 2^31-1] and the string "latest"',
        )
    for one in versions:
        if one.version == int(wanted):
            return one
    raise _ApiError(VERSION_NOT_FOUND, f"Version {wanted} not found.")


def _by_id(request: Request) -> dict[str, Any]:
    wants_largest = request.query_params.get("fetchMaxId", "").lower() == "true"
    largest = {"maxId": max(one.id for one in published_schemas())} if wants_largest else {}
    return {"schema": _schema_of_id(request).schema} | largest


def _versions_of_id(request: Request) -> list[dict[str, Any]]:
    found = _schema_of_id(request)
    return [{"subject": found.subject, "version": found.version}]


def _subjects(request: Request) -> list[str]:
    prefix = request.query_params.get("subjectPrefix", "")
    return sorted({one.subject for one in published_schemas() if one.subject.startswith(prefix)})


def _by_version(request: Request) -> dict[str, Any]:
    found = _schema_of_version(request)
    return {"subject": found.subject, "version": found.version, "id": found.id, "schema": found.schema}


def _references(request: Request) -> str:
    _schema_of_id(request)
    return "[]"


_ANSWERS: Final[Mapping[str, Callable[[Request], Any]]] = {
    "/": lambda _: {},
    "/schemas/types": lambda _: ["AVRO"],
    "/schemas/ids/{id}": _by_id,
    "/schemas/ids/{id}/schema": lambda request: _schema_of_id(request).schema,
    "/schemas/ids/{id}/subjects": lambda request: [_schema_of_id(request).subject],
    "/schemas/ids/{id}/versions": _versions_of_id,
    "/subjects": _subjects,
    "/subjects/{subject}/versions": lambda request: [one.version for one in _schemas_of_subject(request)],
    "/subjects/{subject}/versions/{version}": _by_version,
    "/subjects/{subject}/versions/{version}/schema": lambda request: _schema_of_version(request).schema,
    "/config": lambda _: {"compatibilityLevel": COMPATIBILITY},
    "/config/{subject}": lambda _: {"compatibilityLevel": COMPATIBILITY},
    "/mode": lambda _: {"mode": "READONLY"},
    "/mode/{subject}": lambda _: {"mode": "READONLY"},
    "/apis/registry/v2/ids/{kind}/{id}": lambda request: _schema_of_id(request).schema,
    "/apis/registry/v2/ids/{kind}/{id}/references": _references,
}
"""The answer at each path."""


async def _error_answer(_: Request, error: Exception) -> Response:
    if isinstance(error, _ApiError):
        return _error(error.code, str(error))
    assert isinstance(error, HTTPException)
    return _error(error.status_code, f"HTTP {error.status_code} {error.detail}")


def _error(code: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """The API's codes of five digits begin with the HTTP status."""
    status = code if code < 1000 else code // 100
    return JSONResponse({"error_code": int(code), "message": message}, status, headers, CONTENT_TYPE)
