"""The envelopes of X12: interchange, group, transaction. Counts what is in them and notes what doesn't add up."""

from __future__ import annotations

from typing import Final, NamedTuple

FAULT_LIMIT: Final = 20
"""Most faults of one interchange that are spelled out; after these one can see that it is broken."""


class Level(NamedTuple):
    """One kind of envelope: its name, its segments, and where the header's control number stands."""

    depth: int
    name: str
    header: str
    trailer: str
    control: int


INTERCHANGE: Final = Level(0, "interchange", "ISA", "IEA", 13)
GROUP: Final = Level(1, "group", "GS", "GE", 6)
TRANSACTION: Final = Level(2, "transaction", "ST", "SE", 2)
LEVELS: Final = {level.trailer: level for level in (INTERCHANGE, GROUP, TRANSACTION)}


class _Open:
    def __init__(self, level: Level, text: str, control: str) -> None:
        self.level, self.text, self.control = level, text, control
        self.count = 0


class Envelopes:
    """Which envelopes are open, from the outside in, and the faults of the interchange so far."""

    def __init__(self) -> None:
        self._stack: list[_Open] = []
        self.faults: list[str] = []
        self.evidence: list[str] = []
        """The segments that the faults are about."""

    def open(self, level: Level, text: str, parts: list[str]) -> None:
        """A header. Whatever is open at its level or within has no trailer."""
        self._abandon(level.depth)
        if self._stack:
            self._stack[-1].count += 1
        control = parts[level.control] if len(parts) > level.control else ""
        self._stack.append(_Open(level, text, control))

    def close(self, level: Level, text: str, parts: list[str], segments: int) -> None:
        """A trailer. A transaction's count is its `segments`, header and trailer included."""
        self._abandon(level.depth + 1)
        if not self._stack or self._stack[-1].level is not level:
            self.fault(f"{level.trailer} ends a {level.name} that never began", text)
            return
        closed = self._stack.pop()
        count, control = (*parts[1:3], "", "")[:2]
        found = segments if level is TRANSACTION else closed.count
        what = f"{level.name} {closed.control}: {level.trailer}"
        if not (count.isdecimal() and int(count[:18]) == found):
            self.fault(f"{what}01 says {count!r}, there are {found}", text)
        if control != closed.control and control.lstrip("0") != closed.control.lstrip("0"):
            self.fault(f"{what}02 says {control!r}, its header {closed.control!r}", text)

    def close_all(self) -> None:
        """The interchange is over, with or without its trailers."""
        self._abandon(0)

    def fault(self, reason: str, text: str) -> None:
        if len(self.faults) < FAULT_LIMIT:
            self.faults.append(reason)
            self.evidence.append(text)

    def take_faults(self) -> tuple[list[str], list[str]]:
        taken = self.faults, self.evidence
        self.faults, self.evidence = [], []
        return taken

    @property
    def headers(self) -> list[str]:
        """The headers of what is open, from the outside in."""
        return [opened.text for opened in self._stack if opened.text]

    @property
    def place(self) -> str:
        """`interchange 000000101:transaction 0001`; groups tell a reader little."""
        named = [opened for opened in self._stack if opened.level is not GROUP]
        return ":".join(f"{opened.level.name} {opened.control}" for opened in named)

    def _abandon(self, depth: int) -> None:
        while self._stack and self._stack[-1].level.depth >= depth:
            lost = self._stack.pop()
            self.fault(f"{lost.level.name} {lost.control} has no {lost.level.trailer}: it is not whole", lost.text)
