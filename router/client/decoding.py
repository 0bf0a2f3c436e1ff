"""Values from a party's topic to notices, also those of a router that is newer than this kit."""

from __future__ import annotations

import asyncio
import io
import json
import urllib.error
import urllib.request
from typing import Any, Final

import fastavro

from router import codec
from router.client.values import Notice, notice_of
from router.errors import FatalLogError, InputError, UsageError

ASK_SECONDS: Final = 10
LARGEST_ANSWER: Final = 1_000_000
_KIND_OF: Final = {codec.raw_schema(kind)["name"]: kind for kind in codec.NOTICE_KINDS}


class NoticeDecoder:
    """Schemas are those that came with this kit. That of a newer router, or one with an external registry's id, is
    asked for at `registry_url`, once, and read as ours: what it adds is left out."""

    def __init__(self, registry_url: str | None = None) -> None:
        if registry_url is not None and not registry_url.startswith(("http://", "https://")):
            raise UsageError(f"registry_url is {registry_url!r}: write http://host:port or https://host:port")
        self._url = registry_url.rstrip("/") if registry_url else None
        self._newer: dict[int, tuple[str, Any]] = {}

    async def notice(self, value: bytes | None) -> Notice:
        """Raises InputError where it is no notice, FatalLogError where the registry does not answer."""
        if value is None or value[:1] != codec.MAGIC or len(value) < codec.HEADER_SIZE:
            raise InputError("the value does not begin with a schema's header")
        number = int.from_bytes(value[1 : codec.HEADER_SIZE], "big")
        if number not in codec.schema_names():
            return await self._of_newer(number, value)
        name, datum = codec.decode(value)
        if name not in codec.NOTICE_KINDS:
            raise InputError(f"a {name} record is no notice")
        return notice_of(name, datum)

    async def _of_newer(self, number: int, value: bytes) -> Notice:
        if number not in self._newer:
            self._newer[number] = await self._ask(number)
        kind, writer = self._newer[number]
        rest = io.BytesIO(value[codec.HEADER_SIZE :])
        try:
            datum: Any = fastavro.schemaless_reader(rest, writer, _reader(kind))
        except (ValueError, TypeError, IndexError, EOFError, fastavro.read.SchemaResolutionError) as error:
            raise InputError(f"it can't be read by its schema, {number} of {self._url} ({error!r})") from error
        return notice_of(kind, datum)

    async def _ask(self, number: int) -> tuple[str, Any]:
        """The kind of notice and the schema with that id, ready to read with."""
        if self._url is None:
            raise InputError(
                f"its schema, {number}, is not one of this kit's: the router is newer, or its ids are those of another "
                "registry. Give registry_url"
            )
        answer = await asyncio.to_thread(_fetch, f"{self._url}/schemas/ids/{number}")
        try:
            schema = json.loads(json.loads(answer)["schema"])
            return _KIND_OF[schema["name"]], fastavro.parse_schema(schema)
        except (ValueError, TypeError, KeyError, fastavro.schema.SchemaParseException) as error:
            raise InputError(f"schema {number} of {self._url} is not that of a notice ({error!r})") from error


def _reader(kind: str) -> Any:
    return fastavro.parse_schema(codec.raw_schema(kind))


def _fetch(url: str) -> bytes:
    """Raises FatalLogError where nobody answers, InputError where the answer is no."""
    try:
        with urllib.request.urlopen(url, timeout=ASK_SECONDS) as response:
            answer: bytes = response.read(LARGEST_ANSWER + 1)
    except urllib.error.HTTPError as error:
        raise InputError(f"its schema is not to be had: {url} answers {error.code}") from error
    except OSError as error:
        raise FatalLogError(f"the schema registry does not answer: {url} ({error})") from error
    if len(answer) > LARGEST_ANSWER:
        raise InputError(f"{url} answers with more than {LARGEST_ANSWER} bytes: that is no schema of ours")
    return answer
