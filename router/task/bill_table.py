"""The bills of a task: all states as bytes, some of them decoded and assessed, and the changes of the transaction."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import Final

from router.codec.packed import BILL_STATE
from router.decide.bill_state import AssessedBill, assess_bill
from router.decide.rules import Rules

PARTS: Final = 512
"""Parts of a table. At a million bills each has some 2,000: sorting or growing one takes no noticeable time, while a
single table's would stop all work for up to a second."""

DECODED: Final = 20_000
"""Bills kept decoded. As bytes they need about a third of the memory."""


class BillTable:
    """A table from bill key to encoded state, which can be walked: by parts, and by key within a part.

    The order is the same in every process.
    """

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
        """At most `limit` keys after the cursor, fewer only at the end. The cursor need not exist; an empty one is the
        beginning."""
        part = _part(cursor)
        chosen = sorted(key for key in self._parts[part] if key > cursor)
        while len(chosen) < limit and part < PARTS - 1:
            part += 1
            chosen += sorted(self._parts[part])
        return chosen[:limit]


def _part(key: str) -> int:
    return zlib.crc32(key.encode()) % PARTS  # the empty key is in part 0, before all others


class Bills:
    """A task's bills, with the uncommitted changes of one transaction."""

    def __init__(self) -> None:
        self.stored = BillTable()
        """The state at the latest commit."""
        self._decoded: OrderedDict[str, AssessedBill] = OrderedDict()
        self._changed: dict[str, AssessedBill | None] = {}
        self._encoded: dict[str, bytes | None] = {}

    def load(self, key: str, value: bytes | None) -> None:
        """Enter a restored record."""
        if value is None:
            self.stored.drop(key)
        else:
            self.stored[key] = value

    def get(self, key: str, rules: Rules) -> AssessedBill | None:
        """The bill with uncommitted changes. Raises InputError if its stored state is invalid."""
        if key in self._changed:
            return self._changed[key]
        bill = self._decoded.get(key)
        if bill is not None:
            self._decoded.move_to_end(key)
            return bill
        value = self.stored.get(key)
        if value is None:
            return None
        bill = self._decoded[key] = assess_bill(BILL_STATE.decode(value), rules)
        if len(self._decoded) > DECODED:
            self._decoded.popitem(last=False)
        return bill

    def put(self, key: str, bill: AssessedBill | None) -> None:
        """Change a bill, with effect from `commit`. None forgets it."""
        self._changed[key] = bill

    def encode_changes(self) -> dict[str, bytes | None]:
        """Changed states by bill, for the log."""
        self._encoded = {
            key: None if bill is None else BILL_STATE.encode(bill.state) for key, bill in self._changed.items()
        }
        return self._encoded

    def commit(self) -> None:
        """The changes encoded last are on the log."""
        for key, value in self._encoded.items():
            bill = self._changed[key]
            self.load(key, value)
            if bill is None:
                self._decoded.pop(key, None)
            else:
                self._decoded[key] = bill
        self.abandon()

    def abandon(self) -> None:
        self._changed, self._encoded = {}, {}
