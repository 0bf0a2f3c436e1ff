"""How values look on a page: moments in UTC and port time, a dead letter with its broken place marked, a sailing's bar.

What is text goes through the templates' own escaping; nothing here makes markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from router.console.ports import zone_of_port
from router.model.eastern import MILLISECONDS
from router.model.inputs import DeadLetter
from router.plain import readable

STATUSES: Final = (
    "DO_NOT_LOAD",
    "HELD",
    "NOT_RELEASED",
    "RELEASE_UNCONFIRMED",
    "PARTIALLY_RELEASED",
    "MOVEMENT_AUTHORISED",
    "ON_FILE",
    "RELEASED",
    "CLOSED",
    "DELETED",
)
"""In the order in which they concern a duty officer."""

MOST_SHOWN: Final = 100_000
"""Characters of a dead letter's content on its page."""

_TEXT_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


class Moment(NamedTuple):
    machine: str
    utc: str
    there: str | None
    """On the port's wall."""


def moment(value: int | str | None, port: str | None = None) -> Moment | None:
    """Of UTC milliseconds, or of ISO text."""
    if value is None or (isinstance(value, str) and not _TEXT_TIME.match(value)):
        return None
    at = datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value / MILLISECONDS, UTC)
    zone = zone_of_port(port)
    there = at.astimezone(zone).strftime("%m-%d %H:%M %Z") if zone else None
    return Moment(at.isoformat(), at.strftime("%Y-%m-%d %H:%MZ"), there)


class Piece(NamedTuple):
    text: str
    broken: bool


def pieces(letter: DeadLetter) -> list[Piece]:
    """The content in its segments or lines, the one that could not be read marked: where only the bill was named, all
    behind the envelope it was put together with."""
    text = readable(letter.content)[:MOST_SHOWN]
    parts = _segments(text) if letter.format == "x12" else text.splitlines()
    named = re.search(r"(?:segment|line|record) (\d+)", letter.source)
    broken = _broken(parts, letter, named)
    return [Piece(part, index in broken) for index, part in enumerate(parts)]


def _segments(text: str) -> list[str]:
    """By the terminator that the ISA names: the 106th character."""
    terminator = text[105] if text.startswith("ISA") and len(text) > 105 else "~"
    return [part.strip("\r\n") for part in text.split(terminator) if part.strip("\r\n")]


def _broken(parts: list[str], letter: DeadLetter, named: re.Match[str] | None) -> set[int]:
    tag = re.search(r"\b(?:segment )?([A-Z][A-Z0-9]{1,2})\b", letter.reason)
    if tag is not None:
        found = {index for index, part in enumerate(parts) if re.match(rf"{tag[1]}\b", part)}
        if found:
            return {max(found)}
    if named is not None and len(parts) == 1:
        return {0}
    return {len(parts) - 1} if parts else set()


class Bar(NamedTuple):
    """One status in the picture of a sailing. Units are thousandths of its width."""

    status: str
    bills: int
    start: int
    width: int


def bars(counts: Mapping[str, int]) -> list[Bar]:
    total = sum(counts.values())
    made: list[Bar] = []
    start = 0
    for status in STATUSES:
        if count := counts.get(status, 0):
            width = max(8, 1000 * count // total)
            made.append(Bar(status, count, start, width))
            start += width
    return made
