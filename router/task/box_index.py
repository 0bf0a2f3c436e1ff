"""A task's share of the index in memory: most keys as the bytes that were read or will be, a few thousand at hand.

An entry of a bill lies there as in its record of `snp.index-state`, without the key that all entries of a group share.
What a transaction changed lies apart until the log has it.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from typing import Any, Final

from router import avro, codec
from router.decide.boxes import Answer, IndexEntry, IndexGroup, answer
from router.log.interface import KEY_SEPARATOR, Record
from router.model.links import IndexFact, LinkFact

GROUPS_AT_HAND: Final = 5_000

_GONE: Final = (False, False, False, None, None, None, None, False, False, None)
"""Of an entry that was taken away, all but its bill."""


class BoxIndex:
    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        """By key, entry after entry. Of a bill that is there twice the last one counts: so restoring need not look."""
        self._at_hand: OrderedDict[str, IndexGroup] = OrderedDict()
        self._changed: dict[str, IndexGroup] = {}
        self._unanswered: dict[str, IndexGroup] = {}
        self._entries: list[tuple[IndexFact, Answer | None]] = []
        self._links: list[LinkFact] = []
        self.concerned = 0
        """So many bills at most does an answer to what was entered concern."""

    def load(self, record: Record) -> None:
        """Take in one record of `snp.index-state`, as restored."""
        if record.value is None:
            key, _, bill = record.key.partition(KEY_SEPARATOR)
            entry = _encode((bill.decode(), *_GONE))
        else:
            size, start = avro.decode_long(record.value, codec.HEADER_SIZE)
            key, entry = record.value[start : start + size], record.value[start + size :]
        self._packed[key] = self._packed.get(key, b"") + entry

    def enter(self, fact: IndexFact) -> None:
        """What a bill says now; counts when `committed`, after `answers`."""
        group = self._group(fact.key)
        if group.would_hide(fact):
            self._take_answer(fact.key, group)
        if fact.key not in self._unanswered:
            self._unanswered[fact.key] = group
            self.concerned += len(group.entries)
        group.enter(fact)

    def answers(self) -> tuple[list[tuple[IndexFact, Answer | None]], list[LinkFact]]:
        """What follows from the facts entered: entries to be written (without an answer: gone), and what bills are
        told. To be called once all facts of a transaction are entered."""
        for key, group in list(self._unanswered.items()):
            self._take_answer(key, group)
        entries, links = self._entries, self._links
        self._forget_answers()
        return entries, links

    def _take_answer(self, key: str, group: IndexGroup) -> None:
        changed, told = answer(group, key)
        self._entries += [entry or (IndexFact(key, bill, False), None) for bill, entry in changed.items()]
        self._links += told
        self.concerned += len(told)
        self._unanswered.pop(key, None)

    def _forget_answers(self) -> None:
        self._unanswered, self._entries, self._links, self.concerned = {}, [], [], 0

    def committed(self) -> None:
        for key, group in self._changed.items():
            self._packed.pop(key.encode(), None)
            if group.entries:
                self._at_hand[key] = group
                self._at_hand.move_to_end(key)
            else:
                self._at_hand.pop(key, None)
        while len(self._at_hand) > GROUPS_AT_HAND:
            key, group = self._at_hand.popitem(last=False)
            self._packed[key.encode()] = _pack(group)
        self._changed = {}

    def abandon(self) -> None:
        self._changed = {}
        self._forget_answers()

    def _group(self, key: str) -> IndexGroup:
        """The key's group, a copy that this transaction may change."""
        group = self._changed.get(key)
        if group is None:
            at_hand = self._at_hand.get(key)
            group = at_hand.copy() if at_hand is not None else _unpack(key, self._packed.get(key.encode(), b""))
            self._changed[key] = group
        return group


def _pack(group: IndexGroup) -> bytes:
    return b"".join([_encode((*entry.fact[1:], *entry.answer)) for entry in group.entries.values()])


def _unpack(key: str, packed: bytes) -> IndexGroup:
    group = IndexGroup()
    read, place = _decoder(), 0
    while place < len(packed):
        values, place = read(packed, place)
        fact = IndexFact(key, *values[:-ANSWER_FIELDS])
        if fact.present:
            group.put(IndexEntry(fact, Answer(*values[-ANSWER_FIELDS:])))
        else:
            group.drop(fact.bill)
    group.decide()
    return group


ANSWER_FIELDS: Final = len(Answer._fields)


def _encode(values: tuple[Any, ...]) -> bytes:
    return _encoder()(values)


@cache
def _encoder() -> avro.Encode:
    return avro.encoder(_entry_schema())


@cache
def _decoder() -> avro.Decode:
    return avro.decoder(_entry_schema(), {"IndexState": tuple})


def _entry_schema() -> codec.Datum:
    """That of the record without its first field, the key: an Avro record is its fields one after the other."""
    schema = codec.raw_schema("index-state")
    fact, *answer = schema["fields"]
    return schema | {"fields": [*fact["type"]["fields"][1:], *answer]}
