"""An external schema registry with Confluent's API: looked up at start, written to only by `registry register`.

Three calls of that API are all there is: is this schema registered, would it be compatible, register it. Subjects are
record names (`snp.Hold`), as in our own registry.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from router import codec
from router.clock import growing_pauses
from router.errors import FatalLogError, RegistryError, UsageError
from router.schema_registry.published import Published, published
from router.schema_registry.settings import RegistrySettings

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
COMPATIBILITY: Final = "FULL_TRANSITIVE"
"""What our own tests hold every change of a schema to."""
LARGEST_ANSWER: Final = 4_000_000
NOT_FOUND: Final = 404


class Standing(NamedTuple):
    """How one of our schemas stands in the registry."""

    schema: Published
    id: int | None
    """None: it is not registered."""
    problem: str | None = None
    """Why it can't be."""


class ExternalRegistry:
    """Every method may raise RegistryError, and blocks: call it in a thread."""

    def __init__(self, settings: RegistrySettings) -> None:
        if settings.url is None:
            raise UsageError(
                "no external registry is set: registry.url names one; without it notices carry our own ids"
            )
        self.url = settings.url.rstrip("/")
        self._seconds = settings.answer_seconds
        self._headers = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE} | _login(settings)
        self._tls = _tls(settings)

    def standings(self) -> list[Standing]:
        """Of all that parties read or write, without changing anything."""
        return [self._standing(schema) for schema in published()]

    def register(self) -> list[Standing]:
        """Register what is missing and compatible, oldest first; what is not stays out, with the reason."""
        standings = []
        for schema in published():
            standing = self._standing(schema)
            if standing.id is None:
                self._ask("PUT", f"/config/{quote(schema.subject)}", {"compatibility": COMPATIBILITY})
                standing = self._standing(schema)
            if standing.id is None and standing.problem is None:
                self._ask("POST", f"/subjects/{quote(schema.subject)}/versions", {"schema": schema.schema})
                standing = self._standing(schema)
            standings.append(standing)
        return standings

    def _standing(self, schema: Published) -> Standing:
        """An answer that a schema is not there may be of its subject, or of another schema under it."""
        subject, body = quote(schema.subject), {"schema": schema.schema}
        try:
            return Standing(schema, int(self._ask("POST", f"/subjects/{subject}", body)["id"]))
        except RegistryError as refusal:
            if refusal.status != NOT_FOUND:
                raise
        try:
            answer = self._ask("POST", f"/compatibility/subjects/{subject}/versions/latest?verbose=true", body)
        except RegistryError as refusal:
            if refusal.status != NOT_FOUND:
                raise
            return Standing(schema, None)
        if answer["is_compatible"]:
            return Standing(schema, None)
        reasons = "; ".join(map(str, answer.get("messages") or ())) or "the registry does not say why"
        return Standing(schema, None, f"not compatible with what is registered ({reasons})")

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self._seconds, context=self._tls) as response:
                return json.loads(response.read(LARGEST_ANSWER))
        except urllib.error.HTTPError as error:
            text = f"the schema registry {self.url} answers {method} {path} with {error.code}: {_message(error)}"
            raise RegistryError(text, error.code) from error
        except (OSError, ValueError) as error:
            raise RegistryError(f"the schema registry {self.url} does not answer as one: {error}") from error


async def publish_under_external_ids(settings: RegistrySettings) -> None:
    """From now on, in this process, write what parties read with the external registry's ids; nothing if none is set.

    Raises FatalLogError where a schema is not registered there, or the registry does not answer in time.
    """
    if settings.url is None:
        return
    standings = await _answered(ExternalRegistry(settings), settings.start_deadline_seconds)
    if missing := sorted({standing.schema.subject for standing in standings if standing.id is None}):
        raise FatalLogError(
            f"the schema registry {settings.url} does not have our schemas of {', '.join(missing)}: "
            "`snp-router registry check` tells more, `snp-router registry register` registers them"
        )
    ids = {standing.schema.name: standing.id for standing in standings if standing.id is not None}
    if high := [number for number in ids.values() if number >= codec.FIRST_ID]:
        raise FatalLogError(f"the schema registry {settings.url} has ids as high as our own ({max(high)})")
    codec.publish_under(ids)


async def _answered(registry: ExternalRegistry, seconds: float) -> list[Standing]:
    deadline = time.monotonic() + seconds
    for pause in growing_pauses(0.5, 5.0):
        try:
            return await asyncio.to_thread(registry.standings)
        except RegistryError as error:
            if error.is_an_answer or time.monotonic() + pause > deadline:
                raise FatalLogError(str(error)) from error
        await asyncio.sleep(pause)
    raise AssertionError("pauses never end")


def _login(settings: RegistrySettings) -> dict[str, str]:
    if settings.username is None or settings.password_file is None:
        return {}
    try:
        password = settings.password_file.read_text().rstrip("\r\n")
    except OSError as error:
        raise UsageError(f"registry.password_file can't be read: {error}") from error
    login = base64.b64encode(f"{settings.username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {login}"}


def _tls(settings: RegistrySettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.cafile)
    except OSError as error:
        raise UsageError(f"registry.cafile {settings.cafile} can't be used: {error}") from error


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(LARGEST_ANSWER))["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(error.reason)
