"""A party's notices, one after the other; each is acknowledged only after the party's code has handled it."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from router import topics
from router.client.received_notice import NoticeDecoder, ReceivedNotice
from router.clock import now_milliseconds
from router.codec import encode_value
from router.errors import DestinationMissing, FatalLogError, InputError, UsageError
from router.log.interface import Output, Record
from router.log.url import KAFKA, SQLITE, open_log
from router.model.registry_values import RESYNC, Party, Request


def notices(
    url: str, *, party: str, group: str | None = None, registry_url: str | None = None, **kafka: Any
) -> NoticeStream:
    """An endless stream of `party`'s notices, from the position of its consumer group `group` (at first: the oldest).

    `url` is `kafka://host:port[,host:port]`, or `sqlite:///snp.db` to try it out. `party` is the SCAC under which the
    party is registered. A group's name begins with `snp.<SCAC>.`; its members share the notices, and each group
    receives all of them. `registry_url` is the schema registry with the schemas of a newer router. `kafka` holds the
    connection's settings: `sasl_username`, `sasl_password` or `sasl_password_file`, `ssl_cafile`, `ssl_certfile`,
    `ssl_keyfile` and the others of `router.log.kafka.KafkaSettings`. Raises UsageError if a parameter is invalid.
    """
    return NoticeStream(url, party.upper(), group, NoticeDecoder(registry_url), kafka)


class NoticeReader(Protocol):
    """Reads a party's topic: one coroutine calls `open`, then `next` and `handled` in turn, then `close`.

    All but `close` may raise UsageError and FatalLogError.
    """

    async def open(self) -> None: ...

    async def next(self) -> Any:
        """Wait for the next record, which has a `value`, and a `place` for messages."""
        ...

    def handled(self, record: Any) -> None:
        """Mark a record as handled, so that it is not delivered again."""
        ...

    async def close(self) -> None:
        """Commit what was handled. Raises nothing."""
        ...


class NoticeStream:
    """The stream that `notices` returns. Read it once, with `async for`, inside `async with` or without."""

    def __init__(
        self, url: str, party: str, group: str | None, decoder: NoticeDecoder, kafka: Mapping[str, Any]
    ) -> None:
        self._url = url
        self._party = Party(party)
        self._decoder = decoder
        self._kafka = kafka
        self._reader = self._reader_of(group)
        self._current: Any = None
        """The record whose notice the loop's body is handling."""
        self._is_open = False

    def __aiter__(self) -> AsyncIterator[ReceivedNotice]:
        """Asking for the next notice marks the one before as handled.

        A notice comes again if the loop ends in its body: by `break`, an error or the end of the process. Others that
        were handled within the last second may come again too. Raises FatalLogError if the topic can't be read (no
        rights, no such topic), and InputError for an invalid notice, which is not skipped.
        """
        return self._forever(opens_reader=not self._is_open)

    async def __aenter__(self) -> Self:
        """Leaving the block without an error marks the current notice as handled too."""
        try:
            await self._reader.open()
        except BaseException:
            await self._reader.close()
            raise
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._current is not None:
            self._reader.handled(self._current)
        await self._reader.close()

    async def resync(self) -> None:
        """Request the present status of all the party's open bills; they come as notices with cause `RESYNC`.

        The router ignores a request that follows the last one too soon. Raises LogError if it can't be sent.
        """
        party_id = self._party.id
        request = Request(secrets.token_hex(16), RESYNC, party_id, party_id, now_milliseconds())
        topic = topics.REQUEST_PREFIX + party_id
        async with open_log(self._url, self._kafka) as log:
            try:
                await log.append([Output(topic, party_id.encode(), encode_value(request))])
            except DestinationMissing as error:
                raise FatalLogError(
                    f"there is no topic {topic}, or this user may not write it: ask the router's operator"
                ) from error

    async def _forever(self, *, opens_reader: bool) -> AsyncIterator[ReceivedNotice]:
        try:
            if opens_reader:
                await self._reader.open()
            while True:
                record = await self._reader.next()
                try:
                    notice = await self._decoder.notice(record.value)
                except InputError as error:
                    raise InputError(error.reason, place=record.place) from error
                self._current = record
                yield notice
                self._current = None
                self._reader.handled(record)
        finally:
            if opens_reader:
                await self._reader.close()

    def _reader_of(self, group: str | None) -> NoticeReader:
        if self._url.startswith(SQLITE):
            return SqliteReader(self._url, self._party.topic)
        if not self._url.startswith(KAFKA):
            raise UsageError(f"{self._url!r} names no log: write kafka://host:port[,host:port] or sqlite:///file.db")
        if group is None:
            raise UsageError(
                f"notices from Kafka need a consumer group: set group, for example {self._party.group_prefix}desk"
            )
        from router.client.kafka_reader import KafkaReader  # loads Kafka's client only if it is used
        from router.log.kafka.connection import kafka_settings

        return KafkaReader(self._url, self._party.topic, group, kafka_settings(self._kafka))


class SqliteReader:
    """A `NoticeReader` of a SQLite file, for trying out. It has no consumer groups: each run starts at the oldest."""

    def __init__(self, url: str, topic: str) -> None:
        """Raises UsageError if the file does not exist; opening it would create an empty one."""
        if not Path(url.removeprefix(SQLITE)).is_file():
            raise UsageError(
                f"there is no file {url.removeprefix(SQLITE)}: `snp-router import parties FILE` creates it"
            )
        self._url = url
        self._topic = topic
        self._resources = AsyncExitStack()
        self._batches: AsyncIterator[list[Record]] | None = None
        self._fetched: deque[Record] = deque()

    async def open(self) -> None:
        log = await self._resources.enter_async_context(open_log(self._url))
        if self._topic not in await log.topics():
            raise UsageError(
                f"{self._url} has no topic {self._topic}: `party` must be the SCAC under which the party is registered"
            )
        self._batches = log.read([self._topic])

    async def next(self) -> Record:
        assert self._batches is not None
        while not self._fetched:
            self._fetched.extend(await anext(self._batches))
        return self._fetched.popleft()

    def handled(self, record: Record) -> None:
        pass

    async def close(self) -> None:
        await self._resources.aclose()
