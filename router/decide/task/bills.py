"""The stored states of a task's bills, in parts that are small whatever the number of bills."""

from __future__ import annotations

import zlib
from typing import Final

PARTS: Final = 512
"""At a million bills some 2,000 each: neither sorting one for a walk nor its growing takes noticeable time, where a
single table's would stop all work for up to a second."""


class Bills:
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
