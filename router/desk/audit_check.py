"""Verification of the audit and the timeline: their chains, the heads in the tasks' positions, and exported heads."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final, Literal, NamedTuple

import msgspec

from router import topics
from router.desk.chain_check import ChainCheck, Checkpoint, Fault
from router.engine.audit_seals import AUDIT_SEAL, LONGEST_SUBJECT, AuditSeal, entry_time, seal_of
from router.errors import FatalLogError, InputError
from router.log.interface import AdministeredLog, Log, Place, Record
from router.model.eastern import iso
from router.task.chains import CHAINED, ChainHead, link_of
from router.task.outputs import TIMELINE_ENTRY
from router.task.registry_duties import POSITION

AGAIN_SECONDS: Final = 2.0
"""Wait before a fault is looked for again: a transaction may reach one topic some milliseconds before another."""


class ExportedHead(msgspec.Struct, frozen=True):
    """A line of `snp-router audit heads`."""

    topic: str
    partition: int
    number: int
    digest: str
    """In hexadecimal digits."""
    at: str
    """Time of the export."""


class Verified(NamedTuple):
    """Result for one partition of `snp.timeline`, `snp.audit-seals` or `snp.audit`."""

    topic: str
    partition: int
    entries: int
    first: int | None
    """Number of the first entry kept; None if there is none."""
    head: ChainHead | None
    """The head in the task's position; None if there is no position, and for `snp.audit`."""
    compared: int
    """Exported heads found in the chain."""
    unsealed: tuple[str, ...]
    """Places and times of entries that nothing proves yet; only of `snp.audit`."""
    faults: tuple[Fault, ...]


Heads = Mapping[Place, ChainHead]


async def read_heads(log: Log) -> dict[Place, ChainHead]:
    """The head of each chain, as the tasks' positions have them. Reads all of `snp.bills`."""
    found: dict[Place, ChainHead] = {}
    async for batch in log.read([topics.BILLS], until_end=True):
        for record in batch:
            if record.key.startswith(topics.POSITION_KEY) and record.value is not None:
                position = POSITION.decode(record.value)
                found[topics.TIMELINE, record.partition] = position.heads.get(topics.TIMELINE, ChainHead())
                if record.partition == 0:
                    found[topics.AUDIT_SEALS, 0] = position.heads.get(topics.AUDIT_SEALS, ChainHead())
    return found


def exported(heads: Heads, now: int) -> list[ExportedHead]:
    return [
        ExportedHead(topic, partition, head.number, head.digest.hex(), iso(now))
        for (topic, partition), head in sorted(heads.items())
    ]


def read_exported(lines: Iterable[bytes], source: str) -> list[ExportedHead]:
    """The heads in the lines of an export. Raises InputError."""
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            head = msgspec.json.decode(line, type=ExportedHead)
            bytes.fromhex(head.digest)
        except (msgspec.DecodeError, ValueError) as error:
            raise InputError(
                f"this is no head ({error}): give lines of `snp-router audit heads`", place=f"{source}, line {number}"
            ) from error
        found.append(head)
    return found


async def verify(log: AdministeredLog, known: Sequence[ExportedHead] = ()) -> list[Verified]:
    """Verify every partition. Entries written meanwhile are verified, or left aside. Faults are looked for twice."""
    results = await _verify(log, known)
    if any(result.faults for result in results):
        await asyncio.sleep(AGAIN_SECONDS)
        results = await _verify(log, known)
    return results


async def _verify(log: AdministeredLog, known: Sequence[ExportedHead]) -> list[Verified]:
    before = await read_heads(log)
    keeping_all = await log.keeping_all((*CHAINED, topics.AUDIT))
    checkpoints = _checkpoints(known)
    checks: dict[Place, ChainCheck] = {}
    for topic in CHAINED:
        for partition in await log.end_offsets(topic):
            of_place = {number: list(of_number) for number, of_number in checkpoints[topic, partition].items()}
            checks[topic, partition] = ChainCheck(of_place, keeps_all=topic in keeping_all)
    unreadable: dict[str, str] = {}
    seals: list[_Sealed] = []
    for topic in CHAINED:
        try:
            async for batch in log.read([topic], until_end=True):
                for record in batch:
                    seal = _sealed(record)
                    checks[topic, record.partition].add(record, seal.at if seal is not None else _decided_at(record))
                    if seal is not None:
                        seals.append(seal)
        except FatalLogError as error:
            unreadable[topic] = str(error)
    entries: list[Record] = []
    try:
        async for batch in log.read([topics.AUDIT], until_end=True):
            entries += [record._replace(headers=()) for record in batch]
    except FatalLogError as error:
        unreadable[topics.AUDIT] = str(error)
    after = await read_heads(log)
    results = [_chain_result(place, checks[place], before, after, unreadable) for place in sorted(checks)]
    stray = [_stray(one) for one in known if (one.topic, one.partition) not in checks]
    keeps_all = topics.AUDIT in keeping_all
    return [*results, _audit_result(seals, entries, unreadable, stray, keeps_all=keeps_all)]


def _checkpoints(known: Sequence[ExportedHead]) -> Mapping[Place, Mapping[int, list[Checkpoint]]]:
    found: dict[Place, dict[int, list[Checkpoint]]] = defaultdict(lambda: defaultdict(list))
    for one in known:
        point = Checkpoint(one.number, bytes.fromhex(one.digest), f"the export of {one.at}")
        found[one.topic, one.partition][one.number].append(point)
    return found


