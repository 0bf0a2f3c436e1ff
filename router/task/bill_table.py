"""The stored states of a task's bills, in parts that are small whatever the number of bills.

The states of a task's bills: all as bytes, some decoded at hand, and what the transaction under way changed.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import Final

from router.decide.bill_state import BillState
from router.task.state_records import decode_state, encode_state

PARTS: Final = 512
"""At a million bills some 2,000 each: neither sorting one for a walk nor its growing takes noticeable time, where a
single table's would stop all work for up to a second."""


class BillTable:
    """A table from bill key to the bill's state as written, with an order to walk in: that of the parts, and by key
    within one. The order is the same in every process."""

    def __init__(self) -> None:
        self._parts: list[dict[str, bytes]] = [{} for _ in range(PARTS)]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __setitem__(self, key: str, value: bytes) -> None:
        self._parts[_part(key)][key] = value

    def get(self, key: str) -> bytes | None:
        return self._parts[_part(key)].get(key)

    def drop(self, key: str) -> None:
        self._parts[_part(key)].pop(key, None)

    def after(self, cursor: str, limit: int) -> list[str]:
        """Up to so many keys that come after `cursor`, which need not be there; from the beginning after an empty
        one. Fewer only at the end."""
        part = _part(cursor)
        chosen = sorted(key for key in self._parts[part] if key > cursor)
        while len(chosen) < limit and part < PARTS - 1:
            part += 1
            chosen += sorted(self._parts[part])
        return chosen[:limit]


def _part(key: str) -> int:
    return zlib.crc32(key.encode()) % PARTS  # 0 for the empty key: before all others


AT_HAND: Final = 20_000
"""Decoded states kept; as bytes they take about a third of the memory."""


class BillStates:
    def __init__(self) -> None:
        self.stored = BillTable()
        """As of the last commit."""
        self._at_hand: OrderedDict[str, BillState] = OrderedDict()
        self._changed: dict[str, BillState | None] = {}
        self._encoded: dict[str, bytes | None] = {}

    def load(self, key: str, value: bytes | None) -> None:
        """As restored."""
        if value is None:
            self.stored.drop(key)
        else:
            self.stored[key] = value

    def get(self, key: str) -> BillState | None:
        """As of now, uncommitted changes included. Raises InputError if what is stored can't be read."""
        if key in self._changed:
            return self._changed[key]
        state = self._at_hand.get(key)
        if state is not None:
            self._at_hand.move_to_end(key)
            return state
        value = self.stored.get(key)
        if value is None:
            return None
        state = self._at_hand[key] = decode_state(value)
        if len(self._at_hand) > AT_HAND:
            self._at_hand.popitem(last=False)
        return state

    def put(self, key: str, state: BillState | None) -> None:
        """Counts when `committed`. None: the bill is forgotten."""
        self._changed[key] = state

    def changes(self) -> dict[str, bytes | None]:
        """What is to be written, by bill."""
        self._encoded = {key: None if state is None else encode_state(state) for key, state in self._changed.items()}
        return self._encoded

    def committed(self) -> None:
        """What `changes` gave last is on the log."""
        for key, value in self._encoded.items():
            state = self._changed[key]
            self.load(key, value)
            if state is None:
                self._at_hand.pop(key, None)
            else:
                self._at_hand[key] = state
        self.abandon()

    def abandon(self) -> None:
        self._changed, self._encoded = {}, {}
