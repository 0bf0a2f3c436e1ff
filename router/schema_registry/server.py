"""The read-only part of the Confluent Schema Registry API, so that stock deserializers need no other server.

Paths, bodies and error codes are those of that API (https://docs.confluent.io/platform/current/schema-registry/develop).
`GET /apis/registry/v2/ids/…` is how Apicurio's deserializer, the one that Maven Central has, asks for the same schemas.
Nothing can be written: ids come from `schemas/ids.json`. Nothing here is secret: a schema says how, never what.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from router.schema_registry.published import Published, published

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
LONGEST_PATH: Final = 1000
"""Of path and query together, in bytes. The longest that a stock client asks for has some 200."""

SUBJECT_NOT_FOUND: Final = 40401
VERSION_NOT_FOUND: Final = 40402
SCHEMA_NOT_FOUND: Final = 40403
INVALID_VERSION: Final = 42202
LARGEST_VERSION: Final = 2**31 - 1


class RegistryAnswer(JSONResponse):
    media_type = CONTENT_TYPE


class _NotThere(Exception):
    """What was asked for is not here, in that API's code and words; becomes its JSON at the edge."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def schema_registry_app() -> ASGIApp:
    """An ASGI application; knows nothing of any log."""
    confluent = [
        Route("/", _root),
        Route("/schemas/types", _types),
        Route("/schemas/ids/{id}", _by_id),
        Route("/schemas/ids/{id}/schema", _text_by_id),
        Route("/schemas/ids/{id}/subjects", _subjects_of_id),
        Route("/schemas/ids/{id}/versions", _versions_of_id),
        Route("/subjects", _subjects),
        Route("/subjects/{subject}/versions", _versions),
        Route("/subjects/{subject}/versions/{version}", _version),
        Route("/subjects/{subject}/versions/{version}/schema", _version_text),
        Route("/config", _config),
        Route("/config/{subject}", _config),
        Route("/mode", _mode),
        Route("/mode/{subject}", _mode),
    ]
    apicurio = [
        Route("/ids/{kind}/{id}", _text_by_id),
        Route("/ids/{kind}/{id}/references", _no_references),
    ]
    app = Starlette(
        routes=[*confluent, Mount("/apis/registry/v2", routes=apicurio)],
        exception_handlers={_NotThere: _as_answer, HTTPException: _as_answer},
    )
    return _WithinLimits(app)


class _WithinLimits:
    """Refuses what no client of a read-only registry sends before any of it is looked at. Bodies are never read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)


def _refusal(scope: Scope) -> Response | None:
    if len(scope["path"]) + len(scope["query_string"]) > LONGEST_PATH:
        return _error(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")
    if scope["method"] not in ("GET", "HEAD"):
        return _error(HTTPStatus.METHOD_NOT_ALLOWED, _READ_ONLY, {"Allow": "GET, HEAD"})
    return None


_READ_ONLY: Final = (
    "this registry is read-only: its schemas and their ids come with the router. A serializer needs "
    "auto.register.schemas = false and use.latest.version = true"
)


async def _root(_: Request) -> Response:
    return RegistryAnswer({})


async def _types(_: Request) -> Response:
    return RegistryAnswer(["AVRO"])


async def _by_id(request: Request) -> Response:
    found = _found_by_id(request)
    answer: dict[str, Any] = {"schema": found.schema}
    if request.query_params.get("fetchMaxId", "").lower() == "true":
        answer["maxId"] = max(one.id for one in published())
    return RegistryAnswer(answer)


async def _text_by_id(request: Request) -> Response:
    return Response(_found_by_id(request).schema, media_type="application/json")


async def _subjects_of_id(request: Request) -> Response:
    return RegistryAnswer([_found_by_id(request).subject])


async def _versions_of_id(request: Request) -> Response:
    found = _found_by_id(request)
    return RegistryAnswer([{"subject": found.subject, "version": found.version}])


async def _subjects(request: Request) -> Response:
    prefix = request.query_params.get("subjectPrefix", "")
    return RegistryAnswer(sorted({one.subject for one in published() if one.subject.startswith(prefix)}))


async def _versions(request: Request) -> Response:
    return RegistryAnswer([one.version for one in _of_subject(request)])


async def _version(request: Request) -> Response:
    found = _found_version(request)
    return RegistryAnswer({"subject": found.subject, "version": found.version, "id": found.id, "schema": found.schema})


async def _version_text(request: Request) -> Response:
    return Response(_found_version(request).schema, media_type="application/json")


async def _config(_: Request) -> Response:
    """What tests hold every change of a schema to: old readers read the new, new readers the old, back to the first."""
    return RegistryAnswer({"compatibilityLevel": "FULL_TRANSITIVE"})


async def _mode(_: Request) -> Response:
    return RegistryAnswer({"mode": "READONLY"})


async def _no_references(request: Request) -> Response:
    _found_by_id(request)
    return JSONResponse([])


def _found_by_id(request: Request) -> Published:
    wanted = request.path_params["id"]
    for one in published():
        if str(one.id) == wanted:
            return one
    raise _NotThere(SCHEMA_NOT_FOUND, f"Schema {wanted} not found")


def _of_subject(request: Request) -> list[Published]:
    subject = request.path_params["subject"]
    found = [one for one in published() if one.subject == subject]
    if not found:
        raise _NotThere(SUBJECT_NOT_FOUND, f"Subject '{subject}' not found.")
    return found


def _found_version(request: Request) -> Published:
    versions, wanted = _of_subject(request), request.path_params["version"]
    if wanted in ("latest", "-1"):
        return versions[-1]
    if not (wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= LARGEST_VERSION):
        raise _NotThere(
            INVALID_VERSION,
            f"The specified version '{wanted}' is not a valid version id. Allowed values are between "
            f'[1, 2^31-1] and the string "latest"',
        )
    for one in versions:
        if one.version == int(wanted):
            return one
    raise _NotThere(VERSION_NOT_FOUND, f"Version {wanted} not found.")


async def _as_answer(_: Request, error: Exception) -> Response:
    if isinstance(error, _NotThere):
        return _error(error.code, str(error))
    assert isinstance(error, HTTPException)
    return _error(error.status_code, f"HTTP {error.status_code} {error.detail}")


def _error(code: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """The API's codes of five digits begin with the HTTP status."""
    status = code if code < 1000 else code // 100
    return RegistryAnswer({"error_code": int(code), "message": message}, status, headers)