def _stray(one: ExportedHead) -> Fault:
    text = f"the export of {one.at} has a head of {one.topic}, partition {one.partition}, which the log lacks"
    return Fault("head differs", one.number, None, "", None, None, text)


def _chain_result(
    place: Place, check: ChainCheck, before: Heads, after: Heads, unreadable: Mapping[str, str]
) -> Verified:
    topic, partition = place
    head = after.get(place)
    if topic in unreadable:
        faults: tuple[Fault, ...] = (_unreadable(unreadable[topic]),)
    else:
        check.end(_head_read_with(check.newest, before.get(place), head))
        faults = tuple(check.faults)
    return Verified(topic, partition, check.entries, check.first, head, check.compared, (), faults)


def _head_read_with(newest: ChainHead, before: ChainHead | None, after: ChainHead | None) -> ChainHead | None:
    """The head to expect of a chain that was read between two readings of its head."""
    if before is None or after is None or newest.number >= after.number:
        return after
    return before if newest.number <= before.number else newest


def _unreadable(text: str) -> Fault:
    return Fault("unreadable", None, None, "", None, None, text)


def _decided_at(record: Record) -> int:
    try:
        return TIMELINE_ENTRY.decode(record.value or b"").input.at
    except InputError:
        return record.timestamp


# The audit against its seals


class _Sealed(NamedTuple):
    number: int
    at: int
    subject: str
    digest: bytes


def _sealed(record: Record) -> _Sealed | None:
    """The seal in a record; None if it is none."""
    link = link_of(record)
    if record.topic != topics.AUDIT_SEALS or link is None:
        return None
    try:
        seal: AuditSeal = AUDIT_SEAL.decode(record.value or b"")
    except InputError:
        return None
    return _Sealed(link.number, seal.at, seal.subject, seal.digest)


def _audit_result(
    seals: Sequence[_Sealed],
    entries: Sequence[Record],
    unreadable: Mapping[str, str],
    stray: Sequence[Fault],
    *,
    keeps_all: bool,
) -> Verified:
    faults = [*stray]
    unsealed: list[Record] = []
    first = None
    if topics.AUDIT in unreadable:
        faults.append(_unreadable(unreadable[topics.AUDIT]))
    elif topics.AUDIT_SEALS not in unreadable:
        compared = _Comparison(seals, entries, keeps_all=keeps_all)
        faults += compared.faults
        unsealed, first = compared.unsealed, compared.first
    places = tuple(f"{record.place}, {iso(entry_time(record))}, {_subject(record)}" for record in unsealed)
    return Verified(topics.AUDIT, 0, len(entries), first, None, 0, places, tuple(faults))


class _Comparison:
    """The entries of `snp.audit` and their seals, both in order."""

    def __init__(self, seals: Sequence[_Sealed], entries: Sequence[Record], *, keeps_all: bool) -> None:
        self.faults: list[Fault] = []
        self.unsealed: list[Record] = []
        """Entries that no seal covers yet, or no longer."""
        self.first: int | None = None
        """Number of the first entry found."""
        self._seals = seals
        self._entries = entries
        self._keeps_all = keeps_all
        digests = [seal_of(record).digest for record in entries]
        matcher = SequenceMatcher(None, [seal.digest for seal in seals], digests, autojunk=False)
        for tag, begin, end, first, last in matcher.get_opcodes():
            if tag == "equal":
                self._found(seals[begin])
            else:
                self._differ(begin, end, first, last)

    def _found(self, seal: _Sealed) -> None:
        if self.first is None:
            self.first = seal.number

    def _differ(self, begin: int, end: int, first: int, last: int) -> None:
        """Judge seals and entries that stand between two stretches that agree."""
        seals, entries = self._seals[begin:end], self._entries[first:last]
        pairs = dict(_pairs(seals, entries))
        for index, seal in enumerate(seals):
            if index in pairs:
                self._found(seal)
                record = entries[pairs[index]]
                self._fault("changed", seal, record.place, f"entry {seal.number} differs from its seal")
            elif self._keeps_all or self.first is not None or (end == len(self._seals) and not pairs):
                # else the start was cut by retention
                before = self._entries[first - 1].place if first else topics.AUDIT
                self._fault("missing", seal, f"behind {before}", f"entry {seal.number} is missing")
        paired = set(pairs.values())
        for index, record in enumerate(entries):
            behind_last = end == len(self._seals) and last == len(self._entries) and index > max(paired, default=-1)
            before_first = begin == first == 0 and not seals and bool(self._seals) and self._seals[0].number > 1
            if index in paired:
                continue
            if behind_last or before_first:
                self.unsealed.append(record)
            else:
                text = "an entry that the router did not seal in its place"
                at, subject = entry_time(record), _subject(record)
                self.faults.append(Fault("inserted", None, None, record.place, at, subject, text))

    def _fault(self, kind: Literal["changed", "missing"], seal: _Sealed, place: str, text: str) -> None:
        self.faults.append(Fault(kind, seal.number, None, place, seal.at, seal.subject, text))


def _pairs(seals: Sequence[_Sealed], entries: Sequence[Record]) -> Iterator[tuple[int, int]]:
    """Indices of seals with those of the entries that stand in their stead, changed."""
    if len(seals) == len(entries):
        yield from ((index, index) for index in range(len(seals)))
        return
    begin = 0
    for index, seal in enumerate(seals):
        for other in range(begin, len(entries)):
            if entry_time(entries[other]) == seal.at or _subject(entries[other]) == seal.subject:
                yield index, other
                begin = other + 1
                break


def _subject(record: Record) -> str:
    return record.key.decode(errors="replace")[:LONGEST_SUBJECT]
