"""The schemas that other programs need, with subjects and versions, and their registration in an external registry.

A subject is a record's full name (`snp.Hold`), as in stock serializers' record name strategy. Its versions are the
schemas of that record in `schemas/ids.json`, in the order of their ids. Ids never change and are the same on both logs.

An external registry needs Confluent's API: look a schema up, test its compatibility, register it. The router only looks
its schemas up, at start; `snp-router registry register` alone registers them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from router.clock import growing_pauses
from router.codec import published
from router.errors import FatalLogError, RegistryError, UsageError

PUBLISHED_RECORDS: Final = frozenset({"Hold", "Change", "Release", "FeedStatus", "Request", "Disposition"})
"""The records that parties, or programs that feed events in, read or write; all others are internal."""

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
COMPATIBILITY: Final = "FULL_TRANSITIVE"
"""All versions of readers and records fit together; `tests/codec/test_schemas.py` checks it."""
ANSWER_SECONDS: Final = 10.0
LARGEST_ANSWER: Final = 4_000_000
NOT_FOUND: Final = 404


class RegistrySettings(BaseModel):
    """An external registry. Without `url`, notices carry our own ids, which `snp-router registry serve` knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = None
    """Root of a Confluent Schema Registry API; for Apicurio it ends in `/apis/ccompat/v7`."""
    public_url: str | None = None
    """The registry that parties use, if not `url`: for example `snp-router registry serve`. For `asyncapi` only."""
    username: str | None = None
    password_file: Path | None = None
    """Read at start; a newline at its end is dropped."""
    cafile: Path | None = None
    """PEM of the authority that signed the registry's certificate, unless the system trusts it."""
    start_deadline_seconds: float = Field(default=60.0, gt=0)
    """Time during which a starting router repeats its question to a registry that does not answer."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if any(url is not None and not url.startswith(("http://", "https://")) for url in (self.url, self.public_url)):
            raise ValueError("url and public_url must begin with http:// or https://")
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together: set both or neither")
        return self


class PublishedSchema(NamedTuple):
    """One version of one subject."""

    subject: str
    version: int
    id: int
    name: str
    """The file's name without `.avsc`."""
    schema: str
    """JSON text, docs and logical types included."""


@cache
def published_schemas() -> tuple[PublishedSchema, ...]:
    """Every version of every published subject, ordered by id."""
    versions: dict[str, int] = {}
    found = []
    for name, number in sorted(published.schema_ids().items(), key=lambda item: item[1]):
        schema = published.raw_schema(name)
        if schema["name"] in PUBLISHED_RECORDS:
            subject = f"{schema['namespace']}.{schema['name']}"
            versions[subject] = versions.get(subject, 0) + 1
            text = json.dumps(schema, ensure_ascii=False)
            found.append(PublishedSchema(subject, versions[subject], number, name, text))
    return tuple(found)


class Registration(NamedTuple):
    """One of our schemas in the external registry."""

    schema: PublishedSchema
    id: int | None
    """The external registry's id; None if it is not registered."""
    problem: str | None = None
    """The reason why it can't be registered."""


class ExternalRegistry:
    """A client of the external registry. Every method blocks, and may raise RegistryError."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Raises UsageError if no registry is set, or a file of its settings can't be read."""
        if settings.url is None:
            raise UsageError(
                "no external schema registry is set, so notices carry our own ids: to use one, set registry.url"
            )
        self.url = settings.url.rstrip("/")
        self._headers = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE} | _login(settings)
        self._tls = _tls(settings)

    def registrations(self) -> list[Registration]:
        """Look up all published schemas; nothing is changed."""
        return [self._registration(schema) for schema in published_schemas()]

    def register(self) -> list[Registration]:
        """Register missing schemas, oldest first. An incompatible one is not registered, and has a `problem`."""
        registrations = []
        for schema in published_schemas():
            registration = self._registration(schema)
            if registration.id is None:
                self._ask("PUT", f"/config/{quote(schema.subject)}", {"compatibility": COMPATIBILITY})
                registration = self._registration(schema)
            if registration.id is None and registration.problem is None:
                self._ask("POST", f"/subjects/{quote(schema.subject)}/versions", {"schema": schema.schema})
                registration = self._registration(schema)
            registrations.append(registration)
        return registrations

    def _registration(self, schema: PublishedSchema) -> Registration:
        """Look a schema up. A 404 means that its subject is missing, or that the subject has other schemas only."""
        subject, body = quote(schema.subject), {"schema": schema.schema}
        found = self._look_up(f"/subjects/{subject}", body)
        if found is not None:
            return Registration(schema, int(found["id"]))
        answer = self._look_up(f"/compatibility/subjects/{subject}/versions/latest?verbose=true", body)
        if answer is None or answer["is_compatible"]:
            return Registration(schema, None)
        reasons = "; ".join(map(str, answer.get("messages") or ())) or "the registry gives no reason"
        return Registration(schema, None, f"not compatible with the registered versions ({reasons})")

    def _look_up(self, path: str, body: dict[str, Any]) -> Any:
        """The answer, or None for a 404."""
        try:
            return self._ask("POST", path, body)
        except RegistryError as refusal:
            if refusal.status == NOT_FOUND:
                return None
            raise

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS, context=self._tls) as response:
                return json.loads(response.read(LARGEST_ANSWER))
        except urllib.error.HTTPError as error:
            text = f"the schema registry {self.url} answers {method} {path} with {error.code}: {_message(error)}"
            raise RegistryError(text, error.code) from error
        except OSError as error:
            raise RegistryError(f"the schema registry {self.url} does not answer: {error}") from error
        except ValueError as error:
            raise RegistryError(f"{self.url} is no schema registry: its answer to {path} is not JSON") from error


async def publish_under_external_ids(settings: RegistrySettings) -> None:
    """Make this process write parties' records with the external registry's ids; do nothing if no registry is set.

    Raises FatalLogError if a schema is not registered, or the registry does not answer in time.
    """
    if settings.url is None:
        return
    registrations = await _ask_until(ExternalRegistry(settings), settings.start_deadline_seconds)
    if missing := sorted({one.schema.subject for one in registrations if one.id is None}):
        raise FatalLogError(
            f"the schema registry {settings.url} lacks our schemas of {', '.join(missing)}: "
            "register them with `snp-router registry register`"
        )
    ids = {one.schema.name: one.id for one in registrations if one.id is not None}
    if max(ids.values()) >= published.FIRST_ID:
        raise FatalLogError(
            f"the schema registry {settings.url} has the id {max(ids.values())}, but ids from {published.FIRST_ID} are "
            "reserved for our own schemas: use another registry"
        )
    published.publish_under(ids)


async def _ask_until(registry: ExternalRegistry, seconds: float) -> list[Registration]:
    deadline = time.monotonic() + seconds
    for pause in growing_pauses(0.5, 5.0):
        try:
            return await asyncio.to_thread(registry.registrations)
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
        raise UsageError(f"cannot read registry.password_file: {error}") from error
    login = base64.b64encode(f"{settings.username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {login}"}


def _tls(settings: RegistrySettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.cafile)
    except OSError as error:
        raise UsageError(f"cannot use registry.cafile {settings.cafile}: {error}") from error


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(LARGEST_ANSWER))["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(error.reason)
