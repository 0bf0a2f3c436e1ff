"""Records of the log as rows of the desk's index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from router import codec, topics
from router.clock import now_milliseconds
from router.codec.packed import BILL_STATE
from router.decide.bill_state import AssessedBill, assess_bill
from router.decide.roster import cut_name
from router.decide.rules import Rules
from router.decide.standing_holds import CBP_HOLD
from router.desk.bill_query import NUMBERS, concern_of
from router.desk.index_lists import searched_text
from router.desk.index_notices import IndexedEntry, write_notified
from router.desk.stop_records import began_stop, write_call, write_stop
from router.engine.administration import AuditEntry
from router.log.interface import Record
from router.log.sqlite.connection import transaction
from router.model.eastern import from_posted
from router.model.identifiers import container_key, is_vessel_key, split_bill_key
from router.model.inputs import DeadLetter
from router.task.outputs import timeline_fields

LOGGED_IN: Final = "console log-in"
"""The audit's action of a log-in; its subject is the user's name, its detail the address."""

Word = tuple[str, str]
"""A kind, and a word of it by which a bill is found."""

STILL: Final = 2**62
"""`unconfirmed_until` of a bill that is unconfirmed now."""


def write_records(connection: sqlite3.Connection, records: Sequence[Record], rules: Rules) -> list[IndexedEntry]:
    """Write records and the positions behind them; return the timeline entries among them."""
    entries: list[tuple[codec.Fields, bool]] = []
    new: list[codec.Fields] = []
    with transaction(connection):
        done = {
            (topic, partition): offset
            for topic, partition, offset in connection.execute("SELECT topic, partition, next_offset FROM progress")
        }
        states: dict[tuple[int, bytes], Record] = {}
        for record in records:
            is_new = record.offset >= done.get((record.topic, record.partition), 0)
            if record.topic == topics.TIMELINE and record.value is not None:
                entry = timeline_fields(record.value)
                entries.append((entry, write_stop(connection, entry) if is_new else began_stop(connection, entry)))
                if is_new:
                    _write_timeline(connection, entry, record.value)
                    new.append(entry)
            if not is_new:
                continue
            if record.topic == topics.BILLS:
                states[record.partition, record.key] = record
            elif record.topic == topics.WAITING:
                _write_waiting(connection, record)
            elif record.value is not None and record.topic == topics.DEAD_LETTERS:
                _write_dead_letter(connection, record.value)
            elif record.value is not None and record.topic == topics.AUDIT:
                _write_audit(connection, record.offset, record.value)
            done[record.topic, record.partition] = record.offset + 1
        for record in states.values():
            _write_bill(connection, record, rules)
        write_notified(connection, new)
        connection.executemany(
            "INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", [(*place, offset) for place, offset in done.items()]
        )
        return [with_bill(connection, entry)._replace(stops_anew=stops_anew) for entry, stops_anew in entries]


def _write_bill(connection: sqlite3.Connection, record: Record, rules: Rules) -> None:
    if record.key.startswith(topics.POSITION_KEY):
        commit = (record.partition, record.timestamp, record.value)
        connection.execute("INSERT OR REPLACE INTO commits VALUES (?, ?, ?)", commit)
        return
    bill = record.key.decode()
    known = connection.execute("SELECT status, words FROM bills WHERE bill = ?", (bill,)).fetchone()
    old_words = set(unpacked(known[1])) if known is not None else set()
    words: list[Word] = []
    if known is not None:
        connection.execute("UPDATE statuses SET bills = bills - 1 WHERE status = ?", (known[0],))
    if record.value is None:
        connection.execute("DELETE FROM bills WHERE bill = ?", (bill,))
        connection.execute("DELETE FROM states WHERE bill = ?", (bill,))
        connection.execute("DELETE FROM flags WHERE bill = ?", (bill,))
    else:
        connection.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", (bill, record.value))
        if is_vessel_key(bill):
            return
        assessed = assess_bill(BILL_STATE.decode(record.value), rules)
        words = sorted(set(bill_words(assessed)))
        row = _row_of(bill, assessed, words)
        connection.execute(f"INSERT OR REPLACE INTO bills VALUES ({','.join('?' * len(row))})", row)
        connection.execute(
            "INSERT INTO statuses VALUES (?, 1) ON CONFLICT (status) DO UPDATE SET bills = bills + 1",
            (assessed.status.status,),
        )
    _replace_words(connection, bill, old_words, set(words))


def _replace_words(connection: sqlite3.Connection, bill: str, old: set[Word], new: set[Word]) -> None:
    for gone, changed in ((True, old - new), (False, new - old)):
        for table, are_numbers in (("numbers", True), ("words", False)):
            rows = [(word, kind, bill) for kind, word in changed if (kind in NUMBERS) == are_numbers]
            if rows and gone:
                connection.executemany(f"DELETE FROM {table} WHERE word = ? AND kind = ? AND bill = ?", rows)
            elif rows:
                connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?)", rows)


def _row_of(bill: str, assessed: AssessedBill, words: Iterable[Word]) -> tuple[Any, ...]:
    """The row of the table `bills`; an unknown text is empty, since an order has no place for NULL."""
    status, shipment, period = assessed.status, assessed.cargo.shipment, assessed.state.unconfirmed
    return (
        bill, status.status, concern_of(status.status), status.do_not_load, shipment.carrier_scac or "",
        shipment.imo_number or "", cut_name(shipment.vessel_name or ""), shipment.vessel_name or "",
        (shipment.voyage_number or "").lstrip("0"), shipment.voyage_number or "", shipment.port_of_unlading or "",
        shipment.arrival_date or "",
        assessed.state.kept_sailing_id or "", shipment.master_bill or "", standing_since(assessed),
        assessed.state.touched, STILL if period.is_now else period.ended, _packed(words),
    )  # fmt: skip


def standing_since(assessed: AssessedBill) -> int:
    """Posted time of the oldest hold that stands, or else of the latest event; of neither, the time of the latest
    record. UTC milliseconds."""
    placed = [hold.placed for hold in assessed.status.holds if hold.placed is not None]
    if placed:
        return from_posted(min(placed))
    latest = assessed.state.latest_event()
    return latest.posted_at if latest is not None else assessed.state.touched


def bill_words(assessed: AssessedBill) -> Iterator[Word]:
    """The kinds and words that a bill is found by. Numbers are without blanks; its own is found with and without its
    SCAC."""
    shipment, state = assessed.cargo.shipment, assessed.state
    scac, number = split_bill_key(state.key)
    yield "bill", scac + number
    yield "bill", number
    for text in shipment.container_numbers:
        yield "container", container_key(text)
    for event in state.events:
        if event.entry_number:
            yield "entry", event.entry_number
    if shipment.master_bill:
        yield "master", shipment.master_bill.replace(" ", "")
    for party in (scac, shipment.carrier_scac, *assessed.cargo.snps, *state.last_notices):
        if party:
            yield "party", party
            yield "party", party.rpartition(":")[2]
    for hold in assessed.status.holds:
        yield "hold", hold.code or hold.kind
        if hold.code and hold.kind != CBP_HOLD:
            yield "hold", hold.kind
    for doubt in assessed.status.doubts:
        yield "doubt", doubt


def _packed(words: Iterable[Word]) -> str:
    return "\n".join(f"{kind}\t{word}" for kind, word in words)


def unpacked(text: str) -> list[Word]:
    """The kinds and words in the column `words`."""
    return [(kind, word) for kind, _, word in (line.partition("\t") for line in text.split("\n")) if kind]


def _write_timeline(connection: sqlite3.Connection, entry: codec.Fields, value: bytes) -> None:
    bill = entry["bill"]
    connection.execute(
        "INSERT OR REPLACE INTO timeline VALUES (?, ?, ?, ?, ?)",
        (bill, entry["sequence"], entry["at"], now_milliseconds(), value),
    )
    connection.execute("DELETE FROM flags WHERE bill = ?", (bill,))
    connection.executemany("INSERT OR IGNORE INTO flags VALUES (?, ?)", [(bill, flag) for flag in entry["flags"]])


def with_bill(connection: sqlite3.Connection, entry: codec.Fields) -> IndexedEntry:
    """The entry with what the index has of its bill."""
    row = connection.execute("SELECT vessel_name, port FROM bills WHERE bill = ?", (entry["bill"],)).fetchone()
    vessel_name, port = row or ("", "")
    return IndexedEntry(entry, vessel_name or None, port or None)


def _write_waiting(connection: sqlite3.Connection, record: Record) -> None:
    bill = record.key.decode()
    if record.value is None:
        connection.execute("DELETE FROM waiting WHERE bill = ?", (bill,))
        return
    fields = codec.decode(record.value)[1]
    text = searched_text(bill, fields["status"], *fields["reasons"], *fields["parties"])
    row = (bill, fields["do_not_load"], fields["since"], text, record.value)
    connection.execute("INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?)", row)


def _write_audit(connection: sqlite3.Connection, offset: int, value: bytes) -> None:
    entry = codec.decode(value)[1]
    text = searched_text(*(entry[name] for name in ("by", "action", "subject", "detail", "os_user", "address")))
    connection.execute("INSERT OR REPLACE INTO audit VALUES (?, ?, ?)", (offset, text, value))
    write_call(connection, AuditEntry(**entry))
    if entry["action"] == LOGGED_IN:
        login = (entry["subject"], entry["detail"] or "")
        connection.execute("INSERT OR IGNORE INTO logins VALUES (?, ?)", login)


def _write_dead_letter(connection: sqlite3.Connection, value: bytes) -> None:
    letter = read_letter(value)
    text = searched_text(letter.id, letter.reason, letter.source, letter.scac, letter.bill_of_lading)
    row = (letter.id, letter.received_at, letter.resolution, text, value)
    connection.execute("INSERT OR REPLACE INTO letters VALUES (?, ?, ?, ?, ?)", row)


def read_letter(value: bytes) -> DeadLetter:
    letter = codec.decode_value(value)
    assert isinstance(letter, DeadLetter)
    return letter
