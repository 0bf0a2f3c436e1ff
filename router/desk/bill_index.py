"""The desk's index: bills by everything that a desk asks for, built from the log's topics into a file beside it.

It holds each bill's last state, the words to find it by, the history, waiting bills, dead letters and the audit. The
offsets it has read are written in the same transaction, so an interrupted build resumes where it stopped, and several
programs may keep one file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from router import codec, topics
from router.decide.registry import Registry
from router.decide.roster import cut_name
from router.decide.rules import Rules
from router.desk.bill_query import (
    LAST,
    NUMBERS,
    STATUSES,
    BillQuery,
    Condition,
    Cursor,
    beyond_sql,
    condition_of,
    order_sql,
    scan_sql,
    sorted_value,
)
from router.desk.index_file import IndexFile
from router.desk.index_lists import (
    EVERY,
    EXPORTED_AT_ONCE,
    PAGE_SIZE,
    Paged,
    Selection,
    both,
    containing,
    read_page,
    read_some,
)
from router.desk.index_notices import IndexedEntry
from router.desk.index_reading import (
    Observation,
    ReadTime,
    SentNotice,
    read_observations,
    read_positions,
    read_times,
    write_observations,
    write_unread,
)
from router.desk.index_records import STILL, read_letter, unpacked, write_records
from router.desk.index_registry import registry_rows, write_registry
from router.desk.stop_records import Call, count_stops, read_calls
from router.desk.unconfirmed_releases import UnconfirmedReleases
from router.desk.unread_notices import UnreadNotices
from router.engine.administration import AuditEntry
from router.log.interface import Place, Record
from router.log.sqlite.connection import transaction
from router.model.identifiers import split_bill_key
from router.model.inputs import DeadLetter
from router.model.registry_values import Outage
from router.task.outputs import timeline_fields
from router.task.registry_duties import POSITION, Position

FOLLOWED: Final = (topics.BILLS, topics.TIMELINE, topics.WAITING, topics.DEAD_LETTERS, topics.AUDIT)
"""The topics that the index is built from."""

T = TypeVar("T")


class LastCommit(NamedTuple):
    """A partition's last commit."""

    at: int
    """By the router's clock, UTC milliseconds."""
    position: Position


class IndexedBill(NamedTuple):
    """A bill in a list."""

    bill: str
    status: str
    do_not_load: bool
    vessel_name: str | None
    imo_number: str | None
    voyage_number: str | None
    port: str | None
    carrier_scac: str | None
    arrival_date: str | None
    sailing_id: str | None
    master_bill: str | None
    since: int
    """Posted time of the oldest hold that stands, or else of the latest event. UTC milliseconds."""
    containers: tuple[str, ...]
    """Without check digits."""
    holds: tuple[str, ...]
    """Codes of the holds that stand, and the kinds of those without a code."""
    doubts: tuple[str, ...]
    flags: tuple[str, ...]
    unread_by: tuple[str, ...]
    """Parties that have not read a stop of it."""

    @property
    def parts(self) -> tuple[str, str]:
        """The issuer's SCAC and the number."""
        return split_bill_key(self.bill)


class IndexedVessel(NamedTuple):
    """A vessel, or one voyage of it, with its bills."""

    vessel_name: str | None
    imo_number: str | None
    voyage_number: str | None
    bills: int
    do_not_loads: int
    """Bills with a do-not-load."""
    held: int
    """Bills whose status is `HELD`."""


class BillPage(NamedTuple):
    """One page of a list of bills, as of one moment."""

    rows: tuple[IndexedBill, ...]
    first: int
    """Number of the first row in the whole list, from 1; 0: the list is empty."""
    total: int
    by_status: Mapping[str, int]
    """Number of bills of each status in the whole list."""
    before: Cursor | None
    """The place before which the previous page ends; None on the first page."""
    after: Cursor | None
    """The place after which the next page begins; None on the last page."""


class WaitingGroup(NamedTuple):
    """The waiting bills that lack one thing. A bill that lacks two is in both groups."""

    reason: str
    total: int
    do_not_loads: int


