"""The lease: which router works on the file. One row per group; whoever's name is in it may commit.

It only decides who *should* work. That two can't both commit is checked in each commit (task.py).

One partition's worth of work on a SQLite log.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from router import topics
from router.clock import now_milliseconds
from router.errors import TaskMoved, TaskRetry
from router.log.interface import Output, Position, Record
from router.log.sqlite.connection import Connection, DamagedError, SqliteSettings, Watch, transaction
from router.log.sqlite.store import Catalogue, Span, end_offsets, ends_of, latest_id, read, refuse_losses, sweep, write

log = structlog.get_logger()

WAITING_PAUSE_SECONDS: Final = 0.2
WAITING_WORD_SECONDS: Final = 30.0
SWEEP_SECONDS: Final = 60.0
RENEWALS_PER_LEASE: Final = 4

_START_TIME_FIELD: Final = 19
"""Of /proc/<pid>/stat, counted from behind the command's closing bracket (proc_pid_stat(5), field 22)."""


class Holder(NamedTuple):
    owner: str
    process: str
    heartbeat: int


class Lease:
    """Takes, renews, loses, takes again. `keep` runs all the while; tasks wait for `held`."""

    def __init__(self, connection: Connection, catalogue: Catalogue, settings: SqliteSettings, name: str) -> None:
        self.name = name
        self._connection = connection
        self._catalogue = catalogue
        self._settings = settings
        self._owner: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def held(self) -> str:
        """Wait until the lease is ours; the name under which we hold it, new each time it is taken."""
        return await asyncio.shield(self._owner)

    def is_held_as(self, owner: str) -> bool:
        return self._owner.done() and self._owner.result() == owner

    async def keep(self) -> None:
        """Hold the lease until cancelled; give it back then."""
        while True:
            owner = uuid.uuid4().hex
            try:
                await self._take(owner)
                self._owner.set_result(owner)
                await self._renew(owner)
            finally:
                self._owner = asyncio.get_running_loop().create_future()
                with suppress(TaskRetry):
                    await self._connection.run(partial(_give_back, name=self.name, owner=owner))
            log.warning("lease_lost", file=self._connection.path, group=self.name)

    async def _take(self, owner: str) -> None:
        """Wait until the lease is free, or its holder gave no sign of life for as long as we watched it."""
        seen, seen_at, said_at = None, time.monotonic(), -WAITING_WORD_SECONDS
        while True:
            now = time.monotonic()
            try:
                holder = await self._try(owner, seen, stale=now - seen_at > self._settings.lease_seconds)
            except TaskRetry as error:
                log.warning("lease_not_taken", reason=str(error))
                await asyncio.sleep(self._settings.lease_seconds / RENEWALS_PER_LEASE)
                continue
            if holder is None:
                return
            if holder != seen:
                seen, seen_at = holder, now
            if now - said_at >= WAITING_WORD_SECONDS:
                said_at = now
                self._say_who_works(holder)
            await asyncio.sleep(WAITING_PAUSE_SECONDS)

    def _say_who_works(self, holder: Holder) -> None:
        log.warning(
            "waiting_until_another_router_stops",
            file=self._connection.path,
            group=self.name,
            its_pid=holder.process.rpartition("/")[2].partition("@")[0],
        )

    async def _try(self, owner: str, seen: Holder | None, *, stale: bool) -> Holder | None:
        """None if the lease is ours now, else who has it."""
        holder = await self._connection.run(lambda connection: _holder(connection, self.name))
        if holder is not None and process_lives(holder.process) and not (stale and holder == seen):
            return holder
        return await self._connection.run(lambda connection: _take(connection, self.name, owner, holder))

    async def _renew(self, owner: str) -> None:
        """Give signs of life, and sweep now and then, until the lease is lost."""
        swept_at = -SWEEP_SECONDS
        while True:
            try:
                if not await self._connection.run(lambda connection: _beat(connection, self.name, owner)):
                    return
                if time.monotonic() - swept_at >= SWEEP_SECONDS:
                    swept_at = time.monotonic()
                    await self._connection.run(self._sweep)
            except TaskRetry as error:
                log.warning("lease_not_renewed", reason=str(error))
            await asyncio.sleep(self._settings.lease_seconds / RENEWALS_PER_LEASE)

    def _sweep(self, connection: sqlite3.Connection) -> None:
        with transaction(connection):
            sweep(connection, self._catalogue.all(connection), now_milliseconds())


def check(connection: sqlite3.Connection, name: str, owner: str) -> None:
    """Raises TaskMoved if the lease is not held under this name."""
    holder = _holder(connection, name)
    if holder is None or holder.owner != owner:
        raise TaskMoved(f"the lease of {name} was taken over by {holder.process if holder else 'nobody yet'}")


def _holder(connection: sqlite3.Connection, name: str) -> Holder | None:
    row = connection.execute("SELECT owner, process, heartbeat FROM leases WHERE name = ?", (name,)).fetchone()
    return None if row is None else Holder._make(row)


def _take(connection: sqlite3.Connection, name: str, owner: str, expected: Holder | None) -> Holder | None:
    with transaction(connection):
        holder = _holder(connection, name)
        if holder != expected:
            return holder
        connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, 0)", (name, owner, this_process()))
    return None


def _beat(connection: sqlite3.Connection, name: str, owner: str) -> bool:
    with transaction(connection):
        beaten = connection.execute(
            "UPDATE leases SET heartbeat = heartbeat + 1 WHERE name = ? AND owner = ?", (name, owner)
        )
    return beaten.rowcount > 0


def _give_back(connection: sqlite3.Connection, name: str, owner: str) -> None:
    with transaction(connection):
        connection.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner))


def this_process() -> str:
    """`<machine>/<pid>@<start time>`: tells whether a process lives, even where its number is used again."""
    pid = os.getpid()
    return f"{_machine()}/{pid}@{_start_time(pid)}"


def process_lives(process: str) -> bool:
    """False only if it is certain: it was on this machine, in this container, and is gone."""
    machine, _, rest = process.rpartition("/")
    pid, _, started = rest.partition("@")
    if machine != _machine() or not pid.isdigit():
        return True
    return _start_time(int(pid)) == started


def _machine() -> str:
    """This boot of this machine, and within it the container, since process numbers mean nothing outside."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _start_time(pid: int) -> str:
    """When the process started, in the kernel's count; empty if there is none, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else _alive(pid)
    return "" if fields[0] in "ZX" else fields[_START_TIME_FIELD]


def _alive(pid: int) -> str:
    """Where there is no /proc: alive or not is all that can be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"


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
        check(connection, self._lease.name, self._owner)
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
