"""A task's share of the index: most keys as bytes, the latest ones decoded, and the changes of the transaction."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from router.codec.packed import INDEX_ENTRY
from router.decide.boxes import Answer, IndexEntry, IndexGroup, answer
from router.log.interface import KEY_SEPARATOR, Record
from router.model.links import IndexFact, LinkFact

DECODED_GROUPS: Final = 5_000
SIZE_BYTES: Final = 4


class BoxIndex:
    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        """Entries by key, one after the other. A bill's last entry counts, so restoring only appends."""
        self._decoded: OrderedDict[str, IndexGroup] = OrderedDict()
        self._changed: dict[str, IndexGroup] = {}
        self._unanswered: dict[str, IndexGroup] = {}
        self._entries: list[tuple[IndexFact, Answer | None]] = []
        self._links: list[LinkFact] = []
        self.affected_bills = 0
        """Upper limit of the bills that answers to the entered facts may affect."""

    def load(self, record: Record) -> None:
        """Enter a restored record of `snp.index-state`."""
        key, _, bill = record.key.partition(KEY_SEPARATOR)
        value = record.value
        if value is None:
            gone = IndexFact(key.decode(), bill.decode(), present=False)
            value = INDEX_ENTRY.encode(IndexEntry(gone, Answer()))
        self._packed[key] = self._packed.get(key, b"") + _sized(value)

    def enter(self, fact: IndexFact) -> None:
        """Enter a bill's fact, with effect from `commit`, after `answers`."""
        group = self._group(fact.key)
        if group.would_hide(fact):
            self._answer(fact.key, group)
        if fact.key not in self._unanswered:
            self._unanswered[fact.key] = group
            self.affected_bills += len(group.entries)
        group.enter(fact)

    def answers(self) -> tuple[list[tuple[IndexFact, Answer | None]], list[LinkFact]]:
        """Entries to write (without an answer: withdrawn) and links to bills, once all facts of a transaction are
        entered."""
        for key, group in list(self._unanswered.items()):
            self._answer(key, group)
        entries, links = self._entries, self._links
        self._forget_answers()
        return entries, links

    def _answer(self, key: str, group: IndexGroup) -> None:
        changed, links = answer(group, key)
        self._entries += [entry or (IndexFact(key, bill, False), None) for bill, entry in changed.items()]
        self._links += links
        self.affected_bills += len(links)
        self._unanswered.pop(key, None)

    def _forget_answers(self) -> None:
        self._unanswered, self._entries, self._links, self.affected_bills = {}, [], [], 0

    def commit(self) -> None:
        for key, group in self._changed.items():
            self._packed.pop(key.encode(), None)
            if group.entries:
                self._decoded[key] = group
                self._decoded.move_to_end(key)
            else:
                self._decoded.pop(key, None)
        while len(self._decoded) > DECODED_GROUPS:
            key, group = self._decoded.popitem(last=False)
            self._packed[key.encode()] = b"".join(_sized(INDEX_ENTRY.encode(one)) for one in group.entries.values())
        self._changed = {}

    def abandon(self) -> None:
        self._changed = {}
        self._forget_answers()

    def _group(self, key: str) -> IndexGroup:
        """The key's group, as a copy that this transaction may change."""
        group = self._changed.get(key)
        if group is None:
            decoded = self._decoded.get(key)
            group = decoded.copy() if decoded is not None else _unpacked(self._packed.get(key.encode(), b""))
            self._changed[key] = group
        return group


def _sized(entry: bytes) -> bytes:
    return len(entry).to_bytes(SIZE_BYTES, "big") + entry


def _unpacked(packed: bytes) -> IndexGroup:
    group = IndexGroup()
    for data in _parts(packed):
        entry = INDEX_ENTRY.decode(data)
        if entry.fact.present:
            group.put(entry)
        else:
            group.drop(entry.fact.bill)
    group.decide()
    return group


def _parts(packed: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(packed):
        start = place + SIZE_BYTES
        place = start + int.from_bytes(packed[place:start], "big")
        yield packed[start:place]
