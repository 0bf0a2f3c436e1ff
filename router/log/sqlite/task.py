"""One partition's worth of work on a SQLite log."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Final

from router import topics
from router.errors import TaskMoved
from router.log.interface import Output, Position, Record
from router.log.sqlite import lease as leases
from router.log.sqlite.connection import Connection, transaction
from router.log.sqlite.errors import DamagedError
from router.log.sqlite.lease import Lease
from router.log.sqlite.store import Catalogue, Span, end_offsets, ends_of, latest_id, read, write
from router.log.sqlite.watch import Watch
from router.log.sqlite.whole import refuse_losses

RESTORE_BATCH: Final = 5000


class SqliteTask:
    """See `router.log.interface.Task`. It is fenced by the lease and, where it moves its position, by where its last
    position record is: other groups on the file have none."""

    def __init__(
        self, partition: int, inputs: Sequence[str], lease: Lease, owner: str,
        *, writer: Connection, reader: Connection, catalogue: Catalogue, watch: Watch,
    ) -> None:  # fmt: skip
        self.partition = partition
        self._inputs = inputs
        self._lease = lease
        self._owner = owner
        self._writer = writer
        self._reader = reader
        self._catalogue = catalogue
        self._watch = watch
        self._position_key = topics.POSITION_KEY + str(partition).encode()
        self._position_id: int | None = None
        self._closed = False

    async def open(self) -> None:
        """Remember where the position record is: whoever moves it from now on is not us."""
        self._position_id = await self._writer.run(self._find_position)

    def close(self) -> None:
        self._closed = True

    async def restore(self, topics: Sequence[str]) -> AsyncIterator[list[Record]]:
        for span in await self._reader.run(lambda connection: self._spans(connection, topics)):
            start = span.start
            while batch := await self._restore_batch(span._replace(start=start)):
                yield batch
                start = batch[-1].offset + 1

    async def poll(self, position: Position, max_records: int, timeout: float) -> list[Record]:
        deadline = time.monotonic() + timeout
        while True:
            self._check()
            changed = self._watch.next_change()
            records = await self._reader.run(lambda connection: self._poll(connection, position, max_records))
            remaining = deadline - time.monotonic()
            if records or remaining <= 0:
                return records
            with suppress(TimeoutError):
                async with asyncio.timeout(remaining):  # wait_for would lose a cancellation that comes with the change
                    await changed.wait()

    def has_waiting(self, topic: str, position: Position) -> bool:
        place = self._catalogue.place(topic, self.partition)
        return place is not None and self._watch.next_offset(place) > position.get(topic, 0)

    async def commit(self, outputs: Sequence[Output]) -> None:
        self._check()
        self._position_id = await self._writer.commit(lambda connection: self._commit(connection, outputs))
        self._watch.tell()

    def _check(self) -> None:
        if self._closed or not self._lease.is_held_as(self._owner):
            raise TaskMoved(f"task {self.partition} is no longer this router's")

    def _commit(self, connection: sqlite3.Connection, outputs: Sequence[Output]) -> int | None:
        """Where the position record is afterwards."""
        leases.check(connection, self._lease.name, self._owner)
        moves = any(output.key == self._position_key for output in outputs)
        if moves and self._find_position(connection) != self._position_id:
            raise TaskMoved(f"the position of task {self.partition} was moved by another router")
        destinations = self._catalogue.find(connection, (output.topic for output in outputs))
        write(connection, destinations, outputs)
        return self._find_position(connection) if moves else self._position_id

    def _find_position(self, connection: sqlite3.Connection) -> int | None:
        state = self._catalogue.get(connection, topics.BILLS)
        return state and latest_id(connection, state, self.partition, self._position_key)

    def _poll(self, connection: sqlite3.Connection, position: Position, max_records: int) -> list[Record]:
        records: list[Record] = []
        # One snapshot for all topics: else one of a later topic could come before what was there first.
        with transaction(connection, "DEFERRED"):
            for span in self._waiting(connection, position):
                records += read(connection, span, max_records - len(records))
        return records

    def _waiting(self, connection: sqlite3.Connection, position: Position) -> Iterator[Span]:
        found = self._catalogue.find(connection, self._inputs).values()
        places = [(topic, 0 if topic.name == topics.REGISTRY else self.partition) for topic in found]
        ends = ends_of(connection, [topic.first_place + partition for topic, partition in places])
        for topic, partition in places:
            span = Span(topic, partition, position.get(topic.name, 0), ends[topic.first_place + partition])
            if span.start > span.end:
                raise DamagedError(f"{topic.name}, partition {partition} ends before what was read of it")
            if span.start < span.end:
                yield span

    def _spans(self, connection: sqlite3.Connection, names: Sequence[str]) -> list[Span]:
        found = self._catalogue.find(connection, names).values()
        for topic in found:
            refuse_losses(connection, topic, self.partition)
        ends = [end_offsets(connection, topic)[self.partition] for topic in found]
        return [Span(topic, self.partition, 0, end) for topic, end in zip(found, ends, strict=True)]

    async def _restore_batch(self, span: Span) -> list[Record]:
        self._check()
        return await self._reader.run(lambda connection: read(connection, span, RESTORE_BATCH, live=True))
