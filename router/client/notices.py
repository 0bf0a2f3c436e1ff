"""A party's notices, one after the other, each handled before it is counted as read."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

from router import topics
from router.client.decoding import NoticeDecoder
from router.client.source import Source
from router.client.values import Notice
from router.clock import now_milliseconds
from router.codec import encode_value
from router.errors import DestinationMissing, FatalLogError, InputError, UsageError
from router.log.interface import Output
from router.log.url import KAFKA, SQLITE, open_log
from router.model.registry_values import RESYNC, Party, Request


def notices(
    url: str,
    *,
    party: str,
    group: str | None = None,
    registry_url: str | None = None,
    **kafka: Any,
) -> Notices:
    """The notices of `party`, for ever, beginning where its consumer group `group` left off (at first: the oldest).

    `url` is `kafka://host:port[,host:port]`, or `sqlite:///snp.db` for trying out. `party` is the SCAC it is registered
    under. A group's name begins with `snp.<SCAC>.`; members of one group share the work, each group gets everything.
    `registry_url` is asked for schemas that are newer than this kit. `kafka` are the connection's settings:
    `sasl_username`, `sasl_password` or `sasl_password_file`, `ssl_cafile`, `ssl_certfile`, `ssl_keyfile` and the others
    of `router.log.kafka.KafkaSettings`. Raises UsageError at once where they can't be right.
    """
    return Notices(url, party.upper(), group, NoticeDecoder(registry_url), kafka)


class Notices:
    """Made by `notices`. To be read once, with `async for`; see `__aiter__` and `__aenter__` for what is committed."""

    def __init__(
        self, url: str, party: str, group: str | None, decoder: NoticeDecoder, kafka: Mapping[str, Any]
    ) -> None:
        self._url = url
        self._party = Party(party)
        self._decoder = decoder
        self._kafka = kafka
        self._source = self._source_of(group)
        self._in_hand: Any = None
        """The record whose body runs now."""
        self._is_open = False

    def __aiter__(self) -> AsyncIterator[Notice]:
        """A notice counts as handled when the next one is asked for. One in whose body the loop is left, by `break`, by
        an error or by the process's death, comes again; so may others that were handled within the last second.

        Raises FatalLogError where going on is useless (no rights, no such topic), and InputError for a notice that
        can't be read: it is not passed over.
        """
        return self._forever(own=not self._is_open)

    async def __aenter__(self) -> Self:
        """With `async with`, leaving the block without an error counts the notice in hand as handled too."""
        try:
            await self._source.open()
        except BaseException:
            await self._source.close()
            raise
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._in_hand is not None:
            self._source.handled(self._in_hand)
        await self._source.close()

    async def resync(self) -> None:
        """Ask for the status now of all the party's open bills: they come as notices with cause `RESYNC`. Who asks
        again too soon is not heard. Raises LogError where it could not be asked for."""
        scac = self._party.scac
        request = Request(secrets.token_hex(16), RESYNC, scac, scac, now_milliseconds())
        topic = topics.REQUEST_PREFIX + scac
        async with open_log(self._url, self._kafka) as log:
            try:
                await log.append([Output(topic, scac.encode(), encode_value(request))])
            except DestinationMissing as error:
                raise FatalLogError(f"there is no topic {topic} for this user: ask the router's operator") from error

    async def _forever(self, *, own: bool) -> AsyncIterator[Notice]:
        """`own`: nobody else opens and closes us."""
        try:
            if own:
                await self._source.open()
            while True:
                record = await self._source.next()
                notice = await self._read(record)
                self._in_hand = record
                yield notice
                self._in_hand = None
                self._source.handled(record)
        finally:
            if own:
                await self._source.close()

    async def _read(self, record: Any) -> Notice:
        try:
            return await self._decoder.notice(record.value)
        except InputError as error:
            raise InputError(error.reason, place=record.place) from error

    def _source_of(self, group: str | None) -> Source:
        if self._url.startswith(SQLITE):
            from router.client.sqlite import SqliteSource

            return SqliteSource(self._url, self._party.topic)
        if not self._url.startswith(KAFKA):
            raise UsageError(f"{self._url!r} names no log: write kafka://host:port[,host:port] or sqlite:///file.db")
        if group is None:
            raise UsageError(f"on Kafka notices need a group: {self._party.group_prefix}desk, for one")
        from router.client.kafka import KafkaSource
        from router.log.kafka.settings import kafka_settings

        return KafkaSource(self._url, self._party.topic, group, kafka_settings(self._kafka))
