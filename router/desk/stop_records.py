"""Do-not-loads by the time they began, and operators' calls about them, as the desk's index keeps them."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from router import codec
from router.desk.bill_query import Condition
from router.desk.index_lists import Selection
from router.engine.administration import AuditEntry

CALLED: Final = "call party"
"""The audit's action of a telephone call about unread do-not-loads; its subject is the party."""

TABLES: Final = """
CREATE TABLE stops (bill TEXT PRIMARY KEY, since INTEGER) WITHOUT ROWID;
CREATE INDEX stops_by_time ON stops (since);
CREATE TABLE calls (party TEXT PRIMARY KEY, at INTEGER, called_by TEXT, detail TEXT) WITHOUT ROWID;
"""


class Call(NamedTuple):
    """The latest call to a party."""

    at: int
    by: str
    detail: str | None
    """The person who answered, and what was agreed."""


class NewStop(NamedTuple):
    """A bill with a do-not-load, and when that began."""

    bill: str
    since: int
    status: str
    vessel_name: str | None
    voyage_number: str | None
    port: str | None


def write_stop(connection: sqlite3.Connection, entry: codec.Fields) -> bool:
    """Note whether the bill has a do-not-load after this decision. True if it had none before."""
    if entry["do_not_load"]:
        row = (entry["bill"], entry["at"])
        return connection.execute("INSERT OR IGNORE INTO stops VALUES (?, ?)", row).rowcount > 0
    connection.execute("DELETE FROM stops WHERE bill = ?", (entry["bill"],))
    return False


def began_stop(connection: sqlite3.Connection, entry: codec.Fields) -> bool:
    """Tell whether the do-not-load that stands began with this decision, which another program has noted."""
    sql = "SELECT 1 FROM stops WHERE bill = ? AND since = ?"
    return bool(entry["do_not_load"]) and connection.execute(sql, (entry["bill"], entry["at"])).fetchone() is not None


def write_call(connection: sqlite3.Connection, entry: AuditEntry) -> None:
    if entry.action == CALLED:
        row = (entry.subject, entry.at, entry.by, entry.detail)
        connection.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?)", row)


def read_calls(connection: sqlite3.Connection) -> dict[str, Call]:
    """The latest call to each party."""
    return {party: Call(*call) for party, *call in connection.execute("SELECT * FROM calls")}


def count_stops(connection: sqlite3.Connection, since: int) -> int:
    """The number of do-not-loads that began since then and stand. UTC milliseconds."""
    (count,) = connection.execute("SELECT count(*) FROM stops WHERE since >= ?", (since,)).fetchone()
    return int(count)


def stops_since(since: int) -> Selection[NewStop]:
    """The do-not-loads that began since then, UTC milliseconds, and stand, newest first."""
    begun = "SELECT bill, stops.since, status, vessel_name, voyage_number, port FROM stops JOIN bills USING (bill)"
    return Selection(
        f"({begun}) AS s",
        "bill, since, status, vessel_name, voyage_number, port",
        ("since", "bill"),
        NewStop,
        Condition("since >= ?", (since,)),
        descending=True,
    )
