"""Events that other programs write straight to the log: those that are not as the router writes them free nothing."""

from __future__ import annotations

from typing import Any

import pytest

from router import topics
from router.codec import decode_value, encode_value
from router.log.interface import Output, Record, partition_of
from router.log.kafka.reader import LATEST_TIME
from router.model.eastern import DAY, MILLISECONDS
from router.model.inputs import Disposition
from router.task.registry_duties import POSITION
from router.task.shard import Shard
from tests.checking.harness import Harness
from tests.checking.samples import HOUSE, OTHER_HOUSE, PARTIES, START, at, event, filing, sailing

RELEASE, DO_NOT_LOAD = event("1C", 1), event("6H", 2)
SECONDS, MICROSECONDS = RELEASE.action_at // MILLISECONDS, RELEASE.action_at * MILLISECONDS


@pytest.fixture
def router() -> Harness:
    harness = Harness(2, now=START)
    harness.roster(*PARTIES, sailing())
    harness.decide(filing())
    return harness


def write(router: Harness, value: Any, topic: str = topics.DISPOSITIONS, key: str = HOUSE) -> None:
    router.feed_bytes(topic, key.encode(), encode_value(value))
    router.pump()


def reasons(router: Harness) -> list[str]:
    return [letter["reason"] for letter in router.latest(topics.DEAD_LETTERS).values()]


def test_an_event_as_it_should_be_counts(router: Harness) -> None:
    write(router, RELEASE)
    assert (router.status(HOUSE), reasons(router)) == ("RELEASED", [])


@pytest.mark.parametrize(
    "changes",
    [
        {"action_at": SECONDS},
        {"action_at": MICROSECONDS},
        {"action_at": SECONDS, "received_at": SECONDS},
        {"action_at": 0},
        {"quantity": -100},
        {"uncertain": "perhaps"},
        {"bill_of_lading": "HBL 00012345"},
        {"bill_of_lading": "hbl000012345"},
        {"bill_of_lading": "NVXAHBL000012345"},
        {"bill_of_lading": None},
        {"scac": None},
        {"scac": "nvxa"},
    ],
    ids=str,
)
def test_any_other_frees_nothing_and_stops_the_bill_of_its_key(router: Harness, changes: dict[str, Any]) -> None:
    write(router, RELEASE._replace(**changes))
    write(router, RELEASE)
    assert router.status(HOUSE) == "HELD"
    assert "release" not in router.kinds("NVXA")
    assert len(reasons(router)) == 1
    write(router, DO_NOT_LOAD._replace(bill_of_lading=OTHER_HOUSE[4:], scac=OTHER_HOUSE[:4]))
    assert router.status(OTHER_HOUSE) == "DO_NOT_LOAD", "the others go on"


@pytest.mark.parametrize("changes", [{"action_at": SECONDS}, {"quantity": -1}], ids=str)
def test_a_do_not_load_stays_one_if_its_bill_and_code_are_whole(router: Harness, changes: dict[str, Any]) -> None:
    write(router, DO_NOT_LOAD._replace(**changes))
    assert router.status(HOUSE) == "DO_NOT_LOAD"


def test_a_key_that_is_no_bill_s_stops_none(router: Harness) -> None:
    for key in ("", "x", "vessel:9074729::", "NVXA" + "1" * 90, "nvxaHBL000012345"):
        write(router, RELEASE._replace(bill_of_lading="no number"), key=key)
    assert router.status(HOUSE) == "ON_FILE"
    assert len(set(reasons(router))) == 1


def test_the_record_s_own_bill_counts_and_its_key_only_places_it(router: Harness) -> None:
    write(router, DO_NOT_LOAD, key=OTHER_HOUSE)
    assert (router.status(HOUSE), router.status(OTHER_HOUSE)) == ("DO_NOT_LOAD", None)


def test_what_frees_overtakes_nothing(router: Harness) -> None:
    router.feed_bytes(topics.DISPOSITIONS, HOUSE.encode(), encode_value(event("1H", 0)))
    write(router, RELEASE, topics.URGENT)
    assert router.kinds("NVXA") == ["hold"]
    assert "only events that stop belong on cbp.urgent" in reasons(router)[0]
    write(router, event("1I", 2))
    write(router, event("1C", 3))
    assert router.status(HOUSE) == "RELEASED", "no hold follows from it"


def test_a_stop_written_twice_with_the_header_counts_once(router: Harness) -> None:
    headers = (("urgent", b"1"),)
    value = encode_value(DO_NOT_LOAD)
    router._append([Output(topic, HOUSE.encode(), value, headers) for topic in (topics.URGENT, topics.DISPOSITIONS)])
    router.pump()
    assert router.kinds("NVXA") == ["hold"]
    assert router.status(HOUSE) == "DO_NOT_LOAD"


def test_without_the_time_of_receipt_an_event_still_counts(router: Harness) -> None:
    write(router, Disposition("NVXA", HOUSE[4:], "6H", at(1)))
    assert router.status(HOUSE) == "DO_NOT_LOAD"


@pytest.mark.parametrize("topic", [topics.DISPOSITIONS, topics.URGENT])
@pytest.mark.parametrize(
    ("key", "value"),
    [(HOUSE.encode(), b"no event"), (b"no bill", b"no event"), (HOUSE.encode(), encode_value(RELEASE))],
    ids=["bill", "no bill", "release"],
)
def test_each_dead_letter_is_counted_whether_it_stops_a_bill_or_none(
    monkeypatch: pytest.MonkeyPatch, router: Harness, topic: str, key: bytes, value: bytes
) -> None:
    counted = 0
    commit = Shard.committed

    def committed(shard: Shard) -> None:
        nonlocal counted
        counted += shard.tally["dead letters"]
        commit(shard)

    monkeypatch.setattr(Shard, "committed", committed)
    router.feed_bytes(topic, key, value)
    router.pump()
    assert counted == len(reasons(router))


@pytest.mark.parametrize(
    ("written_at", "dated_at"),
    [(0, START), (SECONDS, START), (START + 2 * DAY, START), (LATEST_TIME, START), (START - DAY, START - DAY)],
)
def test_a_record_with_a_time_that_no_clock_shows_counts_as_written_at_the_tick(
    router: Harness, written_at: int, dated_at: int
) -> None:
    shard = router.shards[partition_of(HOUSE.encode(), 2)]
    shard.process(Record(topics.DISPOSITIONS, shard.partition, 7, HOUSE.encode(), b"no event", (), written_at))
    outputs = shard.take_outputs()
    (letter,) = (decode_value(one.value or b"") for one in outputs if one.topic == topics.DEAD_LETTERS)
    position = POSITION.decode(outputs[-1].value or b"")
    assert letter.received_at == dated_at
    assert position.read_at[topics.DISPOSITIONS] == dated_at
