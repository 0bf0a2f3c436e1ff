"""A task on a SQLite log, and the lease that fences it.

The lease decides which router works on the file: one row per group, and the router named in it may commit. It is not
SQLite's lock, which a frozen router would hold for ever. Each commit checks it again, so two routers can't both commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

import structlog

from router import topics as names
from router.errors import TaskMoved, TaskRetry
from router.log.interface import Output, Position, Record
from router.log.processes import described, process_lives, this_process
from router.log.sqlite.connection import ChangeWatch, Connection, DamagedError, SqliteSettings, happens, transaction
from router.log.sqlite.store import Span, ends_of, find_topics, read, refuse_losses, write

log = structlog.get_logger()

RESTORE_RECORDS: Final = 5000

WAITING_PAUSE_SECONDS: Final = 0.2
WAITING_LOG_SECONDS: Final = 30.0
HEARTBEATS_PER_LEASE: Final = 4
HEARTBEAT: Final = "UPDATE leases SET heartbeat = heartbeat + 1"
GIVE_BACK: Final = "DELETE FROM leases"


class SqliteTask:
    """See `router.log.interface.Task`. Made by `SqliteLog.work`."""

    def __init__(
        self, partition: int, inputs: Sequence[str], lease: Lease, owner: str,
        *, writer: Connection, reader: Connection, watch: ChangeWatch,
    ) -> None:  # fmt: skip
        self.partition = partition
        self._inputs = inputs
        self._lease = lease
        self._owner = owner
        self._writer = writer
        self._reader = reader
        self._watch = watch
        self._closed = False

    def close(self) -> None:
        self._closed = True

    async def restore(self, topics: Sequence[str]) -> AsyncIterator[list[Record]]:
        for span in await self._reader.run(partial(self._spans, topics=topics)):
            rest = span
            while batch := await self._restore_batch(rest):
                yield batch
                rest = span._replace(start=batch[-1].offset + 1)

    async def poll(self, position: Position, max_records: int, timeout: float) -> list[Record]:
        deadline = time.monotonic() + timeout
        while True:
            self._check()
            changed = self._watch.next_change()
            records = await self._reader.run(lambda connection: self._poll(connection, position, max_records))
            remaining = deadline - time.monotonic()
            if records or remaining <= 0:
                return records
            await happens(changed, remaining)

    def has_waiting(self, topic: str, position: Position) -> bool:
        return self._watch.next_offset(topic, self.partition) > position.get(topic, 0)

    def passed(self, position: Position) -> Position:
        return {topic: position.get(topic, 0) for topic in self._inputs}

    async def commit(self, outputs: Sequence[Output]) -> None:
        self._check()
        await self._writer.commit(partial(self._commit, outputs=outputs))
        self._watch.notify()

    def _check(self) -> None:
        if self._closed or not self._lease.is_held_as(self._owner):
            raise TaskMoved(f"task {self.partition} no longer belongs to this router")

    def _commit(self, connection: sqlite3.Connection, outputs: Sequence[Output]) -> None:
        self._lease.check(connection, self._owner)
        write(connection, outputs)

    def _poll(self, connection: sqlite3.Connection, position: Position, max_records: int) -> list[Record]:
        records: list[Record] = []
        # One snapshot for all topics: a record of a later topic must not come before an older one of an earlier topic.
        with transaction(connection, "DEFERRED"):
            for span in self._waiting(connection, position):
                records += read(connection, span, max_records - len(records))
        return records

    def _waiting(self, connection: sqlite3.Connection, position: Position) -> Iterator[Span]:
        found = find_topics(connection, self._inputs).values()
        spans = [topic.span(0 if topic.name == names.REGISTRY else self.partition) for topic in found]
        ends = ends_of(connection, [span.place for span in spans])
        for span in spans:
            waiting = span._replace(start=position.get(span.topic.name, 0), end=ends[span.place])
            if waiting.start > waiting.end:
                raise DamagedError(f"{span.topic.name}, partition {span.partition}, ends before the task's position")
            if waiting.start < waiting.end:
                yield waiting

    def _spans(self, connection: sqlite3.Connection, topics: Sequence[str]) -> list[Span]:
        found = find_topics(connection, topics).values()
        for topic in found:
            refuse_losses(connection, topic, self.partition)
        spans = [topic.span(self.partition) for topic in found]
        ends = ends_of(connection, [span.place for span in spans])
        return [span._replace(end=ends[span.place]) for span in spans]

    async def _restore_batch(self, span: Span) -> list[Record]:
        self._check()
        return await self._reader.run(lambda connection: read(connection, span, RESTORE_RECORDS, live=True))


class Holder(NamedTuple):
    """Row of the table of leases."""

    owner: str
    process: str
    heartbeat: int


class Lease:
    """Lease of one group: taken, kept by heartbeats, lost and taken again. `keep` runs all the time."""

    def __init__(self, connection: Connection, settings: SqliteSettings, group: str) -> None:
        self._connection = connection
        self._settings = settings
        self._group = group
        self._owner: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.is_held = False
        """Stays true after `keep` was cancelled, if it was ours until then."""

    async def held(self) -> str:
        """Wait until the lease is ours. Return the owner's name in it, which is new each time."""
        return await asyncio.shield(self._owner)

    def is_held_as(self, owner: str) -> bool:
        return self._owner.done() and self._owner.result() == owner

    def check(self, connection: sqlite3.Connection, owner: str) -> None:
        """Raise TaskMoved if another router has taken the lease."""
        holder = self._holder(connection)
        if holder is None or holder.owner != owner:
            another = described(holder.process) if holder is not None else "nobody yet"
            raise TaskMoved(f"the lease of {self._group} went to {another}")

    async def keep(self) -> None:
        """Take the lease, and take it again when it is lost. Cancellation gives it back."""
        while True:
            owner = uuid.uuid4().hex
            try:
                await self._take(owner)
                self._owner.set_result(owner)
                self.is_held = True
                await self._renew(owner)
                self.is_held = False
            finally:
                self._owner = asyncio.get_running_loop().create_future()
                with suppress(TaskRetry):
                    await self._connection.commit(partial(self._change, change=GIVE_BACK, owner=owner))
            log.warning("lease_lost", file=self._connection.path, group=self._group)

    async def _take(self, owner: str) -> None:
        """Wait until nobody has the lease, its holder's process is gone, or no heartbeat came for the whole lease."""
        seen, seen_at, logged_at = None, time.monotonic(), -WAITING_LOG_SECONDS
        while True:
            now = time.monotonic()
            is_stale = now - seen_at > self._settings.lease_seconds
            try:
                holder = await self._connection.commit(
                    partial(self._try, owner=owner, stale=seen if is_stale else None)
                )
            except TaskRetry as error:
                log.warning("lease_not_taken", reason=str(error))
                await asyncio.sleep(self._settings.lease_seconds / HEARTBEATS_PER_LEASE)
                continue
            if holder is None:
                return
            if holder != seen:
                seen, seen_at = holder, now
            if now - logged_at >= WAITING_LOG_SECONDS:
                logged_at = now
                log.warning(
                    "waiting_until_another_router_stops",
                    file=self._connection.path,
                    group=self._group,
                    reason=f"it is {described(holder.process)}",
                )
            await asyncio.sleep(WAITING_PAUSE_SECONDS)

    def _try(self, connection: sqlite3.Connection, owner: str, stale: Holder | None) -> Holder | None:
        """Return None if the lease is ours now, else its holder. `stale` is a holder to take it from."""
        holder = self._holder(connection)
        if holder is not None and holder != stale and process_lives(holder.process):
            return holder
        connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, 0)", (self._group, owner, this_process()))
        return None

    async def _renew(self, owner: str) -> None:
        """Send heartbeats until the lease is lost."""
        while True:
            try:
                if not await self._connection.commit(partial(self._change, change=HEARTBEAT, owner=owner)):
                    return
            except TaskRetry as error:
                log.warning("lease_not_renewed", reason=str(error))
            await asyncio.sleep(self._settings.lease_seconds / HEARTBEATS_PER_LEASE)

    def _holder(self, connection: sqlite3.Connection) -> Holder | None:
        query = "SELECT owner, process, heartbeat FROM leases WHERE name = ?"
        row = connection.execute(query, (self._group,)).fetchone()
        return None if row is None else Holder._make(row)

    def _change(self, connection: sqlite3.Connection, change: str, owner: str) -> bool:
        """Change the lease if it is still ours. Return whether it was."""
        return connection.execute(f"{change} WHERE name = ? AND owner = ?", (self._group, owner)).rowcount > 0
