"""Parties' reading, as the desk's index has it: their unread stops now, and what was observed each minute."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from router.desk.bill_query import UNREAD, Condition
from router.desk.index_lists import EVERY, Selection, both
from router.desk.unread_notices import UnreadNotices
from router.log.sqlite.connection import transaction
from router.model.eastern import DAY, MINUTE

TABLES: Final = """
CREATE TABLE unread (bill TEXT, party TEXT, kind TEXT, since INTEGER, PRIMARY KEY (bill, party)) WITHOUT ROWID;
CREATE INDEX unread_by_party ON unread (party, kind, since, bill);
CREATE TABLE readings (party TEXT PRIMARY KEY, unknown TEXT, notices INTEGER) WITHOUT ROWID;
CREATE TABLE observations (
    party TEXT, minute INTEGER, at INTEGER, next_offset INTEGER, open TEXT, notices INTEGER, do_not_loads INTEGER,
    oldest INTEGER, PRIMARY KEY (party, minute)) WITHOUT ROWID;
CREATE TABLE unread_notices (
    party TEXT, position INTEGER, notice_id TEXT, PRIMARY KEY (party, position)) WITHOUT ROWID;
CREATE INDEX unread_notices_by_id ON unread_notices (notice_id);
"""

KEPT: Final = 7 * DAY
"""Observations are kept for a week, one a minute."""
SURE: Final = 15_000
"""Milliseconds. An observation covers the notices of decisions that were indexed so long before it began: they were
written in one transaction, and are visible by then."""


def write_unread(connection: sqlite3.Connection, found: Sequence[UnreadNotices]) -> None:
    """Replace the unread stops and the reasons of those that are unknown."""
    stops = [(stop.bill, one.party.id, stop.kind, stop.since) for one in found for stop in one.stops.values()]
    readings = [(one.party.id, one.receipt.unknown, one.notices) for one in found]
    with transaction(connection):
        connection.execute("DELETE FROM unread")
        connection.executemany("INSERT OR REPLACE INTO unread VALUES (?, ?, ?, ?)", stops)
        connection.execute("DELETE FROM readings")
        connection.executemany("INSERT INTO readings VALUES (?, ?, ?)", readings)


class UnreadStop(NamedTuple):
    """A stop that a party has not read, with its contact."""

    party: str
    bill: str
    kind: str
    """`UNREAD_DO_NOT_LOAD`, `UNREAD_HOLD` or `UNREAD_NOT_DELIVERABLE`."""
    since: int
    """Time at which its notice was written, UTC milliseconds."""
    contact_name: str | None
    contact_phone: str | None
    contact_email: str | None


def unread_of(party: str = "", kind: str = "") -> Selection[UnreadStop]:
    """Unread stops of a party, or of every one, the oldest first; `kind` is a word of `UNREAD`."""
    conditions = [Condition("party = ?", (party,)) if party else EVERY]
    if word := UNREAD.get(kind):
        conditions.append(Condition("kind = ?", (word,)))
    contact = ", ".join(
        f"(SELECT {name} FROM parties WHERE parties.party = t.party)"
        for name in ("contact_name", "contact_phone", "contact_email")
    )
    return Selection(
        "unread", f"party, bill, kind, since, {contact}", ("since", "party", "bill"), UnreadStop, both(*conditions)
    )


# Observations


class Observation(NamedTuple):
    """A look at a party's reading; the last one of its minute."""

    at: int
    """UTC milliseconds."""
    notices: int | None
    """Unread ones; None: its reading was unknown, as of the two below."""
    do_not_loads: int | None
    oldest: int | None
    """The time since which a do-not-load is unread. UTC milliseconds."""


def read_positions(connection: sqlite3.Connection) -> dict[str, int]:
    """By party, the offset of the latest notice that was seen unread."""
    latest = "SELECT max(position) FROM unread_notices AS u WHERE u.party = parties.party"
    rows = connection.execute(f"SELECT party, ({latest}) FROM parties").fetchall()
    return {party: offset for party, offset in rows if offset is not None}


_FORGET: Final = """
DELETE FROM unread_notices WHERE party = ?1 AND position IN (
    SELECT position FROM unread_notices AS u, (
        SELECT next_offset, open FROM observations WHERE party = ?1 AND next_offset IS NOT NULL ORDER BY minute LIMIT 1
    ) AS oldest
    WHERE u.party = ?1 AND u.position < oldest.next_offset AND NOT instr(oldest.open, ',' || u.position || ','))
"""
"""Forgets the offsets of notices that were read before the oldest observation: it says the same of them."""


