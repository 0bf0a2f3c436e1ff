"""Times at which notices were read, as observed: never a guess, whatever the reader does and whenever nobody looked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.desk.index_file import SCHEMA
from router.desk.index_reading import (
    KEPT,
    SURE,
    ReadTime,
    SentNotice,
    read_observations,
    read_positions,
    read_times,
    write_observations,
)
from router.desk.receipts import Receipt
from router.desk.unread_notices import UnreadNotices
from router.model.eastern import DAY, MINUTE
from router.model.registry_values import Party

BEGAN = 1_785_000_000_000 // MINUTE * MINUTE
BILL = "NVXAHBL1"
PARTY = Party("SLTC")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = opened()
    yield made
    made.close()


def opened() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.executescript(SCHEMA)
    made.execute("INSERT INTO parties (party) VALUES (?)", (PARTY.id,))
    return made


def indexed(connection: sqlite3.Connection, number: int, at: int) -> SentNotice:
    """A decision with a notice, as it comes into the index."""
    connection.execute("INSERT INTO timeline VALUES (?, ?, ?, ?, NULL)", (BILL, number, at, at))
    return SentNotice(PARTY.id, f"n{number}", number)


def observe(connection: sqlite3.Connection, read: set[int] | None, topic: int, at: int) -> None:
    """An observation of a reader that has read these offsets of a topic's; None: it can't be followed."""
    if read is None:
        one = UnreadNotices(PARTY, Receipt(unknown="no group"))
    else:
        following = max(read, default=-1) + 1
        one = UnreadNotices(PARTY, Receipt(following, frozenset(set(range(following)) - read)))
        noted_to = read_positions(connection).get(PARTY.id, -1)
        unread = sorted(set(range(topic)) - read)
        one.notices = len(unread)
        one.noted = [(offset, f"n{offset}") for offset in unread if offset > noted_to or offset == unread[0]]
    write_observations(connection, [one], at)


def test_a_notice_was_read_between_two_observations(connection: sqlite3.Connection) -> None:
    sent = indexed(connection, 0, BEGAN)
    observe(connection, set(), 1, BEGAN + MINUTE)
    assert read_times(connection, BILL, [sent]) == {sent: ReadTime(BEGAN + MINUTE, None)}
    observe(connection, None, 1, BEGAN + 2 * MINUTE)
    observe(connection, {0}, 1, BEGAN + 3 * MINUTE)
    assert read_times(connection, BILL, [sent]) == {sent: ReadTime(BEGAN + MINUTE, BEGAN + 3 * MINUTE)}


def test_a_notice_that_was_never_seen_unread_was_read_by_the_first_observation_that_covers_it(
    connection: sqlite3.Connection,
) -> None:
    sent = indexed(connection, 0, BEGAN)
    observe(connection, set(), 0, BEGAN + SURE - 1)
    assert read_times(connection, BILL, [sent]) == {sent: ReadTime(None, None)}, "its notice may not have been visible"
    observe(connection, {0}, 1, BEGAN + MINUTE)
    assert read_times(connection, BILL, [sent]) == {sent: ReadTime(None, BEGAN + MINUTE)}


def test_of_a_reader_that_nobody_can_follow_nothing_is_known(connection: sqlite3.Connection) -> None:
    sent = indexed(connection, 0, BEGAN)
    observe(connection, None, 1, BEGAN + MINUTE)
    assert read_times(connection, BILL, [sent]) == {sent: ReadTime(None, None)}
    other = SentNotice("RIVL", "n0", 0)
    assert read_times(connection, BILL, [other]) == {other: ReadTime(None, None)}


def test_a_reader_that_begins_again_is_observed_anew(connection: sqlite3.Connection) -> None:
    sent = [indexed(connection, number, BEGAN) for number in range(2)]
    observe(connection, {0, 1}, 2, BEGAN + MINUTE)
    observe(connection, set(), 2, BEGAN + 2 * MINUTE)
    assert set(read_times(connection, BILL, sent).values()) == {ReadTime(None, None)}
    observe(connection, set(), 2, BEGAN + 3 * MINUTE)
    assert set(read_times(connection, BILL, sent).values()) == {ReadTime(BEGAN + 3 * MINUTE, None)}


def test_observations_are_one_a_minute_and_kept_for_a_week(connection: sqlite3.Connection) -> None:
    for at in (BEGAN, BEGAN + 15_000, BEGAN + 45_000, BEGAN + MINUTE):
        observe(connection, set(), 0, at)
    assert [one.at for one in read_observations(connection, PARTY.id, BEGAN)] == [BEGAN + 45_000, BEGAN + MINUTE]
    observe(connection, set(), 0, BEGAN + KEPT + 2 * MINUTE)
    assert [one.at for one in read_observations(connection, PARTY.id, 0)] == [BEGAN + KEPT + 2 * MINUTE]
    assert 7 * DAY == KEPT


def test_a_notice_that_was_read_long_ago_is_forgotten_and_still_known_as_read(connection: sqlite3.Connection) -> None:
    sent = indexed(connection, 0, BEGAN)
    observe(connection, set(), 1, BEGAN + MINUTE)
    observe(connection, {0}, 1, BEGAN + 2 * MINUTE)
    late = BEGAN + KEPT + 5 * MINUTE
    observe(connection, {0}, 1, late)
    assert connection.execute("SELECT count(*) FROM unread_notices").fetchone() == (0,)
    assert read_times(connection, BILL, [sent]) == {sent: ReadTime(None, late)}


STEPS = st.lists(
    st.tuples(
        st.integers(1, 90_000),
        st.one_of(
            st.just("send"), st.just("look"), st.just("look"), st.just("lose"),
            st.tuples(st.just("read"), st.integers(0, 30)), st.tuples(st.just("skip"), st.integers(0, 30)),
        ),
    ),
    min_size=5, max_size=60,
)  # fmt: skip
"""Milliseconds, then: a notice is sent, the console looks, it can't follow the reader, one offset is read out of order,
or all up to one are."""


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, kept=st.sampled_from([KEPT, 3 * MINUTE]))
def test_what_is_said_of_a_reading_is_true(steps: list[tuple[int, str | tuple[str, int]]], kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("router.desk.index_reading.KEPT", kept)
        compare_with_the_truth(steps)


def compare_with_the_truth(steps: list[tuple[int, str | tuple[str, int]]]) -> None:
    connection, now = opened(), BEGAN
    sent: list[SentNotice] = []
    read_at: dict[int, int] = {}
    try:
        for passed, step in steps:
            now += passed
            match step:
                case "send":
                    sent.append(indexed(connection, len(sent), now))
                case "look":
                    observe(connection, set(read_at), len(sent), now)
                case "lose":
                    observe(connection, None, len(sent), now)
                case ("read", int(offset)) if offset < len(sent):
                    read_at.setdefault(offset, now)
                case ("skip", int(offset)):
                    for one in range(min(offset, len(sent))):
                        read_at.setdefault(one, now)
                case _:
                    pass
            for one, time in read_times(connection, BILL, sent).items():
                truth = read_at.get(one.sequence)
                if time.read_by is not None:
                    assert truth is not None
                    assert truth <= time.read_by
                if time.unread_at is not None:
                    assert truth is None or truth > time.unread_at
    finally:
        connection.close()