class BillIndex(IndexFile):
    """The index's contents: records are written with `write_records`, unread stops with `write_unread`; everything else
    reads."""

    # Writing

    async def positions(self) -> dict[Place, int]:
        """The next offset to read of each partition."""
        rows = await self._rows("SELECT topic, partition, next_offset FROM progress")
        return {(topic, partition): offset for topic, partition, offset in rows}

    async def write_records(self, records: Sequence[Record], rules: Rules) -> list[IndexedEntry]:
        """Write records and their positions; return the timeline entries among them, in order. Records that another
        program has written are passed over. Raises UnknownRules, with nothing written, for a bill with an event of
        later rules."""
        return await self._write(lambda connection: write_records(connection, records, rules))

    async def write_unread(self, found: Sequence[UnreadNotices]) -> None:
        """Replace the unread stops, and what is unknown of them."""
        await self._write(lambda connection: write_unread(connection, found))

    async def write_observations(self, found: Sequence[UnreadNotices], at: int) -> None:
        """Note what parties had read at a time, UTC milliseconds, and keep it for a week."""
        await self._write(lambda connection: write_observations(connection, found, at))

    async def write_registry(self, registry: Registry, outages: Iterable[Outage] = ()) -> None:
        """Replace the parties, the sailings and the outages, of which the registry keeps only open ones."""
        rows = registry_rows(registry, outages)
        await self._write(lambda connection: write_registry(connection, rows))

    # Lists of bills

    async def bills(
        self,
        query: BillQuery,
        registry: Registry,
        now: int,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        size: int = PAGE_SIZE,
    ) -> BillPage:
        """Up to `size` bills that fit the query: the first ones, those after a cursor, or those before one."""
        condition = condition_of(query, registry, now)
        run = self._scan if query.contains else self._read
        return await run(lambda connection: _page(connection, query, condition, after, before, size))

    async def count(self, query: BillQuery, registry: Registry, now: int) -> int:
        condition = condition_of(query, registry, now)
        run = self._scan if query.contains else self._read
        sql = f"SELECT count(*) FROM bills WHERE {condition.sql}"
        return await run(lambda connection: int(connection.execute(sql, condition.values).fetchone()[0]))

    async def every_bill(self, query: BillQuery, registry: Registry, now: int) -> AsyncIterator[IndexedBill]:
        """All bills that fit the query, in its order, without a limit. A bill that changes meanwhile may be left out or
        come twice, if its place in the order changes."""
        condition, after = condition_of(query, registry, now), None
        total, is_first = await self.count(query, registry, now), True
        while is_first or after is not None:
            rows, after = await self._scan(partial(_some, query, condition, after, EXPORTED_AT_ONCE, total))
            is_first = False
            for row in rows:
                yield row

    async def statuses(self) -> dict[str, int]:
        """The number of bills of each status; kept up to date, since there may be millions of bills to count."""
        return dict(await self._rows(_STATUSES))

    async def sailing_statuses(self, sailing_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """The number of bills of each status by the sailing that they were positively found on."""
        places = ",".join("?" * len(sailing_ids))
        sql = f"SELECT sailing_id, status, count(*) FROM bills WHERE sailing_id IN ({places}) GROUP BY 1, 2"
        found: dict[str, dict[str, int]] = {}
        for sailing_id, status, bills in await self._rows(sql, *sailing_ids):
            found.setdefault(sailing_id, {})[status] = bills
        return found

    async def vessels(self, name: str, voyage: str) -> list[IndexedVessel]:
        """Vessels whose name begins with `name` or whose IMO number it is, and whose voyage number begins with
        `voyage`, leading zeros aside; one row a voyage if that is given, else one a vessel. By name."""
        by, cut = "voyage_number" if voyage else "NULL", cut_name(name)
        rows = await self._rows(
            f"SELECT vessel_name, imo_number, {by}, count(*), sum(do_not_load), sum(status = 'HELD') FROM bills"
            " WHERE (vessel >= ? AND vessel < ? OR imo_number = ?) AND +voyage BETWEEN ? AND ?"
            " GROUP BY vessel, imo_number, 3 ORDER BY vessel, imo_number, 3",
            *(cut, cut + LAST, name, voyage.lstrip("0"), voyage.lstrip("0") + LAST),
        )
        return [IndexedVessel(row[0] or None, row[1] or None, row[2] or None, *row[3:]) for row in rows]

    async def containing(self, part: str, size: int) -> dict[str, BillPage]:
        """By kind of number, the first bills with a number that contains the text. Reads all numbers once."""
        return await self._scan(partial(_containing, part, size))

    # One bill

    async def last_commits(self) -> dict[int, LastCommit]:
        """By partition; those without any commit are left out."""
        rows = await self._rows("SELECT partition, at, position FROM commits WHERE position IS NOT NULL")
        return {partition: LastCommit(at, POSITION.decode(value)) for partition, at, value in rows}

    async def state(self, bill: str) -> bytes | None:
        rows = await self._rows("SELECT state FROM states WHERE bill = ?", bill)
        return rows[0][0] if rows else None

    async def history(self, bill: str) -> list[codec.Fields]:
        rows = await self._rows("SELECT value FROM timeline WHERE bill = ? ORDER BY sequence", bill)
        return [timeline_fields(value) for (value,) in rows]

    async def read_times(self, bill: str, sent: Sequence[SentNotice]) -> dict[SentNotice, ReadTime]:
        """Times at which the notices of a bill were read, as observed; those of which nothing is known are left out."""
        return await self._read(lambda connection: read_times(connection, bill, sent))

    # Everything else

    async def observations(self, party: str, since: int) -> list[Observation]:
        """Observations of a party's reading since then, one a minute, in order. UTC milliseconds."""
        return await self._read(lambda connection: read_observations(connection, party, since))

    async def read_positions(self) -> dict[str, int]:
        """By party, the offset of the latest notice that was seen unread."""
        return await self._read(read_positions)

    async def page(
        self, selection: Selection[T], after: str | None = None, before: str | None = None, size: int = PAGE_SIZE
    ) -> Paged[T]:
        """One page of a list: the first one, the one after the place that an earlier page gave, or the one before it.
        Raises UsageError for a token that names no place."""
        run = self._scan if selection.reads_all else self._read
        return await run(partial(read_page, selection, after, before, size))

    async def every_row(self, selection: Selection[T]) -> AsyncIterator[T]:
        """All rows of a list, in its order, without a limit. A row whose place changes meanwhile may be left out or
        come twice."""
        place, is_first = None, True
        while is_first or place is not None:
            rows, place = await self._scan(partial(read_some, selection, place, EXPORTED_AT_ONCE))
            is_first = False
            for row in rows:
                yield row

    async def waiting_groups(self, text: str = "") -> list[WaitingGroup]:
        """Waiting bills that contain the text by what is missing: most do-not-loads first, then most bills."""
        rows = await self._rows("SELECT value FROM waiting WHERE ? = '' OR instr(text, ?)", text.upper(), text.upper())
        counts: dict[str, list[int]] = {}
        for (value,) in rows:
            fields = codec.decode(value)[1]
            for reason in fields["reasons"]:
                count = counts.setdefault(reason, [0, 0])
                count[0] += 1
                count[1] += fields["do_not_load"]
        groups = (WaitingGroup(reason, *count) for reason, count in counts.items())
        return sorted(groups, key=lambda one: (-one.do_not_loads, -one.total, one.reason))

    async def dead_letter(self, letter_id: str) -> DeadLetter | None:
        rows = await self._rows("SELECT value FROM letters WHERE id = ?", letter_id)
        return read_letter(rows[0][0]) if rows else None

    async def login_addresses(self, name: str) -> list[str]:
        """The addresses from which somebody logged in to the console under this name, as the audit has them."""
        return [address for (address,) in await self._rows("SELECT address FROM logins WHERE name = ?", name)]

    async def calls(self) -> dict[str, Call]:
        """The latest call to each party about its unread do-not-loads."""
        return await self._read(read_calls)

    async def count_stops(self, since: int) -> int:
        """The number of do-not-loads that began since then, UTC milliseconds, and stand."""
        return await self._read(lambda connection: count_stops(connection, since))

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
            " (SELECT count(*) FROM bills WHERE touched >= ?2)"
            " + (SELECT count(*) FROM bills WHERE touched < ?2 AND unconfirmed_until = ?1)",
            STILL,
            since,
        )
        return UnconfirmedReleases(*row)

    async def _rows(self, query: str, *values: Any) -> list[Any]:
        return await self._read(lambda connection: connection.execute(query, values).fetchall())


