"""What parties have read, as tables of the desk's index: their unread stops, and what is unknown of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from router.desk.bill_query import UNREAD, Condition
from router.desk.index_lists import EVERY, Selection, both
from router.desk.unread_notices import UnreadNotices
from router.log.sqlite.connection import transaction

TABLES: Final = """
CREATE TABLE unread (bill TEXT, party TEXT, kind TEXT, since INTEGER, PRIMARY KEY (bill, party)) WITHOUT ROWID;
CREATE INDEX unread_by_party ON unread (party, kind, since, bill);
CREATE TABLE readings (party TEXT PRIMARY KEY, unknown TEXT, notices INTEGER) WITHOUT ROWID;
"""


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
