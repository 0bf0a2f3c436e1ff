"""Verification of a hash chain: the entries of one partition, in order, against their links and known heads.

The check is a single pass. An entry whose link does not fit is judged with the few entries behind it: the one that a
later entry names as its predecessor is genuine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from router.log.interface import Record
from router.task.chains import ChainHead, Link, digest_of, link_of

LOOK_AHEAD: Final = 8
"""Entries behind one that are asked whether they follow it."""

FaultKind = Literal["changed", "missing", "inserted", "out of place", "head differs", "unreadable"]


class Fault(NamedTuple):
    """A difference between the entries of a partition and its chain."""

    kind: FaultKind
    number: int | None
    """Number of the entry in the chain; None for one that is in no chain."""
    until: int | None
    """Last number, where several are missing."""
    place: str
    """Place of the entry; of the one in front, if it is missing."""
    at: int | None
    """UTC milliseconds; None if unknown."""
    subject: str | None
    """Bill or other subject; None if unknown."""
    text: str
    """Sentence for people."""


class Checkpoint(NamedTuple):
    """A head that the chain must contain."""

    number: int
    digest: bytes
    source: str
    """Its origin, for people."""


class _Entry(NamedTuple):
    link: Link | None
    digest: bytes
    place: str
    at: int
    subject: str

    def follows(self, other: _Entry) -> bool:
        if self.link is None or other.link is None:
            return False
        return self.link.previous == other.digest and self.link.number == other.link.number + 1


_NO_LINK: Final = Link(0, b"")


class ChainCheck:
    """One partition's check: `add` each record in order, then `end`. Found faults are in `faults`."""

    def __init__(self, checkpoints: Mapping[int, list[Checkpoint]], *, keeps_all: bool) -> None:
        """`checkpoints` are by number. Of a topic that `keeps_all` a start is not cut by retention: it is missing."""
        self.faults: list[Fault] = []
        self.entries = 0
        """Records, linked or not."""
        self.first: int | None = None
        """Number of the first entry kept."""
        self.head = ChainHead()
        """The last entry accepted."""
        self.compared = 0
        """Checkpoints found in the chain."""
        self.newest = ChainHead()
        """The entry with the highest number, linked rightly or not."""
        self._checkpoints = checkpoints
        self._keeps_all = keeps_all
        self._waiting: deque[_Entry] = deque()
        self._last: _Entry | None = None

    def add(self, record: Record, at: int) -> None:
        """`at` is the entry's own time, for the report."""
        link = link_of(record)
        digest = digest_of(link or _NO_LINK, record.key, record.value)
        subject = record.key.decode(errors="replace")
        self._waiting.append(_Entry(link, digest, record.place, at, subject))
        self.entries += 1
        if link is not None and link.number > self.newest.number:
            self.newest = ChainHead(link.number, digest)
        if len(self._waiting) > LOOK_AHEAD:
            self._judge(self._waiting.popleft(), None)

    def end(self, head: ChainHead | None) -> None:
        """Judge the rest. `head` is the position's; None if the partition has none."""
        while self._waiting:
            self._judge(self._waiting.popleft(), head)
        if head is None:
            if self.entries:
                self._fault("head differs", None, "the task has no position: its head is unknown")
            return
        if self.head.number < head.number:
            self._missing(self.head.number + 1, head.number, self._last)
        elif self.head.number > head.number:
            place = self._last.place if self._last is not None else ""
            text = f"entries {head.number + 1} to {self.head.number} follow the head in the task's position"
            self.faults.append(Fault("inserted", head.number + 1, self.head.number, place, None, None, text))
        elif self.head.digest != head.digest:
            self._changed(self._last, self.head.number)
        ahead = [one for number, of_number in self._checkpoints.items() if number > head.number for one in of_number]
        for one in ahead:
            text = f"the head of {one.source} is entry {one.number}, but the chain ends with {head.number}"
            self._fault("head differs", one.number, text)

    def _judge(self, entry: _Entry, head: ChainHead | None) -> None:
        """Accept the next entry, or leave it out; note what does not fit."""
        behind = self._waiting[0] if self._waiting else None
        if self._last is None and self.first is None:
            self._begin(entry, behind, head)
            return
        expected = self.head.number + 1
        number = entry.link.number if entry.link is not None else 0
        genuine = self._is_genuine(entry, head)
        if number == expected:
            assert entry.link is not None
            if entry.link.previous == self.head.digest:
                if not genuine and any(self._is_rival(entry, other, head) for other in self._waiting):
                    self._inserted(entry)
                    return
            else:
                self._changed(self._last if genuine else entry, expected - 1 if genuine else expected)
            self._accept(entry, expected)
        elif number > expected and (genuine or not self._is_next(behind, expected, head)):
            self._missing(expected, number - 1, self._last)
            self._accept(entry, number)
        elif self._is_replaced(behind, expected, head):
            self._changed(entry, expected)
            self._accept(entry, expected)
        elif number == 0:
            self._inserted(entry)
        else:
            text = f"entry {number} stands behind entry {expected - 1}, or is a copy"
            self.faults.append(Fault("out of place", number, None, entry.place, entry.at, entry.subject, text))

    def _begin(self, entry: _Entry, behind: _Entry | None, head: ChainHead | None) -> None:
        """Take the first entry: those before it may have passed their retention."""
        number = entry.link.number if entry.link is not None else 0
        after = behind.link.number if behind is not None and behind.link is not None else None
        if behind is None and head is not None:
            after = head.number + 1
        if entry.link is not None and (self._is_genuine(entry, head) or after is None or after > number > 0):
            self._check(number - 1, entry.link.previous)
            self._start(entry, number)
        elif after == 2:
            self._changed(entry, 1)
            self._start(entry, 1)
        else:
            self._inserted(entry)

    def _start(self, entry: _Entry, number: int) -> None:
        if self._keeps_all and number > 1:
            self._missing(1, number - 1, None)
        self.first = number
        self._accept(entry, number)

    def _accept(self, entry: _Entry, number: int) -> None:
        self._last = entry
        self.head = ChainHead(number, entry.digest)
        self._check(number, entry.digest)

    def _check(self, number: int, digest: bytes) -> None:
        for one in self._checkpoints.get(number, ()):
            self.compared += 1
            if one.digest != digest:
                text = f"entry {number} is not the one of {one.source}: the chain was written anew up to there"
                self._fault("head differs", number, text)

    # Who follows whom

    def _is_genuine(self, entry: _Entry, head: ChainHead | None) -> bool:
        """True if a later entry, or the head, names it."""
        if any(other.follows(entry) for other in self._waiting):
            return True
        number = entry.link.number if entry.link is not None else 0
        return head == (number, entry.digest)

    def _is_rival(self, entry: _Entry, other: _Entry, head: ChainHead | None) -> bool:
        """True if the other one is the genuine entry of this number and predecessor."""
        return other.link == entry.link and self._is_genuine(other, head)

    def _is_next(self, behind: _Entry | None, expected: int, head: ChainHead | None) -> bool:
        """True if what stands behind an entry goes on with the expected number, or the one after it."""
        if behind is None:
            return head is not None and head.number == expected
        return behind.link is not None and behind.link.number in (expected, expected + 1)

    def _is_replaced(self, behind: _Entry | None, expected: int, head: ChainHead | None) -> bool:
        """True if an entry stands where the expected one should: what is behind it goes on after that."""
        if behind is None:
            return head is not None and head.number == expected
        return behind.link is not None and behind.link.number == expected + 1

    # Faults

    def _changed(self, entry: _Entry | None, number: int) -> None:
        place, at, subject = (entry.place, entry.at, entry.subject) if entry is not None else ("", None, None)
        if self.faults and self.faults[-1][:2] == ("changed", number):
            return
        text = f"entry {number} differs from what was written"
        self.faults.append(Fault("changed", number, None, place, at, subject, text))

    def _inserted(self, entry: _Entry) -> None:
        text = "an entry that is not of the chain"
        self.faults.append(Fault("inserted", None, None, entry.place, entry.at, entry.subject, text))

    def _missing(self, first: int, last: int, before: _Entry | None) -> None:
        place, at = (f"behind {before.place}", before.at) if before is not None else ("", None)
        what = f"entry {first} is" if first == last else f"entries {first} to {last} are"
        self.faults.append(Fault("missing", first, last, place, at, None, f"{what} missing"))

    def _fault(self, kind: FaultKind, number: int | None, text: str) -> None:
        self.faults.append(Fault(kind, number, None, "", None, None, text))
