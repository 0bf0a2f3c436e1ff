"""Decisions with notices as a table of the desk's index, by recipient and time, and the list that is read of it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from router import codec
from router.desk.bill_query import Condition
from router.desk.index_lists import Selection, both
from router.task.outputs import timeline_fields

TABLES: Final = """
CREATE TABLE notified (
    party TEXT, at INTEGER, bill TEXT, sequence INTEGER, kinds INTEGER, do_not_load INTEGER,
    PRIMARY KEY (party, at, bill, sequence)) WITHOUT ROWID;
CREATE TABLE notified_counts (party TEXT PRIMARY KEY, decisions INTEGER) WITHOUT ROWID;
"""

ANYBODY: Final = ""
"""`party` of the row that stands for all recipients of a decision."""
KINDS: Final = {"hold": 1, "change": 2, "release": 4}
"""Bits of the column `kinds`."""


COUNTED: Final = "SELECT decisions FROM notified_counts WHERE party = ?"


class IndexedEntry(NamedTuple):
    """A timeline entry with its bill's present vessel and port."""

    fields: codec.Fields
    """The fields as of `timeline_fields`."""
    vessel_name: str | None
    port: str | None
    stops_anew: bool = False
    """The decision began a do-not-load."""


class NoticeFilter(NamedTuple):
    """The decisions that are asked for; empty means any."""

    party: str = ""
    """A recipient."""
    kind: str = ""
    """A word of `KINDS`: a notice of this kind was sent, if a party is given to that party."""
    vessel: str = ""
    """A part of the name of the bill's vessel now, in capitals."""
    port: str = ""
    """Port of unlading of the bill now, Schedule D."""
    do_not_load: bool = False


def write_notified(connection: sqlite3.Connection, entries: Iterable[codec.Fields]) -> None:
    """Write decisions by their recipients; one without any is in its bill's history only."""
    rows, counts = [], Counter[str]()
    for entry in entries:
        kinds = {ANYBODY: 0}
        for one in entry["notified"]:
            bit = KINDS[one["kind"]]
            kinds[ANYBODY] |= bit
            kinds[one["recipient"]] = kinds.get(one["recipient"], 0) | bit
        if kinds[ANYBODY]:
            place = entry["at"], entry["bill"], entry["sequence"]
            rows += [(party, *place, bits, entry["do_not_load"]) for party, bits in kinds.items()]
            counts.update(kinds.keys())
    connection.executemany("INSERT OR REPLACE INTO notified VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "INSERT INTO notified_counts VALUES (?, ?) ON CONFLICT (party) DO UPDATE SET"
        " decisions = decisions + excluded.decisions",
        counts.items(),
    )


def notices_of(given: NoticeFilter) -> Selection[IndexedEntry]:
    """Decisions that fit the filter, newest first."""
    conditions = [Condition("party = ?", (given.party,))]
    if given.kind:
        conditions.append(Condition("kinds & ?", (KINDS[given.kind],)))
    if given.do_not_load:
        conditions.append(Condition("do_not_load", ()))
    if given.vessel:
        conditions.append(_of_bills("instr(upper(vessel_name), ?)", given.vessel))
    if given.port:
        conditions.append(_of_bills("port = ?", given.port))
    is_counted = len(conditions) == 1
    return Selection(
        "notified",
        "(SELECT value FROM timeline AS e WHERE e.bill = t.bill AND e.sequence = t.sequence),"
        " (SELECT nullif(vessel_name, '') FROM bills AS b WHERE b.bill = t.bill),"
        " (SELECT nullif(port, '') FROM bills AS b WHERE b.bill = t.bill)",
        ("at", "bill", "sequence"),
        _made,
        both(*conditions),
        descending=True,
        total=Condition(COUNTED, (given.party,)) if is_counted else None,
        reads_all=not is_counted,
    )


def _of_bills(sql: str, value: str) -> Condition:
    return Condition(f"bill IN (SELECT bill FROM bills WHERE {sql})", (value,))


def _made(value: bytes, vessel_name: str | None, port: str | None) -> IndexedEntry:
    return IndexedEntry(timeline_fields(value), vessel_name, port)
