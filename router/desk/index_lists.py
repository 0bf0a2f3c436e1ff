"""Pages of the lists in the desk's index: rows in an order, from a place in it on (keyset paging), with their count."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from router.desk.bill_query import Condition, place_of_token, token_of
from router.errors import UsageError
from router.log.sqlite.connection import transaction

PAGE_SIZE: Final = 100
"""Rows of a page; the pages after it have the others."""

EXPORTED_AT_ONCE: Final = 1000
"""Rows that an export reads in one step; pages are answered between two steps."""

EVERY: Final = Condition("1", ())

T = TypeVar("T")
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Selection(Generic[T]):
    """The rows of a list that are asked for, and their order."""

    source: str
    """A table or a join, as it stands after `FROM`."""
    columns: str
    """SQL on the table `t` of the rows of one page; a subquery here is run for these alone."""
    order: tuple[str, ...]
    """Expressions that are never NULL; together they name one row."""
    make: Callable[..., T]
    """Makes a row of the columns."""
    condition: Condition = EVERY
    descending: bool = False
    total: Condition | None = None
    """A query that counts the rows faster than reading them."""
    reads_all: bool = False
    """True if rows beyond the page are read one by one."""


class Paged(NamedTuple, Generic[T]):
    """One page of a list, as of one moment."""

    rows: tuple[T, ...]
    total: int
    first: int
    """Number of the first row in the whole list, from 1; 0: the page is empty."""
    before: str | None
    """The word of an address before whose place the previous page ends; None on the first page."""
    after: str | None
    """The word of an address after whose place the next page begins; None on the last page."""


class ListOrder(NamedTuple):
    """An order that a list can be asked in."""

    expression: str
    begins_descending: bool = False
    """True if the greatest comes first unless the address has it otherwise."""


def chosen_order(orders: dict[str, ListOrder], sort: str, way: str) -> tuple[ListOrder, bool]:
    """The order by its word, and True for descending. Raises UsageError for a word that is none."""
    if sort not in orders:
        raise UsageError(f"sort {sort!r} is none of {', '.join(orders)}")
    if way not in ("", "asc", "desc"):
        raise UsageError(f"order {way!r} is none of asc, desc")
    return orders[sort], way == "desc" or (not way and orders[sort].begins_descending)


def read_page(
    selection: Selection[T], after: str | None, before: str | None, size: int, connection: sqlite3.Connection
) -> Paged[T]:
    """Up to `size` rows: the first ones, those after a place, or those before one. Raises UsageError for a token that
    names no place."""
    width = len(selection.order)
    token = before if before is not None else after
    place = place_of_token(token, width) if token is not None else None
    with transaction(connection, "DEFERRED"):
        condition = selection.condition
        counting = selection.total or Condition(
            f"SELECT count(*) FROM {selection.source} WHERE {condition.sql}", condition.values
        )
        total = int((connection.execute(*counting).fetchone() or (0,))[0])
        found = _fetched(connection, selection, place, size + 1, backwards=before is not None)
        more, found = len(found) > size, found[:size]
        if before is not None:
            found.reverse()
        earlier = 0
        if found and place is not None:
            beyond = _beyond(selection, found[0][-width:], backwards=True)
            sql = f"SELECT count(*) FROM {selection.source} WHERE {condition.sql} AND {beyond.sql}"
            (earlier,) = connection.execute(sql, (*condition.values, *beyond.values)).fetchone()
    has_next = earlier + len(found) < total if before is not None else more
    return Paged(
        tuple(selection.make(*row[:-width]) for row in found),
        total,
        earlier + 1 if found else 0,
        token_of(found[0][-width:]) if found and earlier else None,
        token_of(found[-1][-width:]) if found and has_next else None,
    )


def read_some(
    selection: Selection[T], place: Place | None, size: int, connection: sqlite3.Connection
) -> tuple[list[T], Place | None]:
    """The rows after a place, and the place after them if there may be more."""
    found = _fetched(connection, selection, place, size)
    width = len(selection.order)
    return [selection.make(*row[:-width]) for row in found], found[-1][-width:] if len(found) == size else None


def _fetched(
    connection: sqlite3.Connection,
    selection: Selection[Any],
    place: Place | None,
    size: int,
    *,
    backwards: bool = False,
) -> list[Place]:
    """Rows from a place on, or with `backwards` in the opposite order; behind the columns the place of each."""
    sql, values = selection.condition
    if place is not None:
        beyond = _beyond(selection, place, backwards=backwards)
        sql, values = f"{sql} AND {beyond.sql}", (*values, *beyond.values)
    keys = [f"key_{number}" for number in range(len(selection.order))]
    named = ", ".join(f"{expression} AS {key}" for expression, key in zip(selection.order, keys, strict=True))
    order = ", ".join(f"{key} {'DESC' if selection.descending != backwards else 'ASC'}" for key in keys)
    inner = f"SELECT *, {named} FROM {selection.source} WHERE {sql} ORDER BY {order} LIMIT ?"
    query = f"SELECT {selection.columns}, {', '.join(keys)} FROM ({inner}) AS t ORDER BY {order}"
    return connection.execute(query, (*values, size)).fetchall()


def _beyond(selection: Selection[Any], place: Sequence[Any], *, backwards: bool) -> Condition:
    """The condition that rows after the place fit, or with `backwards` those before it."""
    sign = "<" if selection.descending != backwards else ">"
    columns, marks = ", ".join(selection.order), ", ".join("?" * len(place))
    return Condition(f"({columns}) {sign} ({marks})", tuple(place))


def searched_text(*parts: str | None) -> str:
    """The text that a row is found by: all parts in capitals."""
    return "\n".join(part for part in parts if part).upper()


def containing(text: str) -> Condition:
    """The condition that a row's `text` contains a text, in capitals or not; an empty one is in each."""
    return Condition("instr(text, ?)", (text.upper(),)) if text else EVERY


def both(*conditions: Condition) -> Condition:
    """The condition that a row fits all of these."""
    return Condition(
        " AND ".join(one.sql for one in conditions) or EVERY.sql,
        tuple(value for one in conditions for value in one.values),
    )
