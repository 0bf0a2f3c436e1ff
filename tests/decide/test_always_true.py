"""What must always hold, whatever comes in whatever order: the promises of the README's guarantees, put to random
stories of several bills, boxes, masters and sailings, with the roster changing and tasks stumbling in between."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import topics
from router.decide.audience import ALWAYS, audience_of
from router.decide.status import ON_FILE, RELEASED
from router.decide.waiting import BILL_UNCERTAIN
from router.log.interface import Output
from router.model.inputs import DeadLetter, Disposition, Filing, PaperBill
from tests.checking.harness import Harness, decoded
from tests.checking.replay import check, describe
from tests.checking.samples import START
from tests.decide import stories
from tests.decide.stories import BILLS, SCACS, Story, live_through, tell

usual = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def new_harness(partitions: int = 2) -> Harness:
    return Harness(partitions, now=START)


@usual
@given(stories.stories())
def test_after_any_story(story: Story) -> None:
    """Lived through once, and looked at from each side."""
    harness = new_harness()
    live_through(story, harness)
    no_release_stands_while_a_hold_stands_or_for_less_than_the_whole_bill(harness, empties_of(story))
    topics_are_what_the_timeline_says_once_and_in_order(harness)
    every_event_reached_every_party_resolved_for_it_or_the_bill_waits_visibly(harness)
    nobody_was_dismissed_while_a_stop_stood(harness)


def empties_of(story: Story) -> set[str]:
    """Numbers of bills that were filed as an empty container, whose quantity does not matter."""
    filings = (step.filing if isinstance(step, PaperBill) else step for step in story.steps)
    return {one.bill_of_lading for one in filings if isinstance(one, Filing) and one.bill_type == "12"}


def no_release_stands_while_a_hold_stands_or_for_less_than_the_whole_bill(harness: Harness, empties: set[str]) -> None:
    for record in harness.party_records():
        notice = decoded(record)
        assert notice["deliverable"] in (notice["status"] == RELEASED, None)
        if notice["kind"] == "release":
            assert notice["deliverable"]
            assert notice["deliverable_at"] is not None or notice["port_of_unlading"] is None
            assert not notice["holds"]
            assert not notice["doubts"]
            assert notice["manifested_quantity"] is not None or notice["bill_of_lading"] in empties
            assert notice["released_quantity"] == notice["manifested_quantity"]


def topics_are_what_the_timeline_says_once_and_in_order(harness: Harness) -> None:
    faults = check(harness.records(topics.TIMELINE), harness.party_records(), harness.rules)
    assert not faults, describe(faults)


def every_event_reached_every_party_resolved_for_it_or_the_bill_waits_visibly(harness: Harness) -> None:
    accepted: defaultdict[str, set[str]] = defaultdict(set)
    for entry in map(decoded, harness.records(topics.TIMELINE)):
        if entry["event_id"] and not entry["duplicate"]:
            accepted[entry["bill"]].add(entry["event_id"])
    waiting = harness.latest(topics.WAITING)
    for bill in filter(harness.bill, BILLS):
        assessed = harness.bill(bill)
        assert assessed is not None
        state = assessed.state
        if is_superseded(harness, bill):
            continue
        if state.is_unnamed:
            assert waiting[bill]["reasons"] == (BILL_UNCERTAIN,)
            assert not [one for one in harness.party_records() if one.key == bill.encode()]
            continue
        registry = harness.shards[0].registry
        kept = state.kept_sailing_id
        for member in audience_of(bill, assessed.cargo, state.is_in_stopped_box, registry, kept).recipients.values():
            if member.scope != ALWAYS or member.unreachable == "EXTERNAL" or not state.is_notifiable:
                continue
            if member.topic is None:
                assert member.id in waiting[bill]["parties"]
            else:
                heard = {id for one in harness.notices(member.id, bill) for id in (one["event_id"], *one["covers"])}
                assert accepted[bill] <= heard, f"{member.id} missed something"


def nobody_was_dismissed_while_a_stop_stood(harness: Harness) -> None:
    """No sailing but one is registered in a story, so no bill is positively found on another."""
    for entry in map(decoded, harness.records(topics.TIMELINE)):
        if any(one["cause"] == "NO_LONGER_NOTIFIED" for one in entry["notified"]):
            assert not entry["holds"] or is_superseded(harness, entry["bill"])


def is_superseded(harness: Harness, bill: str) -> bool:
    """What was said under a paper bill's number is said again, or taken back, under the one it was filed as."""
    state = harness.state(bill)
    return state is not None and state.is_superseded


@usual
@given(stories.stories(roster=False), st.randoms(use_true_random=False))
def test_the_same_inputs_in_any_order_and_repetition_end_in_the_same_status(story: Story, random: Random) -> None:
    first, second = new_harness(), new_harness(3)
    live_through(story, first)
    shuffled = [*story.steps, *random.choices(story.steps, k=5)]
    random.shuffle(shuffled)
    live_through(Story(shuffled, random), second)
    assert final(second) == final(first)


