"""Parties, sailings and outages of the registry as tables of the desk's index, and the lists that are read of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from router.decide.registry import Registry
from router.desk.bill_query import Condition
from router.desk.index_lists import EVERY, ListOrder, Selection, both, chosen_order, containing, searched_text
from router.errors import UsageError
from router.log.sqlite.connection import transaction
from router.model.registry_values import PARTY_STATUSES, Line, Outage, Party, Sailing

TABLES: Final = """
CREATE TABLE parties (
    party TEXT PRIMARY KEY, name TEXT, status TEXT, roles TEXT, contact_name TEXT, contact_phone TEXT,
    contact_email TEXT, aliases TEXT, topic TEXT, production_group TEXT, text TEXT) WITHOUT ROWID;
CREATE TABLE sailings (
    sailing TEXT PRIMARY KEY, vessel_name TEXT, imo_number TEXT, first_day TEXT, last_day TEXT, first_lading_date TEXT,
    ports TEXT, lines TEXT, text TEXT) WITHOUT ROWID;
CREATE TABLE sailing_days (sailing TEXT, day TEXT, PRIMARY KEY (sailing, day)) WITHOUT ROWID;
CREATE TABLE sailing_records (sailing TEXT, record TEXT, PRIMARY KEY (sailing, record)) WITHOUT ROWID;
CREATE TABLE sailing_lines (
    sailing TEXT, line TEXT, role TEXT, voyage_number TEXT, scope TEXT,
    PRIMARY KEY (sailing, line, role, voyage_number, scope)) WITHOUT ROWID;
CREATE TABLE outages (
    id TEXT PRIMARY KEY, kind TEXT, began_at INTEGER, mode TEXT, feed TEXT, port TEXT, carrier TEXT, reason TEXT,
    ticket TEXT, declared_by TEXT, until INTEGER, ended_at INTEGER, ended_by TEXT, text TEXT) WITHOUT ROWID;
"""

SEPARATOR: Final = "\n"
"""Between the values of a column that has several."""

NEVER: Final = "~"
"""Sorts after every date."""


TableRows = dict[str, list[tuple[Any, ...]]]
"""Rows of each table."""


def registry_rows(registry: Registry, outages: Iterable[Outage]) -> TableRows:
    """All parties, sailings and outages as rows."""
    sailings = registry.roster.sailings().values()
    return {
        "parties": [_party_row(one) for one in registry.parties.values()],
        "sailings": [_sailing_row(one) for one in sailings],
        "sailing_days": [(one.sailing_id, day) for one in sailings for day in one.dates],
        "sailing_records": [(one.sailing_id, id) for one in sailings for id in registry.roster.record_ids(one)],
        "sailing_lines": [row for one in sailings for row in _line_rows(one)],
        "outages": [(*one, _outage_text(one)) for one in outages],
    }


def write_registry(connection: sqlite3.Connection, tables: TableRows) -> None:
    """Replace the contents of the tables."""
    with transaction(connection):
        for table, rows in tables.items():
            connection.execute(f"DELETE FROM {table}")
            if rows:
                marks = ",".join("?" * len(rows[0]))
                connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)


def _party_row(one: Party) -> tuple[Any, ...]:
    contact = (one.contact_name, one.contact_phone, one.contact_email)
    aliases = SEPARATOR.join(one.aliases)
    text = searched_text(one.id, one.name, *contact, *one.aliases, *one.roles)
    roles = SEPARATOR.join(one.roles)
    return one.id, one.name, one.status, roles, *contact, aliases, one.topic, one.production_group, text


def _sailing_row(one: Sailing) -> tuple[Any, ...]:
    lines = SEPARATOR.join(f"{line.scac} (operator)" if line.role == "operator" else line.scac for line in one.lines)
    text = searched_text(one.sailing_id, one.vessel_name, one.imo_number, *(line.scac for line in one.lines))
    days = one.arrival_date or "", one.last_arrival_date or ""
    ports = SEPARATOR.join(one.ports)
    return one.sailing_id, one.vessel_name, one.imo_number, *days, one.first_lading_date, ports, lines, text


def _line_rows(one: Sailing) -> Iterator[tuple[Any, ...]]:
    return ((one.sailing_id, line.scac, line.role, line.voyage_number or "", line.scope) for line in one.lines)


def _outage_text(one: Outage) -> str:
    texts = (one.kind, one.mode, one.feed, one.port, one.carrier, one.reason, one.ticket, one.declared_by, one.ended_by)
    return searched_text(*texts)


def outages_of(text: str = "") -> Selection[Outage]:
    """Outages that contain a text, the latest first."""
    return Selection(
        "outages", ", ".join(Outage._fields), ("began_at", "id"), Outage, containing(text), descending=True
    )


def _parts(text: str) -> tuple[str, ...]:
    return tuple(text.split(SEPARATOR)) if text else ()


# Parties


class IndexedParty(NamedTuple):
    """A party in a list."""

    party: str
    name: str | None
    status: str
    roles: tuple[str, ...]
    contact_name: str | None
    contact_phone: str | None
    contact_email: str | None
    aliases: tuple[str, ...]
    unread_do_not_loads: int
    unread_stops: int
    """Do-not-loads, holds, and releases that no longer count."""
    unread_since: int | None
    """Time of its oldest unread do-not-load, UTC milliseconds."""
    reading_unknown: str | None
    """The reason if its reading is unknown; None also for a party that is not live."""


READING: Final = ("do-not-load", "any", "unknown")
"""Words that select parties: with an unread do-not-load, with any unread stop, or with an unknown reading."""

_UNREAD: Final = "(SELECT count(*) FROM unread WHERE unread.party = {}.party{})"
_OF_DO_NOT_LOADS: Final = " AND kind = 'UNREAD_DO_NOT_LOAD'"

PARTY_ORDERS: Final = {
    "party": ListOrder("''"),
    "name": ListOrder("coalesce(name, '')"),
    "status": ListOrder("status"),
    "unread": ListOrder(_UNREAD.format("p", _OF_DO_NOT_LOADS), begins_descending=True),
}
"""The orders of parties by the word that sorts by it."""


def parties_of(given: Mapping[str, str]) -> Selection[IndexedParty]:
    """The parties that an address names. Raises UsageError for a value that selects nothing."""
    status, reading = given.get("status", "").lower(), given.get("reading", "")
    if status and status not in PARTY_STATUSES:
        raise UsageError(f"status {status!r} is none of {', '.join(PARTY_STATUSES)}")
    if reading and reading not in READING:
        raise UsageError(f"reading {reading!r} is none of {', '.join(READING)}")
    order, descending = chosen_order(PARTY_ORDERS, given.get("sort", "party"), given.get("order", ""))
    kinds = {"do-not-load": _OF_DO_NOT_LOADS, "any": "", "unknown": None, "": None}[reading]
    conditions = [containing(given.get("text", ""))]
    if status:
        conditions.append(Condition("status = ?", (status,)))
    if kinds is not None:
        conditions.append(Condition(f"party IN (SELECT party FROM unread WHERE 1{kinds})", ()))
    if reading == "unknown":
        conditions.append(Condition("party IN (SELECT party FROM readings WHERE unknown IS NOT NULL)", ()))
    return Selection(
        "parties AS p",
        "party, name, status, roles, contact_name, contact_phone, contact_email, aliases,"
        f" {_UNREAD.format('t', _OF_DO_NOT_LOADS)}, {_UNREAD.format('t', '')},"
        f" (SELECT min(since) FROM unread WHERE unread.party = t.party{_OF_DO_NOT_LOADS}),"
        " (SELECT unknown FROM readings WHERE readings.party = t.party)",
        (order.expression, "party"),
        _party_made,
        both(*conditions),
        descending,
    )


def _party_made(*columns: Any) -> IndexedParty:
    made = IndexedParty(*columns)
    return made._replace(roles=_parts(columns[3]), aliases=_parts(columns[7]))


# Sailings


class IndexedSailing(NamedTuple):
    """A sailing in a list, with the numbers of bills that were positively found on it."""

    sailing: str
    vessel_name: str | None
    imo_number: str
    next_arrival: str | None
    """Its first call from today on, by CBP's clock."""
    first_arrival: str | None
    last_arrival: str | None
    first_lading_date: str | None
    ports: tuple[str, ...]
    lines: tuple[str, ...]
    do_not_load: int
    held: int
    released: int
    bills: int


