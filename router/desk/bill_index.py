"""The desk's index: an SQLite file beside the log, built from its topics and rebuilt whenever it is broken.

It holds each bill's last state, the history, waiting bills, dead letters, the audit, and the words to search bills by.
The offsets it has read are written in the same transaction, so an interrupted build resumes where it stopped.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from router import codec, topics
from router.codec.packed import BILL_STATE
from router.decide.bill_state import AssessedBill, assess_bill
from router.decide.rules import Rules
from router.desk.unconfirmed_releases import UnconfirmedReleases
from router.engine.administration import AuditEntry
from router.errors import FatalLogError, TaskRetry, UsageError
from router.files import make_for_owner, remove_database
from router.log.interface import Place, Record
from router.log.sqlite import SqliteSettings
from router.log.sqlite.connection import Connection, transaction
from router.model.identifiers import is_vessel_key
from router.model.inputs import DeadLetter
from router.task.outputs import timeline_fields

LOGGED_IN: Final = "console log-in"
"""The audit's action of a log-in; its subject is the user's name, its detail the address."""

FOLLOWED: Final = (topics.BILLS, topics.TIMELINE, topics.WAITING, topics.DEAD_LETTERS, topics.AUDIT)
"""The topics that the index is built from."""

MOST_FOUND: Final = 200
"""Bills on one page; a narrower search shows the others."""

APPLICATION_ID: Final = 0x534E5049
"""`SNPI` in the file's header; a file without it is never written to or deleted."""
APPLICATION_ID_OFFSET: Final = 68
"""See https://www.sqlite.org/fileformat.html#the_database_header."""
VERSION: Final = 4
"""The version of the tables below; a file with another one is rebuilt."""

STILL: Final = 2**62
"""`unconfirmed_until` of a bill that is unconfirmed now."""

SYNCHRONOUS: Final = "PRAGMA synchronous = NORMAL"
"""A power cut may lose the last records, which are then read from the log again."""

SCHEMA: Final = f"""
CREATE TABLE progress (
    topic TEXT, partition INTEGER, next_offset INTEGER, PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE bills (
    bill TEXT PRIMARY KEY, status TEXT, do_not_load INTEGER, imo_number TEXT, vessel_name TEXT, voyage_number TEXT,
    port TEXT, carrier_scac TEXT, arrival_date TEXT, sailing_id TEXT, state BLOB,
    touched INTEGER, unconfirmed_until INTEGER) WITHOUT ROWID;
CREATE INDEX touched_bills ON bills (touched);
CREATE INDEX unconfirmed_bills ON bills (unconfirmed_until) WHERE unconfirmed_until;
CREATE INDEX bills_by_sailing ON bills (sailing_id);
CREATE INDEX stopped_bills ON bills (bill) WHERE do_not_load;
CREATE TABLE statuses (status TEXT PRIMARY KEY, bills INTEGER) WITHOUT ROWID;
CREATE TABLE words (word TEXT, kind TEXT, bill TEXT, PRIMARY KEY (word, kind, bill)) WITHOUT ROWID;
CREATE INDEX words_by_bill ON words (bill);
CREATE TABLE timeline (bill TEXT, sequence INTEGER, at INTEGER, value BLOB, PRIMARY KEY (bill, sequence)) WITHOUT ROWID;
CREATE INDEX timeline_by_time ON timeline (at);
CREATE TABLE waiting (bill TEXT PRIMARY KEY, do_not_load INTEGER, since INTEGER, value BLOB) WITHOUT ROWID;
CREATE TABLE audit (place INTEGER PRIMARY KEY, value BLOB);
CREATE TABLE logins (name TEXT, address TEXT, PRIMARY KEY (name, address)) WITHOUT ROWID;
CREATE TABLE letters (id TEXT PRIMARY KEY, received_at INTEGER, resolution TEXT, value BLOB) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""

T = TypeVar("T")


class IndexedEntry(NamedTuple):
    """A timeline entry with its bill's present vessel and port."""

    fields: codec.Fields
    """The fields as of `timeline_fields`."""
    vessel_name: str | None
    port: str | None


class FoundBill(NamedTuple):
    """A bill in a list."""

    bill: str
    status: str
    vessel_name: str | None
    voyage_number: str | None
    port: str | None
    carrier_scac: str | None
    arrival_date: str | None
    by: str = ""
    """The kind of word that a search found: `bill`, `container`, `entry`, `vessel` or `master bill`."""


FOUND: Final = "bill, status, vessel_name, voyage_number, port, carrier_scac, arrival_date"
"""The columns of a `FoundBill`."""