# Lists of everything else


def history_of(bill: str) -> Selection[codec.Fields]:
    """A bill's decisions as of `timeline_fields`, newest first."""
    return Selection(
        "timeline", "value", ("sequence",), timeline_fields, Condition("bill = ?", (bill,)), descending=True
    )


def waiting(text: str = "") -> Selection[codec.Fields]:
    """Waiting bills, do-not-loads first, then the oldest. `text` is a part of the bill, its status, a reason or a
    party."""
    order = ("do_not_load", "-since", "bill")
    return Selection("waiting", "value", order, lambda value: codec.decode(value)[1], containing(text), descending=True)


def dead_letters(text: str = "") -> Selection[DeadLetter]:
    """Unresolved dead letters, newest first. `text` is a part of its id, reason, source or bill."""
    condition = both(Condition("resolution IS NULL", ()), containing(text))
    return Selection("letters", "value", ("received_at", "id"), read_letter, condition, descending=True)


def audit(text: str = "") -> Selection[AuditEntry]:
    """Operators' actions, newest first. `text` is a part of a field."""
    return Selection(
        "audit", "value", ("place",), lambda value: AuditEntry(**codec.decode(value)[1]), containing(text),
        descending=True,
    )  # fmt: skip


# Pages of bills

_STATUSES: Final = "SELECT status, bills FROM statuses WHERE bills > 0"

