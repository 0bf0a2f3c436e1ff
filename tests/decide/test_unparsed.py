"""What could not be read, is unknown, or could not be decided on stops its bill until it is settled. And what is too
old, or long over."""

from __future__ import annotations

from typing import Any

import pytest

from router import codec, topics
from router.decide import bill as deciding
from router.decide.codes import with_extra
from router.decide.rules import Rules
from router.log.interface import Record, partition_of
from router.model.eastern import DAY
from router.model.inputs import Confirmation
from tests.checking.harness import Harness
from tests.checking.samples import ABOARD, HOUSE, OTHER_HOUSE, PARTIES, START, dead_letter, event, filing, sailing
from tests.decide.test_manual_events import said

RULES = Rules()


@pytest.fixture
def router() -> Harness:
    harness = Harness(rules=RULES, now=START)
    harness.roster(*PARTIES, sailing())
    return harness


def kinds_of_holds(harness: Harness) -> list[str]:
    bill = harness.bill(HOUSE)
    assert bill is not None
    return [hold.kind for hold in bill.status.holds]


# Unreadable


def test_what_can_not_be_read_of_a_bill_stops_it_tells_its_parties_and_is_put_aside_at_once(router: Harness) -> None:
    router.decide(filing(), event("1C", 1), dead_letter())
    assert (router.status(HOUSE), kinds_of_holds(router)) == ("HELD", ["UNREADABLE"])
    assert router.kinds("NVXA") == ["release", "hold"]
    (letter,) = router.latest(topics.DEAD_LETTERS).values()
    assert letter["content"] == dead_letter().content


def test_a_do_not_load_is_one_whatever_else_of_it_can_not_be_read(router: Harness) -> None:
    router.decide(filing(), dead_letter(code="6H"))
    assert (router.status(HOUSE), kinds_of_holds(router)) == ("DO_NOT_LOAD", ["UNREADABLE"])
    router.decide(*(dead_letter(f"{number}", minute=1 + number) for number in range(RULES.fold_after_events + 1)))
    assert len(kinds_of_holds(router)) < RULES.fold_after_events
    assert router.status(HOUSE) == "DO_NOT_LOAD"


def test_the_same_bytes_again_change_nothing_even_once_settled(router: Harness) -> None:
    router.decide(filing(), dead_letter(), dead_letter())
    assert router.kinds("NVXA") == ["hold"]
    mended = event("19", 1, retry_of=dead_letter().id)
    router.decide(mended, dead_letter())
    assert kinds_of_holds(router) == []


def test_a_count_of_equal_ones_is_written_and_stops_nothing_anew(router: Harness) -> None:
    many = dead_letter()._replace(times=5)
    router.decide(filing(), many, dead_letter(), many)
    assert router.kinds("NVXA") == ["hold"]
    (letter,) = router.latest(topics.DEAD_LETTERS).values()
    assert letter["times"] == 5
    router.decide(event("19", 1, retry_of=many.id), many)
    assert kinds_of_holds(router) == []


def test_a_retry_ends_the_hold_in_the_decision_that_applies_the_event(router: Harness) -> None:
    router.decide(filing(), event("1C", 1), dead_letter(), event("1H", 2, retry_of=dead_letter().id))
    assert kinds_of_holds(router) == ["CBP"]
    assert router.kinds("NVXA") == ["release", "hold", "hold"]


def test_a_retry_of_what_was_told_already_still_ends_the_hold(router: Harness) -> None:
    router.decide(filing(), event("1C", 1), dead_letter(), event("1C", 1, retry_of=dead_letter().id))
    assert router.kinds("NVXA") == ["release", "hold", "release"]


def test_a_retry_of_one_leaves_the_other(router: Harness) -> None:
    router.decide(filing(), dead_letter("a"), dead_letter("b"), event("19", 1, retry_of=dead_letter("a").id))
    assert kinds_of_holds(router) == ["UNREADABLE"]


def test_bytes_that_are_no_record_stop_the_bill_of_their_key(router: Harness) -> None:
    router.decide(filing(), event("1C", 1))
    for topic in (topics.DISPOSITIONS, topics.LINKS):
        router.feed_bytes(topic, HOUSE.encode(), b"garbage in " + topic.encode())
    router.pump()
    assert kinds_of_holds(router) == ["UNREADABLE", "UNREADABLE"]
    assert len(router.latest(topics.DEAD_LETTERS)) == 2


@pytest.mark.parametrize("key", [b"", b"\xff\xfe", b"vessel:9074729:OCNX:026E"])
def test_bytes_without_a_bill_go_to_the_dead_letters_alone(router: Harness, key: bytes) -> None:
    router.feed_bytes(topics.URGENT, key, b"garbage")
    router.pump()
    assert len(router.latest(topics.DEAD_LETTERS)) == 1
    assert router.records(topics.TIMELINE) == [] or key == b"\xff\xfe"