def final(harness: Harness) -> dict[str, str]:
    """A link that came and went leaves a bill of which nothing is known: the same as none."""
    return {bill: harness.status(bill) or ON_FILE for bill in BILLS}


@usual
@given(stories.stories(roster=False))
def test_damaged_input_allows_nothing_that_is_not_allowed_without_it(story: Story) -> None:
    damaged, whole = new_harness(), new_harness()
    for step in story.steps:
        tell(damaged, step)
        if not (isinstance(step, Disposition) and step.uncertain is not None):
            tell(whole, step)
    damaged.pump()
    whole.pump()
    for bill in filter(damaged.bill, BILLS):
        assessed, other = damaged.bill(bill), whole.bill(bill)
        assert assessed is not None
        now, before = assessed.status, other.status if other is not None else None
        assert not now.deliverable or (before is not None and before.deliverable), bill
        assert {*now.authorises} <= ({*before.authorises} if before is not None else set()), bill
        boxes = {box.number: box for box in before.containers} if before is not None else {}
        for box in now.containers:
            known = boxes.get(box.number)
            assert not (box.released or box.authorises) or known is None or not box.allows_more_than(known)


@usual
@given(stories.stories())
def test_who_acts_on_the_type_alone_never_believes_that_a_held_bill_may_be_delivered(story: Story) -> None:
    harness = new_harness()
    for step in story.steps:
        tell(harness, step)
        stories.disturb(harness, story.random)
        if story.random.randrange(4) == 0:
            harness.pump(story.random)
            assert_beliefs(harness)
    harness.pump(story.random)
    assert_beliefs(harness)


def assert_beliefs(harness: Harness) -> None:
    """`Release`: deliver. `Hold`: don't. `Change`: as before. Of a party that can't be reached the bill waits."""
    registry = harness.shards[0].registry
    for scac in SCACS:
        party = registry.parties.get(scac)
        if party is None:
            continue
        believed: dict[str, bool] = {}
        for record in harness.records(party.topic):
            notice = decoded(record)
            bill = record.key.decode()
            if notice["cause"] == "NO_LONGER_NOTIFIED":
                believed.pop(bill, None)
            elif notice["kind"] != "change":
                believed[bill] = notice["kind"] == "release"
        for bill, free in believed.items():
            if free and harness.status(bill) != RELEASED and not is_superseded(harness, bill):
                assert party.status != "live" or party.topic in registry.missing_topics
                assert party.status == "external" or scac in harness.latest(topics.WAITING)[bill]["parties"]


@usual
@given(stories.stories(roster=False))
def test_nothing_unreadable_or_unknown_clears_the_way_for_what_follows(story: Story) -> None:
    harness = new_harness()
    live_through(story, harness)
    unknown = {(one.scac, one.bill_of_lading) for one in story.steps if isinstance(one, DeadLetter)}
    known = harness.rules.codes
    unknown |= {
        (one.scac, one.bill_of_lading)
        for one in story.steps
        if isinstance(one, Disposition) and known.get(one.disposition_code) is None
    }
    for scac, number in unknown:
        assert harness.status(f"{scac}{number}") in ("HELD", "DO_NOT_LOAD")
    assert len(harness.latest(topics.DEAD_LETTERS)) > 0 or not unknown


@usual
@given(stories.stories(lines=False))
def test_a_restart_at_any_moment_changes_nothing(story: Story) -> None:
    """A shard restored from what it wrote decides as the one that was never stopped. (Whom a line's own outage is told
    depends on how much of the registry lies behind it in the same transaction.)"""
    steady, restarted = new_harness(), new_harness()
    seed = story.random.random()
    for harness in (steady, restarted):
        random = Random(seed)
        for step in story.steps:
            tell(harness, step)
            partition = random.randrange(2)
            harness.transact(partition, random.randint(1, 4))
            if harness is restarted:
                harness.restart(partition)
        harness.pump()
    for place, records in steady.log.items():
        assert restarted.log[place] == records, place


@usual
@given(stories.stories())
def test_a_transaction_that_is_thrown_away_and_made_again_gives_the_same(story: Story) -> None:
    harness = new_harness()
    for step in story.steps:
        tell(harness, step)
        partition = story.random.randrange(2)
        portion = (story.random.randint(1, 4), story.random.randint(0, 2))
        thrown_away = harness.abandon(partition, *portion)
        again = harness.abandon(partition, *portion)
        assert without_position(again) == without_position(thrown_away)
        harness.transact(partition, *portion)


def without_position(outputs: list[Output]) -> list[Output]:
    """A walk begun anew may see bills that came meanwhile: then its cursor differs, and nothing else."""
    return [output for output in outputs if not output.key.startswith(topics.POSITION_KEY)]
