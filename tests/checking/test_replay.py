"""The checker finds what is planted, and nothing where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from router import codec, topics
from router.decide.identity import notice_id
from router.decide.standing_holds import UNPARSED_KINDS
from router.log.interface import Record
from router.model.inputs import Confirmation, ManualEvent, PaperBill, PaperMatch
from router.model.registry_values import LostInput, Outage, Request
from router.task.outputs import TIMELINE_ENTRY
from tests.checking.harness import Harness, decoded
from tests.checking.replay import check, losses_in
from tests.checking.samples import (
    HOUSE,
    MASTER,
    OTHER_HOUSE,
    PARTIES,
    START,
    at,
    dead_letter,
    event,
    filing,
    on_container,
    sailing,
)

PAPER = "NVXBPAPER0000001"
LOOSE = "NVXAHBL000000099"
"""A bill without a stop, so a party that a filing leaves out is dismissed."""


class History(NamedTuple):
    timeline: list[Record]
    notices: list[Record]

    def faults(self) -> list[str]:
        return check(self.timeline, self.notices, Harness().rules)


def story() -> Harness:
    """Every kind of input and of outcome, over several bills."""
    harness = Harness(2, now=START)
    harness.roster(*PARTIES, sailing())
    harness.decide(
        *(filing(bill, master_bill=MASTER) for bill in (HOUSE, OTHER_HOUSE)),
        *(event("1C", 1, bill=bill) for bill in (HOUSE, OTHER_HOUSE)),
        *(on_container("1H", 2), dead_letter(), event("Z?", 3), event("1C", 1, snps=("THRD",))),
    )
    state = harness.state(HOUSE)
    assert state is not None
    harness.feed(Confirmation(HOUSE[:4], HOUSE[4:], tuple(state.unparsed), "me", "seen", START, doubts=UNPARSED_KINDS))
    harness.feed_bytes(topics.DISPOSITIONS, MASTER.encode(), b"garbage")
    _days_of_outage(harness)
    loose = [filing(LOOSE, minute, snps=snps, container_numbers=()) for minute, snps in ((0, ("SLTC",)), (2, ()))]
    harness.decide(loose[0], event("1C", 1, bill=LOOSE), loose[1])
    harness.roster(sailing(lines=()))
    harness.pump()
    return harness


def _days_of_outage(harness: Harness) -> None:
    """Words by hand, a bill on paper that is filed under another number, announcements and a resync."""
    outage = Outage("o1", "DECLARED", START, carrier="SLTC")
    harness.register(outage)
    harness.decide(
        PaperBill(filing(PAPER), at(10), "CBPF1302", "me", received_at=at(10)),
        ManualEvent(PAPER[:4], PAPER[4:], "m1", "PLACE", at(20), "me", "phone", "6H", received_at=at(20)),
        PaperMatch(PAPER[:4], PAPER[4:], OTHER_HOUSE, "me", at(30)),
        event("6H", 25, bill=OTHER_HOUSE),
    )
    harness.register(outage._replace(ended_at=at(40)), Request("q1", "RESYNC", "NVXB", "me", at(50)))
    harness.tick(at(100))


@pytest.fixture
def history() -> History:
    harness = story()
    return History(harness.records(topics.TIMELINE), harness.party_records())


def test_nothing_is_wrong_with_what_the_router_wrote(history: History) -> None:
    assert history.faults() == []
    assert len(history.notices) > 20
    causes = {decoded(notice)["cause"] for notice in history.notices}
    assert causes >= {"OPERATOR", "REISSUE", "RESYNC", "LINK", "CATCH_UP", "NO_LONGER_NOTIFIED"}
    assert {"DOWN", "RECOVERING", "RECOVERED"} <= {decoded(entry)["status"] for entry in history.timeline}


def lossy_story() -> Harness:
    """A hold of a released bill is deleted before it is read, and an operator lets the task go on."""
    harness = Harness(1, now=START)
    harness.roster(*PARTIES, sailing())
    harness.decide(filing(), event("55", 5), event("1C", 20), filing(OTHER_HOUSE), event("55", 40, bill=OTHER_HOUSE))
    begin = harness.shards[0].position[topics.DISPOSITIONS]
    judged = LostInput(topics.DISPOSITIONS, 0, begin, begin + 1, at(20), at(30), at(35), "anna", "kept too short")
    harness.register(judged)
    harness.transact(0)
    harness.decide(filing(LOOSE), filing(OTHER_HOUSE, 2, snps=("THRD",)))  # before the task finds out that it lost some
    harness.feed(event("1X", 30))
    assert len(harness.records(topics.DISPOSITIONS)) == begin + 1
    harness.shards[0].go_on_without(judged)
    harness.decide(event("1C", 50, bill=OTHER_HOUSE), event("55", 60, bill=LOOSE), event("1C", 70, bill=LOOSE))
    assert [harness.status(bill) for bill in (HOUSE, OTHER_HOUSE, LOOSE)] == [
        "RELEASE_UNCONFIRMED", "RELEASED", "RELEASED",
    ]  # fmt: skip
    return harness


def test_bills_are_judged_with_what_their_task_has_lost() -> None:
    harness = lossy_story()
    timeline, notices = harness.records(topics.TIMELINE), harness.party_records()
    losses = losses_in(harness.records(topics.REGISTRY), harness.records(topics.BILLS))
    assert len(losses) == 1
    assert check(timeline, notices, harness.rules, losses=losses) == []
    fault, *_ = check(timeline, notices, harness.rules)
    assert "its status is RELEASE_UNCONFIRMED, decided anew it is RELEASED" in fault


def test_a_bill_that_was_never_told_of_a_loss_is_found() -> None:
    harness = lossy_story()
    caught_up = [one for one in harness.records(topics.TIMELINE) if decoded(one)["status"] == "RELEASE_UNCONFIRMED"]
    told = {
        notice_id(decoded(one)["decision_id"], to["recipient"]) for one in caught_up for to in decoded(one)["notified"]
    }
    timeline = [one for one in harness.records(topics.TIMELINE) if one not in caught_up]
    notices = [one for one in harness.party_records() if decoded(one)["notice_id"] not in told]
    losses = losses_in(harness.records(topics.REGISTRY), harness.records(topics.BILLS))
    (fault,) = check(timeline, notices, harness.rules, losses=losses)
    assert "its status is RELEASED, with what its task has lost it is RELEASE_UNCONFIRMED" in fault


Plant = Callable[[History], None]


def doubled(history: History) -> None:
    last = history.notices[-1]
    history.notices.append(last._replace(offset=last.offset + 1))


def missing(history: History) -> None:
    del history.notices[3]


def to_another(history: History) -> None:
    history.notices[0] = history.notices[0]._replace(topic="snp.party.ZZZZ")


def invented(history: History) -> None:
    notice = decoded(history.notices[0])
    kind = notice.pop("kind")
    value = codec.encode(kind, notice | {"notice_id": "nobody-named-me"})
    history.notices.append(history.notices[0]._replace(value=value, offset=10**6))


def not_a_notice(history: History) -> None:
    history.notices.append(history.notices[0]._replace(value=b"garbage", offset=10**6))


def out_of_order(history: History) -> None:
    first, second = [place for place, one in enumerate(history.notices) if one.key == HOUSE.encode()][:2]
    one, other = history.notices[first], history.notices[second]
    assert one.topic == other.topic
    history.notices[first] = other._replace(offset=one.offset)
    history.notices[second] = one._replace(offset=other.offset)


def of_another_kind(history: History) -> None:
    place = next(place for place, one in enumerate(history.notices) if decoded(one)["kind"] == "hold")
    notice = decoded(history.notices[place])
    notice.pop("kind")
    history.notices[place] = history.notices[place]._replace(value=codec.encode("release", notice))


def under_another_bill(history: History) -> None:
    history.notices[0] = history.notices[0]._replace(key=b"NVXAOTHER")


def another_status(history: History) -> None:
    place = next(place for place, one in enumerate(history.timeline) if decoded(one)["status"] == "HELD")
    entry = TIMELINE_ENTRY.decode(history.timeline[place].value or b"")
    entry = replace(entry, history=replace(entry.history, status="RELEASED"))
    history.timeline[place] = history.timeline[place]._replace(value=TIMELINE_ENTRY.encode(entry))


def announced_too_early(history: History) -> None:
    place = next(place for place, one in enumerate(history.timeline) if decoded(one)["status"] == "RECOVERING")
    entry = TIMELINE_ENTRY.decode(history.timeline[place].value or b"")
    entry = replace(entry, history=replace(entry.history, status="RECOVERED"))
    history.timeline[place] = history.timeline[place]._replace(value=TIMELINE_ENTRY.encode(entry))


def an_entry_lost(history: History) -> None:
    of_one = [one for one in history.timeline if one.key == HOUSE.encode()]
    history.timeline.remove(of_one[1])


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (doubled, "doubled"),
        (missing, "is missing from its topic"),
        (to_another, "is for "),
        (invented, "no entry of the timeline names"),
        (not_a_notice, "no entry of the timeline names"),
        (out_of_order, "comes after a later decision"),
        (of_another_kind, "a release where"),
        (under_another_bill, "its key is not that of the bill"),
        (another_status, "decided anew it is HELD"),
        (announced_too_early, "it announces RECOVERED, decided anew ['RECOVERING']"),
        (an_entry_lost, "the decision before it in the history is number"),
    ],
)
def test_what_is_planted_is_found(history: History, plant: Plant, words: str) -> None:
    plant(history)
    assert any(words in fault for fault in history.faults()), history.faults()