# Unknown codes


def test_an_unknown_code_stops_its_bill_and_is_never_a_release(router: Harness) -> None:
    router.decide(filing(), event("1C", 1), event("Z?", 2), event("Z?", 2))
    assert kinds_of_holds(router) == ["UNKNOWN_CODE"]
    assert router.kinds("NVXA") == ["release", "hold"]
    assert len(router.latest(topics.DEAD_LETTERS)) == 1


def letter_id(router: Harness) -> str:
    (letter,) = router.latest(topics.DEAD_LETTERS)
    return letter


def test_a_retry_while_the_code_is_still_unknown_ends_nothing(router: Harness) -> None:
    router.decide(filing(), event("1C", 1), event("Z?", 2))
    router.decide(event("Z?", 2, retry_of=letter_id(router)))
    assert (router.status(HOUSE), router.kinds("NVXA")) == ("HELD", ["release", "hold"])


def test_a_retry_once_the_code_is_known_applies_it(router: Harness) -> None:
    router.decide(filing(), event("1C", 1), event("ZQ", 2))
    router.change_rules(codes=with_extra("code,meaning,agency,effect\nZQ,news,CBP,INFO\n", "ours.csv"))
    router.decide(event("ZQ", 2, retry_of=letter_id(router)))
    assert (router.status(HOUSE), router.kinds("NVXA")) == ("RELEASED", ["release", "hold", "release"])


def test_an_unread_reading_that_turns_out_unknown_stops_as_unknown(router: Harness) -> None:
    router.decide(filing(), dead_letter(), event("Z?", 2, retry_of=dead_letter().id))
    assert kinds_of_holds(router) == ["UNKNOWN_CODE"]


def test_an_operator_ends_the_ones_that_are_named(router: Harness) -> None:
    router.decide(filing(), event("1C", 1), event("Z?", 2), dead_letter(), event("1H", 3))
    state = router.state(HOUSE)
    assert state is not None
    unknown = next(one.id for one in state.unparsed.values() if one.kind == "UNKNOWN_CODE")
    router.decide(Confirmation(HOUSE[:4], HOUSE[4:], (unknown,), "me", "phoned CBP", START, doubts=("UNKNOWN_CODE",)))
    assert kinds_of_holds(router) == ["CBP", "UNREADABLE"]


# Undecidable


