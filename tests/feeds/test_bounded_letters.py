"""Dead letters of one input are bounded: equal ones are one with a count, and no stop is lost by their number."""

from __future__ import annotations

import io
import json
import time

import fastavro
import pytest

from router.feeds import bounded_letters
from router.feeds.formats import read_dead_letter, read_events
from router.model.inputs import DeadLetter
from tests.feeds.samples import RECEIVED_AT


def letters(*lines: str) -> list[DeadLetter]:
    content = "".join(f"{line}\n" for line in lines).encode()
    found = list(read_events([content], "FILE", RECEIVED_AT))
    assert all(isinstance(one, DeadLetter) for one in found)
    return [one for one in found if isinstance(one, DeadLetter)]


def stop(number: int, quantity: str = "many") -> str:
    bill = {"scac": "NVXA", "bill_of_lading": f"HBL{number}", "disposition_code": "6H"}
    return json.dumps(bill | {"action_at": "2026-07-14T08:12", "quantity": quantity})


def test_equal_parts_are_one_letter_with_a_count_at_the_end() -> None:
    first, other, again = letters('{"a": 1}', "{", '{"a": 1}', '{"a": 1}')
    assert (first.times, other.times, again.times) == (1, 1, 3)
    assert again == first._replace(times=3)
    assert first.source == "FILE:record 1"


def test_equal_letters_of_two_bills_stop_both() -> None:
    found = letters(stop(1), stop(2), stop(1))
    assert [(one.bill_of_lading, one.times) for one in found] == [("HBL1", 1), ("HBL2", 1), ("HBL1", 2)]


def test_beyond_the_bound_each_bill_is_stopped_and_the_rest_is_one_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_letters, "MOST_LETTERS", 2)
    garbage = [f'{{"a": {number}}}' for number in range(5)]
    found = letters(*garbage, stop(1, "x" * 500), stop(1, "y" * 500), stop(2, "x" * 500))
    *kept, further, one, two, total = found
    assert [letter.content for letter in kept] == [b'{"a": 0}', b'{"a": 1}']
    assert (further.times, further.bill_of_lading, further.content) == (1, None, b"")
    assert further.reason.startswith("more than 2 parts of this input can't be read. From FILE:record 3 on they are")
    assert [(letter.bill_of_lading, letter.disposition_code) for letter in (one, two)] == [
        ("HBL1", "6H"),
        ("HBL2", "6H"),
    ]
    assert len(one.content) == bounded_letters.SHORT_CONTENT < one.content_size
    assert (total.id, total.times, total.content_size) == (further.id, 3, 3 * len(garbage[0]))
    for letter in (total, one):
        (refused,) = read_dead_letter(letter, RECEIVED_AT)
        assert isinstance(refused, DeadLetter)
        assert "feed in FILE" in refused.reason


def test_letters_are_recognised_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_letters, "MOST_LETTERS", 2)
    monkeypatch.setattr(bounded_letters, "MOST_STOPS", 4)
    found = letters(*(stop(number) for number in range(20)))
    assert [letter.bill_of_lading for letter in found] == [f"HBL{number}" for number in range(20)]


@pytest.mark.parametrize("codec", ["deflate", "null"])
@pytest.mark.parametrize("value", ["", "x" * 8, "2026-07-14T08:12"])
def test_a_small_avro_file_is_not_unreadable_a_million_times(codec: str, value: str) -> None:
    """16 kB made a million dead letters in 53 s."""
    schema = {"type": "record", "name": "E", "fields": [{"name": "disposition_code", "type": "string"}]}
    file = io.BytesIO()
    records = ({"disposition_code": value} for _ in range(1_000_000 if codec == "deflate" else 16_000))
    fastavro.writer(file, fastavro.parse_schema(schema), records, codec=codec, sync_interval=1 << 23)
    before = time.process_time()
    found = list(read_events([file.getvalue()], "FILE", RECEIVED_AT))
    assert len(found) <= 3
    assert time.process_time() - before < 5


def test_many_equal_lines_are_read_fast() -> None:
    before = time.process_time()
    first, total = letters(*(["{}"] * 200_000))
    assert total.times == 200_000
    assert first.id == total.id
    assert time.process_time() - before < 5


@pytest.mark.parametrize(
    "part", ["ISA*~", "ST*350*1~", "X4*~", "J01\n", "R02\n", "ACROCNX      RC26071414120500031\n", "<", "{"]
)
def test_the_time_grows_with_the_input_and_no_faster(part: str) -> None:
    """200 kB of `J01` took 40 s."""
    before = time.process_time()
    assert len(list(read_events([(part * 200_000)[:200_000].encode()], "FILE", RECEIVED_AT))) <= 5
    assert time.process_time() - before < 8
