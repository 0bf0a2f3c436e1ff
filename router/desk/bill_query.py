"""A question about many bills: its facets, the order of its answer, and both as SQL on the desk's index.

Pages and commands ask by the same names and values, so that a page's address and a command's options can be compared.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final, NamedTuple, get_args

from router.decide.registry import Registry
from router.decide.roster import cut_name
from router.errors import UsageError
from router.model.eastern import DAY, HOUR, day_of, eastern_day
from router.model.identifiers import container_key
from router.model.vocabulary import Doubt, Flag, Status

STATUSES: Final[tuple[Status, ...]] = (
    "DO_NOT_LOAD", "HELD", "NOT_RELEASED", "RELEASE_UNCONFIRMED", "PARTIALLY_RELEASED", "MOVEMENT_AUTHORISED",
    "ON_FILE", "RELEASED", "CLOSED", "DELETED",
)  # fmt: skip
"""In the order of their concern to a duty officer."""

DOUBTS: Final[tuple[Doubt, ...]] = get_args(Doubt)
FLAGS: Final[tuple[Flag, ...]] = get_args(Flag)

UNREAD: Final = {
    "any": None,
    "do-not-load": "UNREAD_DO_NOT_LOAD",
    "hold": "UNREAD_HOLD",
    "not-deliverable": "UNREAD_NOT_DELIVERABLE",
}
"""Kinds of unread stops by the word that selects them; None: every kind."""

AGES: Final = {
    "under-1h": HOUR, "under-8h": 8 * HOUR, "under-24h": DAY,
    "over-1h": HOUR, "over-8h": 8 * HOUR, "over-24h": DAY, "over-72h": 3 * DAY, "over-7d": 7 * DAY,
}  # fmt: skip
"""Milliseconds since the oldest hold, or else the latest event, by the word that selects them."""

ARRIVING: Final = ("today", "tomorrow", "week", "past", "unknown")
"""Words for days of arrival, by CBP's clock: `week` is today and the six days after it."""

WEEK: Final = timedelta(days=6)
UNKNOWN_DAY: Final = ""
"""`arrival_date` of a bill without one."""
FIRST_DAY: Final = "0000"
"""Before any date, and after `UNKNOWN_DAY`."""

ORDERS: Final = {
    "status": "concern", "bill": None, "arrival": "arrival_date", "vessel": "vessel", "port": "port", "age": "since",
}  # fmt: skip
"""The index's column by the word that sorts by it; None: the bill's own number, which also ends every other order."""

_DATES: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.\.(\d{4}-\d\d-\d\d))?")


class BillQuery(NamedTuple):
    """The facets of a list of bills; a bill is listed if it fits all. Empty: every bill."""

    status: tuple[str, ...] = ()
    do_not_load: str | None = None
    """`yes`: with a do-not-load, also one whose cargo is in the U.S. by now, so that its status is `HELD`."""
    vessel: str | None = None
    """Name or IMO number; a name fits as CAMIR cuts it."""
    voyage: str | None = None
    """Leading zeros don't matter: systems add and drop them."""
    sailing: str | None = None
    arriving: str | None = None
    """A word of `ARRIVING`, a date, or two as `2026-07-28..2026-07-30`, both included."""
    port: str | None = None
    """Port of unlading, Schedule D."""
    party: str | None = None
    """A party that the bill names, or that was notified of it."""
    hold: str | None = None
    """Disposition code of a hold that stands, or a hold's kind."""
    doubt: str | None = None
    flag: str | None = None
    """A flag of the bill's latest decision."""
    unread: str | None = None
    """A word of `UNREAD`."""
    age: str | None = None
    """A word of `AGES`."""
    bill: str | None = None
    """A bill's number with its SCAC or without. Like the three below it may end with `*`, for what begins so, or also
    begin with it, for what contains it. Blanks and dashes don't matter."""
    container: str | None = None
    entry: str | None = None
    master: str | None = None
    sort: str = "status"
    """A word of `ORDERS`."""
    descending: bool = False

    def fields(self) -> dict[str, str]:
        """The facets and the order as words of an address, without those that are usual."""
        given = {name: value for name, value in self._asdict().items() if value and name not in _OTHER}
        if self.status:
            given["status"] = ",".join(self.status)
        if self.sort != "status":
            given["sort"] = self.sort
        if self.descending:
            given["order"] = "desc"
        return given

    @property
    def contains(self) -> bool:
        """True if a facet is a part of a number: all numbers are read for it."""
        return any((getattr(self, name) or "").startswith("*") for name in NUMBERS)

    def facets(self) -> dict[str, str]:
        """The facets alone."""
        return {name: value for name, value in self.fields().items() if name not in ("sort", "order")}