_ROW: Final = (
    "bill, status, do_not_load, vessel_name, imo_number, voyage_number, port, carrier_scac, arrival_date, sailing_id,"
    " master_bill, since, words, concern, vessel,"
    " (SELECT group_concat(flag) FROM flags WHERE flags.bill = bills.bill) AS flags,"
    " (SELECT group_concat(party) FROM unread WHERE unread.bill = bills.bill) AS unread_by"
)


def _page(
    connection: sqlite3.Connection,
    query: BillQuery,
    condition: Condition,
    after: Cursor | None,
    before: Cursor | None,
    size: int,
) -> BillPage:
    with transaction(connection, "DEFERRED"):
        if query.contains:
            _select(connection, f"SELECT bill FROM bills WHERE {condition.sql}", condition.values)
            condition = Condition(f"bill IN ({_SELECTED})", ())
        by_status = _count_by_status(connection, condition)
        total = sum(by_status.values())
        found = _fetched(
            connection, query, condition, before or after, size + 1, total, backwards=before is not None
        )  # fmt: skip
        more, found = len(found) > size, found[:size]
        if before is not None:
            found.reverse()
        earlier = 0
        if found and (after or before) is not None:
            place = beyond_sql(query, _cursor(query, found[0]), backwards=True, is_counted=True)
            sql = f"SELECT count(*) FROM bills WHERE {condition.sql} AND {place.sql}"
            (earlier,) = connection.execute(sql, (*condition.values, *place.values)).fetchone()
    has_next = earlier + len(found) < total if before is not None else more
    return BillPage(
        tuple(map(_indexed_bill, found)),
        earlier + 1 if found else 0,
        total,
        by_status,
        _cursor(query, found[0]) if found and earlier else None,
        _cursor(query, found[-1]) if found and has_next else None,
    )


