"""Passes over all bills of a task, a bounded number at a time."""

from __future__ import annotations

from router.decide.task.bills import Bills


class Walk:
    """A bounded pass over all bills; its cursor is part of the position."""

    def __init__(self, goal: int = 0, cursor: str | None = None) -> None:
        self.goal = goal
        """What it is for: the registry's epoch, or a day."""
        self.cursor = cursor
        """The last bill looked at; None: done."""

    @property
    def place(self) -> tuple[int, str | None]:
        return self.goal, self.cursor

    def next(self, bills: Bills, limit: int) -> list[str]:
        """The next bills to look at; those that came meanwhile are up to date by themselves, and seen or not."""
        if self.cursor is None or limit <= 0:
            return []
        chosen = bills.after(self.cursor, limit)
        self.cursor = chosen[-1] if len(chosen) == limit else None
        return chosen
