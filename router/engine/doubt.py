"""Transactions whose commit failed without saying whether it happened: the position that is restored tells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from router import topics
from router.log.interface import Output, Record
from router.model.words import Tally


class Doubt(NamedTuple):
    position: bytes
    """As the transaction wrote it, if it was made. No other of the task's writes the same."""
    tally: Tally


class Doubts:
    """Of each task the last transaction in doubt. Only for counting what was done: what to do next, the restored state
    and position say."""

    def __init__(self) -> None:
        self._of: dict[int, Doubt] = {}

    def enter(self, task: int, outputs: Iterable[Output], tally: Tally) -> None:
        position = position_in(outputs, task)
        if position is not None:
            self._of[task] = Doubt(position, tally)

    def settle(self, task: int, position: bytes | None) -> Tally:
        """What the transaction in doubt did, if `position`, the one restored, is its own; else nothing. Where another
        process had the task meanwhile and went on, that can't be told any more: then it isn't counted."""
        doubt = self._of.pop(task, None)
        return doubt.tally if doubt is not None and doubt.position == position else Tally()


def position_in(records: Iterable[Output | Record], task: int) -> bytes | None:
    """A task's position, as it lies in the last of these records that holds it."""
    key = topics.POSITION_KEY + str(task).encode()
    found = [record.value for record in records if record.key == key]
    return found[-1] if found else None