def _containing(part: str, size: int, connection: sqlite3.Connection) -> dict[str, BillPage]:
    _select(connection, "SELECT DISTINCT kind, bill FROM numbers WHERE instr(word, ?) > 0", (part,))
    pages = {}
    for kind in NUMBERS:
        query, condition = BillQuery(sort="bill"), Condition(f"bill IN ({_SELECTED} WHERE kind = ?)", (kind,))
        page = _page(connection, query, condition, None, None, size)
        if page.total:
            pages[kind] = page
    return pages


_SELECTED: Final = "SELECT bill FROM temp.selected"


def _select(connection: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> None:
    """Keep the answer of a long query in the table `selected`, for the queries after it."""
    connection.execute("DROP TABLE IF EXISTS temp.selected")
    connection.execute(f"CREATE TEMP TABLE selected AS {sql}", values)


MANY: Final = 20_000
"""Bills from which on a page is read in its order until it is full. Fewer are all looked up, then sorted."""


def _count_by_status(connection: sqlite3.Connection, condition: Condition) -> dict[str, int]:
    """The number of bills of each status that fit. Each facet's index has `concern`, so no bill is looked up for it;
    the plus sign keeps SQLite from the index of `concern`, which has nothing else."""
    if condition == EVERY:
        return dict(connection.execute(_STATUSES))
    sql = f"SELECT concern, count(*) FROM bills WHERE {condition.sql} GROUP BY +concern"
    return {STATUSES[concern]: count for concern, count in connection.execute(sql, condition.values)}


def _some(
    query: BillQuery,
    condition: Condition,
    after: Cursor | None,
    size: int,
    total: int,
    connection: sqlite3.Connection,
) -> tuple[list[IndexedBill], Cursor | None]:
    """The next bills of a query, and the cursor after them if there may be more."""
    found = _fetched(connection, query, condition, after, size, total)
    return [*map(_indexed_bill, found)], _cursor(query, found[-1]) if len(found) == size else None


def _fetched(
    connection: sqlite3.Connection,
    query: BillQuery,
    condition: Condition,
    beside: Cursor | None,
    size: int,
    total: int,
    *,
    backwards: bool = False,
) -> list[sqlite3.Row]:
    """Rows of the query, of so many in all, in its order from a cursor on, or with `backwards` in the opposite
    order."""
    sql, values = condition
    if beside is not None:
        place = beyond_sql(query, beside, backwards=backwards)
        sql, values = f"{sql} AND {place.sql}", (*values, *place.values)
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    order = order_sql(query, backwards=backwards)
    scan = scan_sql(query) if total >= MANY else ""
    return cursor.execute(
        f"SELECT {_ROW} FROM bills {scan} WHERE {sql} ORDER BY {order} LIMIT ?", (*values, size)
    ).fetchall()


def _cursor(query: BillQuery, row: sqlite3.Row) -> Cursor:
    return Cursor(sorted_value(query, row), row["bill"])  # type: ignore[arg-type]


def _indexed_bill(row: sqlite3.Row) -> IndexedBill:
    words: dict[str, list[str]] = {}
    for kind, word in unpacked(row["words"]):
        words.setdefault(kind, []).append(word)
    texts: dict[str, Any] = {name: row[name] or None for name in _TEXTS}
    return IndexedBill(
        bill=row["bill"],
        status=row["status"],
        do_not_load=bool(row["do_not_load"]),
        since=row["since"],
        containers=tuple(words.get("container", ())),
        holds=tuple(words.get("hold", ())),
        doubts=tuple(words.get("doubt", ())),
        flags=tuple(sorted(row["flags"].split(","))) if row["flags"] else (),
        unread_by=tuple(sorted(row["unread_by"].split(","))) if row["unread_by"] else (),
        **texts,
    )


_TEXTS: Final = (
    "vessel_name", "imo_number", "voyage_number", "port", "carrier_scac", "arrival_date", "sailing_id", "master_bill",
)  # fmt: skip