class IndexFile:
    """The file behind the index. Its owner calls `open` first and `close` last.

    Every method may raise TaskRetry: the disk is full, or the file is broken or gone until `mend` repairs it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_broken = False
        self._connect()

    def _connect(self) -> None:
        self._writer, self._reader = (Connection(str(self._path), SqliteSettings()) for _ in range(2))

    async def open(self) -> None:
        """Create the file for its owner only, or open the existing one; a damaged one is rebuilt.

        Raises UsageError if the file is not a console's index.
        """
        try:
            make_for_owner(self._path)
            application, version, tables = await self._writer.run(_header)
        except (OSError, FatalLogError) as error:
            await self.close()  # reading the file beside SQLite drops SQLite's locks on it
            if not await asyncio.to_thread(_is_marked, self._path):
                raise UsageError(
                    f"cannot use {self._path} as the console's index: {_reason(error)}. If it is one, delete it; it "
                    "is rebuilt from the log. Otherwise set console.index_file to another file"
                ) from error
            await self.rebuild()
            return
        if (application, version, tables) == (0, 0, 0):
            await self._writer.run(_create_tables)
        elif application != APPLICATION_ID:
            raise UsageError(f"{self._path} is not a console's index: set console.index_file to another file")
        elif version != VERSION:
            await self.rebuild()

    async def rebuild(self) -> None:
        """Replace the file by an empty one."""
        await self.close()
        try:
            await asyncio.to_thread(self._replace)
        except OSError as error:
            raise TaskRetry(f"cannot rebuild the console's index {self._path}: {error.strerror}") from error
        self._connect()
        await self._writer.run(_create_tables)

    def _replace(self) -> None:
        remove_database(self._path.resolve())
        make_for_owner(self._path)

    async def mend(self) -> None:
        """Rebuild a broken file. If another, intact one has taken its place, open that one."""
        if not self._is_broken:
            return
        await self.close()
        self._connect()
        try:
            await self.open()
            is_intact = await self._writer.run(_is_intact)
        except UsageError as error:
            raise TaskRetry(str(error)) from error
        except FatalLogError:
            is_intact = False
        if not is_intact:
            await self.rebuild()
        self._is_broken = False

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._writer, job)

    async def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._reader, job)

    async def _run(self, connection: Connection, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await connection.run(job)
        except FatalLogError as error:
            self._is_broken = True
            raise TaskRetry(f"the console's index is broken and is being rebuilt: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first sentence of the error; the advice after it is about a log."""
    return str(error).partition(". ")[0]


def _is_marked(path: Path) -> bool:
    """Read the application id from the header of a file that SQLite can't open."""
    try:
        with path.open("rb") as file:
            return file.read(APPLICATION_ID_OFFSET + 4)[APPLICATION_ID_OFFSET:] == APPLICATION_ID.to_bytes(4, "big")
    except OSError:
        return False