NUMBERS: Final = ("bill", "container", "entry", "master")
"""Facets that are identifiers. The index has these kinds of words in the table `numbers`, all others in `words`."""
SELECTIVE: Final = ("vessel", "sailing", "party", "hold", "flag", "unread", *NUMBERS)
"""Facets that fewer bills fit than any status."""
LAST: Final = "\U0010ffff"
"""Sorts after every character of a word."""
_SEPARATORS: Final = re.compile(r"[\s./\u2010-\u2015-]")
_OTHER: Final = ("status", "sort", "descending")
_TEXTS: Final = tuple(name for name in BillQuery._fields if name not in _OTHER)


def query_of(fields: Mapping[str, str]) -> BillQuery:
    """The query that an address or a command's options name. Raises UsageError for a value that selects nothing."""
    given = {name: value.strip() for name, value in fields.items() if value and value.strip()}
    status = tuple(dict.fromkeys(_word(one, "status", STATUSES) for one in _split(given.get("status", ""))))
    texts: dict[str, Any] = {name: given[name] for name in _TEXTS if name in given}
    for name in ("vessel", "voyage", "port", "party", "hold", "doubt", "flag"):
        if name in texts:
            texts[name] = " ".join(texts[name].upper().replace("_", " ").split())
    if "doubt" in texts:
        texts["doubt"] = _word(texts["doubt"], "doubt", DOUBTS)
    if "flag" in texts:
        texts["flag"] = _word(texts["flag"], "flag", FLAGS)
    for name, words in (("unread", tuple(UNREAD)), ("age", tuple(AGES)), ("do_not_load", ("yes",))):
        if name in texts and texts[name] not in words:
            raise UsageError(f"{name} {texts[name]!r} is none of {', '.join(words)}")
    if "hold" in texts:
        texts["hold"] = texts["hold"].replace(" ", "_")
    for name in NUMBERS:
        if name in texts:
            texts[name] = compact(texts[name])
            if not texts[name].strip("*"):
                raise UsageError(f"{name} {given[name]!r} names nothing: give a number, or a part of one with *")
    if "arriving" in texts:
        arrival_days(texts["arriving"], 0)
    sort = given.get("sort", "status")
    if sort not in ORDERS:
        raise UsageError(f"sort {sort!r} is none of {', '.join(ORDERS)}")
    return BillQuery(status, sort=sort, descending=given.get("order") == "desc", **texts)


def _split(text: str) -> Iterable[str]:
    return (one for one in re.split(r"[,\s]+", text.strip()) if one)


def _word(text: str, name: str, words: Iterable[str]) -> str:
    word = text.upper().replace("-", "_").replace(" ", "_")
    if word not in words:
        raise UsageError(f"{name} {text!r} is none of {', '.join(words)}")
    return word


def arrival_days(text: str, now: int) -> tuple[str, str]:
    """The first and the last day, `CCYY-MM-DD`, that the text selects. Raises UsageError."""
    if found := _DATES.fullmatch(text):
        first, last = found[1], found[2] or found[1]
        if day_of(first) is not None and day_of(last) is not None:
            return first, last
    today = date.fromisoformat(eastern_day(now))
    match text:
        case "today":
            return today.isoformat(), today.isoformat()
        case "tomorrow":
            return (tomorrow := (today + timedelta(days=1)).isoformat()), tomorrow
        case "week":
            return today.isoformat(), (today + WEEK).isoformat()
        case "past":
            return FIRST_DAY, (today - timedelta(days=1)).isoformat()
        case "unknown":
            return UNKNOWN_DAY, UNKNOWN_DAY
    raise UsageError(
        f"arriving {text!r} is no day: give {', '.join(ARRIVING)}, a date such as 2026-07-28, or two as "
        "2026-07-28..2026-07-30"
    )


