"""Passes over all bills of a task, a bounded number at a time."""

from __future__ import annotations

from bisect import bisect_right


class Walk:
    """A bounded pass over all bills, in the order of their keys; its cursor is part of the position."""

    def __init__(self, goal: int = 0, cursor: str | None = None) -> None:
        self.goal = goal
        """What it is for: the registry's epoch, or a day."""
        self.cursor = cursor
        """The last bill looked at; None: done."""
        self._keys: list[str] | None = None

    @property
    def place(self) -> tuple[int, str | None]:
        return self.goal, self.cursor

    def next(self, bills: dict[str, bytes], limit: int) -> list[str]:
        """The next bills to look at; bills that came meanwhile are up to date by themselves."""
        if self.cursor is None or limit <= 0:
            return []
        if self._keys is None:
            self._keys = sorted(bills)
        start = bisect_right(self._keys, self.cursor)
        chosen = self._keys[start : start + limit]
        self.cursor = chosen[-1] if start + limit < len(self._keys) else None
        if self.cursor is None:
            self._keys = None
        return chosen