def _header(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """The file's application id, its version and its number of tables; all are zero in a new file."""
    connection.execute(SYNCHRONOUS)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return application, version, tables


def _is_intact(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute(SYNCHRONOUS)
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        for statement in SCHEMA.strip().split(";\n"):
            connection.execute(statement.rstrip(";"))
    connection.execute("PRAGMA wal_checkpoint")  # writes the application id into the file itself


class BillIndex(IndexFile):
    """The index's contents: records are written with `write_records`, everything else reads."""

    # Writing

    async def positions(self) -> dict[Place, int]:
        """The next offset to read of each partition."""
        rows = await self._rows("SELECT topic, partition, next_offset FROM progress")
        return {(topic, partition): offset for topic, partition, offset in rows}

    async def write_records(self, records: Sequence[Record], rules: Rules) -> list[IndexedEntry]:
        """Write records and their positions; return the timeline entries among them, in order. Raises UnknownRules,
        with nothing written, for a bill with an event of later rules."""
        return await self._write(lambda connection: self._write_records(connection, records, rules))

    def _write_records(
        self, connection: sqlite3.Connection, records: Sequence[Record], rules: Rules
    ) -> list[IndexedEntry]:
        entries: list[codec.Fields] = []
        with transaction(connection):
            for record in records:
                if record.topic == topics.BILLS:
                    self._write_bill(connection, record, rules)
                elif record.topic == topics.WAITING:
                    _write_waiting(connection, record)
                elif record.value is None:
                    continue
                elif record.topic == topics.TIMELINE:
                    entries.append(_write_timeline(connection, record.value))
                elif record.topic == topics.DEAD_LETTERS:
                    _write_dead_letter(connection, record.value)
                elif record.topic == topics.AUDIT:
                    _write_audit(connection, record.offset, record.value)
            positions = {(record.topic, record.partition): record.offset + 1 for record in records}
            connection.executemany(
                "INSERT OR REPLACE INTO progress VALUES (?, ?, ?)",
                [(*place, offset) for place, offset in positions.items()],
            )
            return [_with_bill(connection, entry) for entry in entries]

    def _write_bill(self, connection: sqlite3.Connection, record: Record, rules: Rules) -> None:
        if record.key.startswith(topics.POSITION_KEY):
            return
        bill = record.key.decode()
        for (status,) in connection.execute("DELETE FROM bills WHERE bill = ? RETURNING status", (bill,)).fetchall():
            connection.execute("UPDATE statuses SET bills = bills - 1 WHERE status = ?", (status,))
            connection.execute("DELETE FROM words WHERE bill = ?", (bill,))
        if record.value is None:
            return
        assessed = assess_bill(BILL_STATE.decode(record.value), rules)
        status, shipment, period = assessed.status, assessed.cargo.shipment, assessed.state.unconfirmed
        sailing_id = assessed.state.kept_sailing_id
        row = (
            bill, status.status, status.do_not_load, shipment.imo_number, shipment.vessel_name, shipment.voyage_number,
            shipment.port_of_unlading, shipment.carrier_scac, shipment.arrival_date, sailing_id, record.value,
            assessed.state.touched, STILL if period.is_now else period.ended,
        )  # fmt: skip
        connection.execute("INSERT INTO bills VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", row)
        connection.execute(
            "INSERT INTO statuses VALUES (?, 1) ON CONFLICT (status) DO UPDATE SET bills = bills + 1", (status.status,)
        )
        words = ((word, kind, bill) for kind, word in _words(bill, assessed))
        connection.executemany("INSERT OR IGNORE INTO words VALUES (?, ?, ?)", words)

    # Reading

    async def recent(self, count: int) -> list[IndexedEntry]:
        """The latest timeline entries, newest first."""

        def read(connection: sqlite3.Connection) -> list[IndexedEntry]:
            rows = connection.execute("SELECT value FROM timeline ORDER BY at DESC LIMIT ?", (count,)).fetchall()
            return [_with_bill(connection, timeline_fields(value)) for (value,) in rows]

        return await self._read(read)

    async def state(self, bill: str) -> bytes | None:
        rows = await self._rows("SELECT state FROM bills WHERE bill = ?", bill)
        return rows[0][0] if rows else None

    async def history(self, bill: str) -> list[codec.Fields]:
        rows = await self._rows("SELECT value FROM timeline WHERE bill = ? ORDER BY sequence", bill)
        return [timeline_fields(value) for (value,) in rows]

    async def aboard(self, sailing_ids: Sequence[str]) -> list[FoundBill]:
        """Every bill that was positively found on one of the sailings, do-not-loads first."""
        places = ",".join("?" * len(sailing_ids))
        order = "ORDER BY do_not_load DESC, status, bill"
        rows = await self._rows(f"SELECT {FOUND} FROM bills WHERE sailing_id IN ({places}) {order}", *sailing_ids)
        return [FoundBill(*row) for row in rows if not is_vessel_key(row[0])]

    async def statuses(self) -> dict[str, int]:
        """The number of bills of each status; kept up to date, since there may be millions of bills to count."""
        return dict(await self._rows("SELECT status, bills FROM statuses WHERE bills > 0"))

    async def stopped(self) -> list[FoundBill]:
        """Bills with a do-not-load."""
        rows = await self._rows(f"SELECT {FOUND} FROM bills WHERE do_not_load ORDER BY bill LIMIT {MOST_FOUND}")
        return [FoundBill(*row) for row in rows]

    async def search(self, text: str) -> list[FoundBill]:
        """Bills whose number, container, entry, vessel or master bill begins with the text; exact matches first."""
        word = text.strip().upper()
        if not word:
            return []
        rows = await self._rows(
            f"SELECT DISTINCT {FOUND}, kind FROM words JOIN bills USING (bill) WHERE word >= ? AND word < ?"
            f" ORDER BY word != ?, bill LIMIT {MOST_FOUND}",
            word,
            word + "\U0010ffff",
            word,
        )
        unique = {row[0]: FoundBill(*row) for row in reversed(rows)}
        return [unique[bill] for bill in dict.fromkeys(row[0] for row in rows)]

    async def waiting(self) -> list[codec.Fields]:
        """Waiting bills, do-not-loads first, then the oldest."""
        rows = await self._rows("SELECT value FROM waiting ORDER BY do_not_load DESC, since, bill")
        return [codec.decode(value)[1] for (value,) in rows]

    async def dead_letters(self) -> list[DeadLetter]:
        """Unresolved dead letters, newest first."""
        rows = await self._rows(
            f"SELECT value FROM letters WHERE resolution IS NULL ORDER BY received_at DESC LIMIT {MOST_FOUND}"
        )
        return [_dead_letter(value) for (value,) in rows]

    async def dead_letter(self, letter_id: str) -> DeadLetter | None:
        rows = await self._rows("SELECT value FROM letters WHERE id = ?", letter_id)
        return _dead_letter(rows[0][0]) if rows else None

    async def login_addresses(self, name: str) -> list[str]:
        """The addresses from which somebody logged in to the console under this name, as the audit has them."""
        return [address for (address,) in await self._rows("SELECT address FROM logins WHERE name = ?", name)]

    async def audit(self) -> list[AuditEntry]:
        """Operators' actions, newest first."""
        rows = await self._rows(f"SELECT value FROM audit ORDER BY place DESC LIMIT {MOST_FOUND}")
        return [AuditEntry(**codec.decode(value)[1]) for (value,) in rows]

    async def counts(self) -> dict[str, int]:
        """The numbers of waiting bills, of those with a do-not-load, and of unresolved dead letters."""
        (row,) = await self._rows(
            "SELECT (SELECT count(*) FROM waiting), (SELECT count(*) FROM waiting WHERE do_not_load),"
            " (SELECT count(*) FROM letters WHERE resolution IS NULL)"
        )
        return dict(zip(("waiting", "waiting_do_not_load", "letters"), row, strict=True))

    async def unconfirmed(self, since: int) -> UnconfirmedReleases:
        """Numbers of the bills that `RELEASE_PREDATES_HOLD` keeps from being released; `since` is a month ago."""
        (row,) = await self._rows(
            "SELECT (SELECT count(*) FROM bills WHERE unconfirmed_until = ?1),"
            " (SELECT count(*) FROM bills WHERE unconfirmed_until AND unconfirmed_until >= ?2),"
            " (SELECT count(*) FROM bills WHERE touched >= ?2 OR unconfirmed_until = ?1)",
            STILL,
            since,
        )
        return UnconfirmedReleases(*row)

    async def _rows(self, query: str, *values: Any) -> list[Any]:
        return await self._read(lambda connection: connection.execute(query, values).fetchall())


def _words(bill: str, assessed: AssessedBill) -> Iterator[tuple[str, str]]:
    """The words to search a bill by, each with its kind; a bill's number is found with and without its SCAC."""
    shipment = assessed.cargo.shipment
    yield "bill", bill
    if not is_vessel_key(bill):
        yield "bill", bill[4:]
    yield from (("container", number) for number in shipment.container_numbers)
    yield from (("entry", event.entry_number) for event in assessed.state.events if event.entry_number)
    yield from (("vessel", name.upper()) for name in (shipment.vessel_name, shipment.imo_number) if name)
    if shipment.master_bill:
        yield "master bill", shipment.master_bill


def _write_timeline(connection: sqlite3.Connection, value: bytes) -> codec.Fields:
    entry = timeline_fields(value)
    row = (entry["bill"], entry["sequence"], entry["at"], value)
    connection.execute("INSERT OR REPLACE INTO timeline VALUES (?, ?, ?, ?)", row)
    return entry


def _with_bill(connection: sqlite3.Connection, entry: codec.Fields) -> IndexedEntry:
    row = connection.execute("SELECT vessel_name, port FROM bills WHERE bill = ?", (entry["bill"],)).fetchone()
    return IndexedEntry(entry, *(row or (None, None)))


def _write_waiting(connection: sqlite3.Connection, record: Record) -> None:
    bill = record.key.decode()
    if record.value is None:
        connection.execute("DELETE FROM waiting WHERE bill = ?", (bill,))
        return
    fields = codec.decode(record.value)[1]
    row = (bill, fields["do_not_load"], fields["since"], record.value)
    connection.execute("INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?)", row)


def _write_audit(connection: sqlite3.Connection, offset: int, value: bytes) -> None:
    connection.execute("INSERT OR REPLACE INTO audit VALUES (?, ?)", (offset, value))
    entry = codec.decode(value)[1]
    if entry["action"] == LOGGED_IN:
        login = (entry["subject"], entry["detail"] or "")
        connection.execute("INSERT OR IGNORE INTO logins VALUES (?, ?)", login)


def _write_dead_letter(connection: sqlite3.Connection, value: bytes) -> None:
    letter = _dead_letter(value)
    row = (letter.id, letter.received_at, letter.resolution, value)
    connection.execute("INSERT OR REPLACE INTO letters VALUES (?, ?, ?, ?)", row)


def _dead_letter(value: bytes) -> DeadLetter:
    letter = codec.decode_value(value)
    assert isinstance(letter, DeadLetter)
    return letter