class Condition(NamedTuple):
    """An SQL condition on the table `bills`, with its values."""

    sql: str
    values: tuple[Any, ...]


def condition_of(query: BillQuery, registry: Registry, now: int) -> Condition:
    """The condition that the bills of a query fit. `registry` has the days on which sailings call, and a sailing's
    records; `now` is UTC milliseconds."""
    parts: list[str] = ["1"]
    values: list[Any] = []

    def add(sql: str, *given: Any) -> None:
        parts.append(sql)
        values.extend(given)

    if query.status:
        plus = "+" if any(getattr(query, name) for name in SELECTIVE) else ""  # keeps SQLite from the status's index
        add(f"{plus}concern IN ({_places(query.status)})", *map(_CONCERN.__getitem__, query.status))
    if query.do_not_load:
        add("do_not_load")
    if query.vessel:
        add("imo_number = ?" if query.vessel.isdigit() else "vessel = ?", cut_name(query.vessel))
    if query.voyage:
        add("voyage = ?", query.voyage.lstrip("0"))
    if query.sailing:
        ids = _record_ids(query.sailing, registry)
        add(f"sailing_id IN ({_places(ids)})", *ids)
    if query.arriving:
        add(*_arrival(query.arriving, registry, now))
    if query.port:
        add("port = ?", query.port)
    if query.party:
        party = registry.party(query.party)
        ids = sorted({query.party, *((party.id, *party.aliases) if party is not None else ())})
        add(f"bill IN (SELECT bill FROM words WHERE word IN ({_places(ids)}) AND kind = 'party')", *ids)
    for kind, word in (("hold", query.hold), ("doubt", query.doubt)):
        if word:
            add("bill IN (SELECT bill FROM words WHERE word = ? AND kind = ?)", word, kind)
    for kind in NUMBERS:
        if text := getattr(query, kind):
            like = _word_condition(kind, text)
            add(f"bill IN (SELECT bill FROM numbers WHERE {like.sql} AND kind = ?)", *like.values, kind)
    if query.flag:
        add("bill IN (SELECT bill FROM flags WHERE flag = ?)", query.flag)
    if query.unread:
        add("bill IN (SELECT bill FROM unread WHERE ? IN (kind, ''))", UNREAD[query.unread] or "")
    if query.age:
        since = now - AGES[query.age]
        add("since >= ?" if query.age.startswith("under") else "since <= ?", since)
    return Condition(" AND ".join(parts), tuple(values))


_CONCERN: Final[Mapping[str, int]] = {status: place for place, status in enumerate(STATUSES)}


def concern_of(status: str) -> int:
    """The place of a status in `STATUSES`."""
    return _CONCERN[status]


def compact(text: str) -> str:
    """An identifier as words have it: capitals without blanks, dashes, dots and slashes."""
    return _SEPARATORS.sub("", text.upper())


def _word_condition(kind: str, text: str) -> Condition:
    """The condition that a word fits: the text itself, its beginning (`TEXT*`), or a part of it (`*TEXT*`)."""
    part = text.strip("*")
    if text.startswith("*"):
        return Condition("instr(word, ?) > 0", (part,))
    if text.endswith("*"):
        return Condition("word >= ? AND word < ?", (part, part + LAST))
    return Condition("word = ?", (container_key(part) if kind == "container" else part,))


def _places(values: Iterable[object]) -> str:
    return ",".join("?" for _ in values)


def _record_ids(sailing_id: str, registry: Registry) -> list[str]:
    """Ids of all records of the sailing's rotation: a bill names the one that it was found on."""
    sailing = registry.roster.sailing(sailing_id)
    return sorted(registry.roster.record_ids(sailing)) if sailing is not None else [sailing_id]


