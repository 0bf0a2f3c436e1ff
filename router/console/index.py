"""What the console shows, in an SQLite file of its own beside the log: made from the topics, and made again at will.

It holds the last state of each bill, the history, what waits and what could not be read, and the words by which a bill
is searched. How far it has read each partition stands in the same transaction, so a cut copy goes on where it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from router import codec, topics
from router.console.index_file import IndexFile
from router.decide.bill_state import BillState
from router.decide.cargo_facts import Cargo
from router.decide.rules import Rules
from router.engine.administration import AuditEntry
from router.log.interface import Place, Record
from router.log.sqlite.connection import transaction
from router.model.identifiers import is_vessel_key
from router.model.inputs import DeadLetter
from router.task.state_records import decode_state

FOLLOWED: Final = (topics.BILLS, topics.TIMELINE, topics.WAITING, topics.DEAD_LETTERS, topics.AUDIT)

MOST_FOUND: Final = 200
"""Bills one page lists; who needs more narrows the search."""


class Entry(NamedTuple):
    """One decision of the history, with what is known of its bill now."""

    fields: codec.Datum
    """As in `schemas/timeline-entry.avsc`."""
    vessel_name: str | None
    port: str | None


class Found(NamedTuple):
    """A bill in a list."""

    bill: str
    status: str
    vessel_name: str | None
    voyage_number: str | None
    port: str | None
    by: str = ""
    """What it was found by: `bill`, `container`, `entry`, `vessel` or `master bill`."""


class Index(IndexFile):
    """What is in the file."""

    def __init__(self, path: Path, rules: Rules) -> None:
        super().__init__(path)
        self._rules = rules

    # Writing

    async def progress(self) -> dict[Place, int]:
        rows = await self._all("SELECT topic, partition, next_offset FROM progress")
        return {(topic, partition): offset for topic, partition, offset in rows}

    async def take(self, records: Sequence[Record]) -> list[Entry]:
        """Enter records and how far they reach; what they add to the history, in their order."""
        return await self._write(lambda connection: self._take(connection, records))

    def _take(self, connection: sqlite3.Connection, records: Sequence[Record]) -> list[Entry]:
        entries: list[codec.Datum] = []
        with transaction(connection):
            for record in records:
                if record.topic == topics.BILLS:
                    self._bill(connection, record)
                elif record.topic == topics.TIMELINE:
                    entries.extend(_history(connection, record))
                elif record.topic == topics.WAITING:
                    _waiting(connection, record)
                elif record.topic == topics.DEAD_LETTERS:
                    _letter(connection, record)
                elif record.topic == topics.AUDIT:
                    connection.execute("INSERT OR REPLACE INTO deeds VALUES (?, ?)", (record.offset, record.value))
            reached = {(record.topic, record.partition): record.offset + 1 for record in records}
            connection.executemany(
                "INSERT OR REPLACE INTO progress VALUES (?, ?, ?)",
                [(*place, offset) for place, offset in reached.items()],
            )
            return [_with_bill(connection, entry) for entry in entries]

    def _bill(self, connection: sqlite3.Connection, record: Record) -> None:
        if record.key.startswith(topics.POSITION_KEY):
            return
        bill = record.key.decode()
        for (status,) in connection.execute("DELETE FROM bills WHERE bill = ? RETURNING status", (bill,)).fetchall():
            connection.execute("UPDATE statuses SET bills = bills - 1 WHERE status = ?", (status,))
            connection.execute("DELETE FROM words WHERE bill = ?", (bill,))
        if record.value is None:
            return
        state = decode_state(record.value)
        known, after = state.assess(self._rules)
        row = (
            bill, after.status, after.do_not_load, known.imo_number, known.vessel_name, known.voyage_number,
            known.port_of_unlading, known.carrier_scac, known.arrival_date, record.value,
        )  # fmt: skip
        connection.execute("INSERT INTO bills VALUES (?,?,?,?,?,?,?,?,?,?)", row)
        connection.execute(
            "INSERT INTO statuses VALUES (?, 1) ON CONFLICT (status) DO UPDATE SET bills = bills + 1", (after.status,)
        )
        words = ((word, kind, bill) for kind, word in _words(bill, state, known))
        connection.executemany("INSERT OR IGNORE INTO words VALUES (?, ?, ?)", words)

    # Reading

    async def recent(self, count: int) -> list[Entry]:
        """The latest of the history, the newest first."""
        return await self._read(lambda connection: _recent(connection, count))

    async def state(self, bill: str) -> bytes | None:
        rows = await self._all("SELECT state FROM bills WHERE bill = ?", bill)
        return rows[0][0] if rows else None

    async def history(self, bill: str) -> list[codec.Datum]:
        rows = await self._all("SELECT value FROM timeline WHERE bill = ? ORDER BY sequence", bill)
        return [codec.decode(value)[1] for (value,) in rows]

    async def aboard(self, imo_number: str) -> list[tuple[Found, str | None, str | None]]:
        """Every bill that names the vessel, do-not-loads on top, with its carrier and date of arrival."""
        rows = await self._all(
            "SELECT bill, status, vessel_name, voyage_number, port, carrier_scac, arrival_date FROM bills"
            " WHERE imo_number = ? ORDER BY do_not_load DESC, status, bill",
            imo_number,
        )
        return [(Found(*row[:5]), row[5], row[6]) for row in rows if not is_vessel_key(row[0])]

    async def statuses(self) -> dict[str, int]:
        """How many bills there are of each. Kept, not counted: there may be millions."""
        return dict(await self._all("SELECT status, bills FROM statuses WHERE bills > 0"))

    async def stopped(self) -> list[Found]:
        """Bills with a do-not-load."""
        rows = await self._all(
            "SELECT bill, status, vessel_name, voyage_number, port FROM bills WHERE do_not_load"
            f" ORDER BY bill LIMIT {MOST_FOUND}"
        )
        return [Found(*row) for row in rows]

    async def search(self, text: str) -> list[Found]:
        """Bills whose number, container, entry, vessel or master begins so, exact ones first."""
        word = text.strip().upper()
        if not word:
            return []
        rows = await self._all(
            "SELECT DISTINCT bills.bill, status, vessel_name, voyage_number, port, kind"
            " FROM words JOIN bills USING (bill) WHERE word >= ? AND word < ?"
            f" ORDER BY word != ?, bills.bill LIMIT {MOST_FOUND}",
            word,
            word + "\U0010ffff",
            word,
        )
        unique = {row[0]: Found(*row) for row in reversed(rows)}
        return [unique[bill] for bill in dict.fromkeys(row[0] for row in rows)]

    async def waiting(self) -> list[codec.Datum]:
        """Do-not-loads on top, then the oldest first."""
        rows = await self._all("SELECT value FROM waiting ORDER BY do_not_load DESC, since, bill")
        return [codec.decode(value)[1] for (value,) in rows]

    async def letters(self) -> list[DeadLetter]:
        """Those that wait to be settled, the newest first."""
        rows = await self._all(
            f"SELECT value FROM letters WHERE settled IS NULL ORDER BY received_at DESC LIMIT {MOST_FOUND}"
        )
        return [_dead_letter(value) for (value,) in rows]

    async def deeds(self) -> list[AuditEntry]:
        """What people did by hand, the latest first."""
        rows = await self._all(f"SELECT value FROM deeds ORDER BY place DESC LIMIT {MOST_FOUND}")
        return [AuditEntry(**codec.decode(value)[1]) for (value,) in rows]

    async def letter(self, letter_id: str) -> DeadLetter | None:
        rows = await self._all("SELECT value FROM letters WHERE id = ?", letter_id)
        return _dead_letter(rows[0][0]) if rows else None

    async def counts(self) -> dict[str, int]:
        """How many bills wait, how many of them must not be loaded, and how many letters are open."""
        (row,) = await self._all(
            "SELECT (SELECT count(*) FROM waiting), (SELECT count(*) FROM waiting WHERE do_not_load),"
            " (SELECT count(*) FROM letters WHERE settled IS NULL)"
        )
        return dict(zip(("waiting", "waiting_do_not_load", "letters"), row, strict=True))

    async def _all(self, query: str, *values: Any) -> list[Any]:
        return await self._read(lambda connection: connection.execute(query, values).fetchall())


def _words(bill: str, state: BillState, known: Cargo) -> Iterator[tuple[str, str]]:
    """By what a bill is found, each with its kind; the bill itself by its key and by its number alone."""
    yield "bill", bill
    if not is_vessel_key(bill):
        yield "bill", bill[4:]
    yield from (("container", number) for number in known.container_numbers)
    yield from (("entry", event.entry_number) for event in state.events if event.entry_number)
    yield from (("vessel", name.upper()) for name in (known.vessel_name, known.imo_number) if name)
    if known.master_bill:
        yield "master bill", known.master_bill


def _history(connection: sqlite3.Connection, record: Record) -> Iterator[codec.Datum]:
    if record.value is None:
        return
    entry = codec.decode(record.value)[1]
    connection.execute(
        "INSERT OR REPLACE INTO timeline VALUES (?, ?, ?, ?)",
        (entry["bill"], entry["sequence"], entry["at"], record.value),
    )
    yield entry


def _with_bill(connection: sqlite3.Connection, entry: codec.Datum) -> Entry:
    row = connection.execute("SELECT vessel_name, port FROM bills WHERE bill = ?", (entry["bill"],)).fetchone()
    return Entry(entry, *(row or (None, None)))


def _recent(connection: sqlite3.Connection, count: int) -> list[Entry]:
    rows = connection.execute("SELECT value FROM timeline ORDER BY at DESC LIMIT ?", (count,)).fetchall()
    return [_with_bill(connection, codec.decode(value)[1]) for (value,) in rows]


def _waiting(connection: sqlite3.Connection, record: Record) -> None:
    bill = record.key.decode()
    if record.value is None:
        connection.execute("DELETE FROM waiting WHERE bill = ?", (bill,))
        return
    fields = codec.decode(record.value)[1]
    row = (bill, fields["do_not_load"], fields["since"], record.value)
    connection.execute("INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?)", row)


def _letter(connection: sqlite3.Connection, record: Record) -> None:
    if record.value is not None:
        letter = _dead_letter(record.value)
        row = (letter.id, letter.received_at, letter.settled, record.value)
        connection.execute("INSERT OR REPLACE INTO letters VALUES (?, ?, ?, ?)", row)


def _dead_letter(value: bytes) -> DeadLetter:
    letter = codec.decode_value(value)
    assert isinstance(letter, DeadLetter)
    return letter