def test_an_event_whose_decision_raises_stops_its_bill_and_nothing_else(
    router: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    router.decide(filing(), event("1C", 1))
    healthy = deciding.ledger_event

    def broken(record: Any, *rest: Any) -> Any:
        if record.disposition_code == "1I":
            raise ZeroDivisionError
        return healthy(record, *rest)

    monkeypatch.setattr(deciding, "ledger_event", broken)
    router.decide(event("1I", 2), event("19", 3))
    assert (router.status(HOUSE), kinds_of_holds(router)) == ("HELD", ["UNREADABLE"])
    assert router.kinds("NVXA") == ["release", "hold", "change"]
    monkeypatch.undo()
    router.decide(event("1I", 2, retry_of=letter_id(router)))
    assert router.status(HOUSE) == "RELEASED"


def test_a_vessels_event_that_can_not_be_decided_on_stops_nothing(
    router: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "ledger_event", lambda *_: 1 // 0)
    router.decide(event("DV", 1, **ABOARD)._replace(scac=None, bill_of_lading=None))
    assert len(router.latest(topics.DEAD_LETTERS)) == 1
    assert router.kinds("OCNX") == []


# Too old, and over


def sent(code: str, posted_days_before: int) -> Any:
    one = event(code, 0)
    return one._replace(action_at=one.action_at - posted_days_before * DAY, transmitted_at=one.action_at)


def test_an_event_long_before_its_transmission_on_an_unknown_bill_is_put_aside_visibly(router: Harness) -> None:
    router.decide(sent("1H", 91))
    assert router.status(HOUSE) is None
    assert letter_id(router)


def test_measured_against_its_transmission_and_not_against_now(router: Harness) -> None:
    router.tick(START + 400 * DAY)
    router.decide(sent("1H", 1))
    assert router.status(HOUSE) == "HELD"


def test_on_a_known_bill_it_counts(router: Harness) -> None:
    router.decide(filing(), sent("1H", 91))
    assert router.status(HOUSE) == "HELD"


@pytest.mark.parametrize(
    ("code", "days", "kept"), [("1C", 89, True), ("1C", 91, False), ("1H", 91, True), ("1H", 366, False)]
)
def test_a_life_that_is_over_and_quiet_is_forgotten_and_any_bill_after_a_year(
    router: Harness, code: str, days: int, kept: bool
) -> None:
    router.decide(filing(), event(code, 1))
    router.days_pass(days)
    assert (router.state(HOUSE) is not None) == kept
    assert (HOUSE in router.latest(topics.BILLS)) == kept


def test_forgetting_tells_nobody_takes_facts_back_and_is_in_the_history(router: Harness) -> None:
    router.decide(filing(), event("1C", 1))
    heard = len(router.party_records())
    router.days_pass(91)
    assert len(router.party_records()) == heard
    assert router.latest(topics.INDEX_STATE) == {}
    assert router.records(topics.TIMELINE)[-1].key == HOUSE.encode()


def test_a_notices_id_never_comes_back_with_a_bill_that_was_forgotten(router: Harness) -> None:
    router.decide(filing(), event("1C", 1))
    router.days_pass(91)
    router.decide(event("4A", 2), filing(minute=5))
    ids = [one["notice_id"] for one in router.notices("NVXA")]
    assert len(ids) >= 2
    assert len(set(ids)) == len(ids)


def test_a_bill_from_before_the_first_tick_is_not_forgotten_by_it() -> None:
    harness = Harness()
    harness.roster(*PARTIES)
    harness.decide(event("1C", 1), filing())
    harness.tick(START)
    harness.pump()
    assert harness.status(HOUSE) == "RELEASED"


@pytest.mark.parametrize("moment", [-(2**62), 253_402_318_740_000, 2**62])
@pytest.mark.parametrize("record", ["event", "dead letter"])
def test_a_moment_that_no_calendar_has_stops_its_bill_and_never_the_router(
    router: Harness, record: str, moment: int
) -> None:
    wrong = event("6H", 1)._replace(action_at=moment) if record == "event" else dead_letter()
    router.decide(filing(), wrong._replace(received_at=moment), event("6H", 2, bill=OTHER_HOUSE))
    assert router.status(HOUSE) in ("DO_NOT_LOAD", "HELD")
    assert router.status(OTHER_HOUSE) == "DO_NOT_LOAD"


def test_words_by_hand_without_end_are_put_aside_and_the_bill_stays_stopped(
    router: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "MOST_MANUAL_EVENTS", 3)
    router.decide(filing(), *(said("PLACE", minute, "2H") for minute in range(3)), said("LIFT", 4))
    state = router.state(HOUSE)
    assert state is not None
    assert len(state.relayed) == 3
    assert kinds_of_holds(router)[-1] == "UNREADABLE"
    (letter,) = router.latest(topics.DEAD_LETTERS).values()
    assert "manual events already" in letter["reason"]


# Records of other programs


@pytest.mark.parametrize("size", [900_000, 3_900_000])
def test_what_follows_from_the_largest_garbage_is_no_larger(router: Harness, size: int) -> None:
    """An error that quotes its value in full made a dead letter that no broker takes: the router ended, and ended
    again at each start."""
    whole = codec.encode_value(event("1H", 1, remarks="R" * size))
    for garbage in (whole, whole.replace(b"RR", b"\xff\xff"), b"\x00" * size):
        router.feed_bytes(topics.DISPOSITIONS, HOUSE.encode(), garbage)
        router.pump()
    assert len(router.latest(topics.DEAD_LETTERS)) == 3
    assert kinds_of_holds(router) == ["UNREADABLE"] * 3
    largest = max(len(record.value or b"") for records in router.log.values() for record in records)
    assert largest <= size + 1_000


def test_the_largest_event_that_is_taken_makes_no_record_beyond_a_brokers_limit(router: Harness) -> None:
    router.decide(event("Z?", 1, remarks="\x00" * 499_000))
    assert kinds_of_holds(router) == ["UNKNOWN_CODE"]
    assert max(len(record.value or b"") for records in router.log.values() for record in records) < 3_900_000


def test_an_event_in_another_tasks_partition_is_passed_on_to_its_bills() -> None:
    """Other programs deal out keys by other sums. Two tasks that each know half of a bill would both be wrong."""
    router = Harness(4)
    router.roster(*PARTIES)
    router.feed(filing(), event("1C", 1))
    router.pump()
    own = partition_of(HOUSE.encode(), 4)
    for partition in range(4):
        value = codec.encode_value(event("1H", 2 + partition))
        astray = Record(topics.DISPOSITIONS, partition, 0, b"", value, (), 0)
        records = router.log[topics.DISPOSITIONS, partition]
        records.append(astray._replace(offset=len(records)))
    router.pump()
    assert router.status(HOUSE) == "HELD"
    assert [shard.bill_count for shard in router.shards if shard.partition != own] == [0, 0, 0]
    assert len(router.notices("NVXA", HOUSE)) == 1 + 4