SHOWN: Final = ("coming", "past", "all")
"""Words that select sailings: those with a call from today on or without any date, those before, every one."""

_NEXT: Final = "(SELECT min(day) FROM sailing_days AS d WHERE d.sailing = {}.sailing AND day >= '{}')"
_BILLS: Final = (
    "(SELECT count(*) FROM sailing_records AS r JOIN bills AS b ON b.sailing_id = r.record"
    " WHERE r.sailing = {}.sailing{})"
)
_STATUSES: Final = {
    "do-not-loads": " AND b.status = 'DO_NOT_LOAD'",
    "held": " AND b.status = 'HELD'",
    "released": " AND b.status = 'RELEASED'",
    "bills": "",
}
SAILING_ORDERS: Final = ("arrival", "sailing", "vessel", *_STATUSES)
"""The words that sort sailings."""


def sailings_of(given: Mapping[str, str], today: str) -> Selection[IndexedSailing]:
    """The sailings that an address names; `today` is CCYY-MM-DD by CBP's clock. Raises UsageError for a value that
    selects nothing."""
    shown = given.get("show", "coming")
    if shown not in SHOWN:
        raise UsageError(f"show {shown!r} is none of {', '.join(SHOWN)}")
    arrival = f"coalesce({_NEXT.format('s', today)}, nullif(last_day, ''), '{NEVER}')"
    orders = {
        "arrival": ListOrder(arrival, begins_descending=shown == "past"),
        "sailing": ListOrder("''"),
        "vessel": ListOrder("coalesce(vessel_name, '')"),
    } | {word: ListOrder(_BILLS.format("s", sql), begins_descending=True) for word, sql in _STATUSES.items()}
    order, descending = chosen_order(orders, given.get("sort", "arrival"), given.get("order", ""))
    is_shown = {
        "coming": Condition("(last_day = '' OR last_day >= ?)", (today,)),
        "past": Condition("(last_day <> '' AND last_day < ?)", (today,)),
        "all": EVERY,
    }[shown]
    counts = ", ".join(_BILLS.format("t", sql) for sql in _STATUSES.values())
    return Selection(
        "sailings AS s",
        f"sailing, vessel_name, imo_number, {_NEXT.format('t', today)}, nullif(first_day, ''), nullif(last_day, ''),"
        f" first_lading_date, ports, lines, {counts}",
        (order.expression, "sailing"),
        _sailing_made,
        both(is_shown, containing(given.get("text", ""))),
        descending,
    )


def _sailing_made(*columns: Any) -> IndexedSailing:
    made = IndexedSailing(*columns)
    return made._replace(ports=_parts(columns[7]), lines=_parts(columns[8]))


def lines_of(sailing: str) -> Selection[Line]:
    """The lines aboard a sailing, by SCAC."""
    return Selection(
        "sailing_lines",
        "line, role, nullif(voyage_number, ''), scope",
        ("line", "role", "voyage_number", "scope"),
        Line,
        Condition("sailing = ?", (sailing,)),
    )
