"""The states of a task's bills: all as bytes, some decoded at hand, and what the transaction under way changed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from router.decide.ledger.state import BillState
from router.decide.task.bills import Bills
from router.decide.task.stored import decode_state, encode_state

AT_HAND: Final = 20_000
"""Decoded states kept; as bytes they take about a third of the memory."""


class States:
    def __init__(self) -> None:
        self.stored = Bills()
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