def _arrival(text: str, registry: Registry, now: int) -> tuple[Any, ...]:
    """Bills whose own date of arrival is in the days or, of days to come, whose sailing calls at their port then."""
    first, last = arrival_days(text, now)
    own = "arrival_date BETWEEN ? AND ?"
    if first in (UNKNOWN_DAY, FIRST_DAY):
        return own, first, last
    calls = [
        (record, call.port)
        for sailing in registry.roster.sailings().values()
        for call in sailing.calls
        if call.arrival_date and first <= call.arrival_date <= last
        for record in registry.roster.record_ids(sailing)
    ]
    anywhere = [record for record, port in calls if port is None]
    somewhere = [(record, port) for record, port in calls if port is not None]
    parts, values = [own], [first, last]
    if anywhere:
        parts.append(f"sailing_id IN ({_places(anywhere)})")
        values += anywhere
    if somewhere:
        pairs = ",".join("(?,?)" for _ in somewhere)
        parts.append(f"(sailing_id, port) IN (VALUES {pairs})")
        values += [value for pair in somewhere for value in pair]
    return f"({' OR '.join(parts)})", *values


# Pages of the answer


class Cursor(NamedTuple):
    """A place between two bills in an order: the sorted value and the number of a bill beside it."""

    value: Any
    bill: str

    def token(self) -> str:
        """The cursor as a word of an address."""
        return token_of(self)


def token_of(place: Iterable[Any]) -> str:
    """A place in an order as a word of an address."""
    text = json.dumps([*place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of_token(token: str, size: int) -> tuple[Any, ...]:
    """The place that `token_of` wrote, of so many texts and numbers. Raises UsageError."""
    try:
        values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError as error:
        raise UsageError(NO_PLACE) from error
    if not isinstance(values, list) or len(values) != size or not all(map(_fits_column, values)):
        raise UsageError(NO_PLACE)
    return tuple(values)


def _fits_column(value: object) -> bool:
    return type(value) is str or (type(value) is int and abs(value) < 2**63)


NO_PLACE: Final = "the address names no place in this list: begin at its first page"


def cursor_of(token: str, query: BillQuery) -> Cursor:
    """Raises UsageError for a token that no page of that order gave."""
    value, bill = place_of_token(token, 2)
    wanted = int if ORDERS[query.sort] in ("concern", "since") else str
    if type(value) is not wanted or type(bill) is not str:
        raise UsageError(NO_PLACE)
    return Cursor(value, bill)


def order_sql(query: BillQuery, *, backwards: bool = False) -> str:
    """The `ORDER BY` of a query's answer, or of the same backwards."""
    way = "DESC" if query.descending != backwards else "ASC"
    column = ORDERS[query.sort]
    return f"{column} {way}, bill {way}" if column else f"bill {way}"


def scan_sql(query: BillQuery) -> str:
    """The clause after the table's name that has the bills read in the query's order, whatever they are filtered by."""
    column = ORDERS[query.sort]
    return f"INDEXED BY {_ORDER_INDEXES[column]}" if column else "NOT INDEXED"


_ORDER_INDEXES: Final = {
    "concern": "bills_by_concern", "arrival_date": "bills_by_arrival", "vessel": "bills_by_vessel",
    "port": "bills_by_port", "since": "bills_by_since",
}  # fmt: skip


def beyond_sql(query: BillQuery, cursor: Cursor, *, backwards: bool = False, is_counted: bool = False) -> Condition:
    """The condition that bills after the cursor fit, or with `backwards` those before it. With `is_counted` it leaves
    the choice of an index to the facets, whose indexes have all that a count needs; a plus sign does that."""
    sign = "<" if query.descending != backwards else ">"
    column, plus = ORDERS[query.sort], "+" if is_counted and query.facets().keys() - {"status"} else ""
    if column is None:
        return Condition(f"{plus}bill {sign} ?", (cursor.bill,))
    return Condition(f"({plus}{column}, bill) {sign} (?, ?)", tuple(cursor))


def sorted_value(query: BillQuery, row: Mapping[str, Any]) -> Any:
    """The value of a row that the query sorts by."""
    column = ORDERS[query.sort]
    return row[column] if column is not None else ""