def write_observations(connection: sqlite3.Connection, found: Sequence[UnreadNotices], at: int) -> None:
    """Note what each party has read at a time, and the offsets of the notices that are unread.

    A party that reads again from an earlier offset, or another topic, is observed anew: what was noted before no
    longer says what it has read.
    """
    with transaction(connection):
        for one in found:
            if _begins_anew(connection, one):
                connection.execute("DELETE FROM unread_notices WHERE party = ?", (one.party.id,))
                connection.execute("DELETE FROM observations WHERE party = ?", (one.party.id,))
                continue
            noted = [(one.party.id, offset, notice) for offset, notice in one.noted]
            connection.executemany("INSERT OR IGNORE INTO unread_notices VALUES (?, ?, ?)", noted)
            connection.execute(
                "INSERT OR REPLACE INTO observations VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _observed(one, at)
            )
            old = (one.party.id, (at - KEPT) // MINUTE)
            connection.execute("DELETE FROM observations WHERE party = ? AND minute < ?", old)
            connection.execute(_FORGET, (one.party.id,))


def _begins_anew(connection: sqlite3.Connection, one: UnreadNotices) -> bool:
    if not one.is_known:
        return False
    last = connection.execute(
        "SELECT next_offset FROM observations WHERE party = ? AND next_offset IS NOT NULL ORDER BY minute DESC LIMIT 1",
        (one.party.id,),
    ).fetchone()
    if last is not None and one.receipt.next_offset < last[0]:
        return True
    for offset, notice in one.noted[:1]:
        sql = "SELECT notice_id FROM unread_notices WHERE party = ? AND position = ?"
        known = connection.execute(sql, (one.party.id, offset)).fetchone()
        return known is not None and known[0] != notice
    return False


def _observed(one: UnreadNotices, at: int) -> tuple[Any, ...]:
    if not one.is_known:
        return one.party.id, at // MINUTE, at, None, "", None, None, None
    stops = one.do_not_loads
    oldest = min((stop.since for stop in stops), default=None)
    open_offsets = "".join(f",{offset}," for offset in sorted(one.receipt.open))
    receipt = one.receipt.next_offset, open_offsets
    return one.party.id, at // MINUTE, at, *receipt, one.notices, len(stops), oldest


def read_observations(connection: sqlite3.Connection, party: str, since: int) -> list[Observation]:
    """A party's observations since then, in order. A minute without one is unknown."""
    sql = "SELECT at, notices, do_not_loads, oldest FROM observations WHERE party = ? AND minute >= ? ORDER BY minute"
    return [Observation(*row) for row in connection.execute(sql, (party, since // MINUTE))]


class ReadTime(NamedTuple):
    """The time at which a party's reader passed a notice, as observed. Both parts None: unknown."""

    unread_at: int | None = None
    """The last time at which it was seen unread. UTC milliseconds."""
    read_by: int | None = None
    """The first time at which it was seen read; None: it never was."""


class SentNotice(NamedTuple):
    """A notice of a bill's history."""

    party: str
    notice_id: str
    sequence: int
    """The number of its decision."""


_IS_OPEN: Final = "instr(open, ',' || ?2 || ',')"
_FIRST_READ: Final = (
    f"SELECT at FROM observations WHERE party = ?1 AND next_offset > ?2 AND NOT {_IS_OPEN} ORDER BY minute LIMIT 1"
)
_LAST_UNREAD: Final = (
    f"SELECT at FROM observations WHERE party = ?1 AND (next_offset <= ?2 OR {_IS_OPEN}) AND at < ?3"
    " ORDER BY minute DESC LIMIT 1"
)
_FIRST_AFTER: Final = (
    "SELECT at FROM observations WHERE party = ?1 AND minute >= ?2 / 60000 AND at >= ?2 AND next_offset IS NOT NULL"
    " ORDER BY minute LIMIT 1"
)


def read_times(connection: sqlite3.Connection, bill: str, sent: Sequence[SentNotice]) -> dict[SentNotice, ReadTime]:
    """Return the time at which each notice of a bill was read. A notice that was never seen unread was read by the
    first observation that covers it."""
    indexed = dict(connection.execute("SELECT sequence, indexed_at FROM timeline WHERE bill = ?", (bill,)))

    def first(sql: str, *values: object) -> int | None:
        found = connection.execute(sql, values).fetchone()
        return int(found[0]) if found is not None else None

    times = {}
    for one in sent:
        position = first(
            "SELECT position FROM unread_notices WHERE notice_id = ? AND party = ?", one.notice_id, one.party
        )
        if position is not None:
            by = first(_FIRST_READ, one.party, position)
            times[one] = ReadTime(first(_LAST_UNREAD, one.party, position, by if by is not None else 2**62), by)
        elif one.sequence in indexed:
            times[one] = ReadTime(None, first(_FIRST_AFTER, one.party, indexed[one.sequence] + SURE))
    return times
