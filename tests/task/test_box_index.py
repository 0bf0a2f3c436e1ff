"""The index in memory: what bills are answered is what a plain look at all facts says, restored or not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router import topics
from router.decide.boxes import Answer, same_voyage
from router.log.interface import Output, Record
from router.model.links import IndexFact, LinkFact, Stop, bounded_stops
from router.task import box_index as index_module
from router.task.box_index import BoxIndex
from router.task.outputs import index_entry_output

BOX = "container:CSQU305438"

BILLS = [f"NVXAHBL{number}" for number in range(6)]

some_stops = st.builds(
    Stop,
    bill=st.just(""),
    events=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=2, unique=True).map(tuple),
    do_not_load=st.booleans(),
    since=st.none() | st.integers(0, 4),
    at_destination=st.booleans(),
)


def fact_of(bill: str, present: bool, stops: list[Stop], sailing_id: str | None, arrival_date: str | None) -> IndexFact:
    own = bounded_stops(stop._replace(bill=bill) for stop in stops)
    return IndexFact(BOX, bill, present, own if present else (), sailing_id, None, arrival_date)


some_facts = st.lists(
    st.builds(
        fact_of,
        bill=st.sampled_from(BILLS),
        present=st.booleans() | st.just(True),
        stops=st.lists(some_stops, max_size=2),
        sailing_id=st.sampled_from([None, "ONE", "OTHER"]),
        arrival_date=st.sampled_from([None, "2026-07-28"]),
    ),
    max_size=30,
)


def answers(facts: dict[str, IndexFact]) -> dict[str, Answer]:
    """By the words of the rule: what others that stop the same box on the same voyage say."""
    found = {}
    for bill, fact in facts.items():
        others = [one for one in facts.values() if one.stopped and one.bill != bill and same_voyage(one, fact)]
        stops = [stop for one in others for stop in one.stops]
        found[bill] = Answer(tuple(sorted(stops, key=lambda stop: (stop.since is None, stop.since or 0, stop))))
    return found


@given(some_facts, st.integers(1, 5))
def test_every_bill_is_answered_what_the_others_say(facts: list[IndexFact], a_transaction: int) -> None:
    index, said, answered = BoxIndex(), dict[str, IndexFact](), dict[str, Answer]()
    told = dict[str, Answer]()
    written: dict[bytes, Record] = {}
    for first in range(0, len(facts), a_transaction):
        for fact in facts[first : first + a_transaction]:
            index.enter(fact)
            said = {**said, fact.bill: fact} if fact.present else {b: f for b, f in said.items() if b != fact.bill}
        entries, links = index.answers()
        for entered, answer in entries:
            keep(written, index_entry_output(entered, answer))
            answered = {bill: one for bill, one in answered.items() if bill != entered.bill}
            answered |= {entered.bill: answer} if answer is not None else {}
        assert answered == answers(said)
        for link in links:
            assert link.active == bool(link.stops)
            heard = Answer(link.stops)
            assert told.get(link.bill, Answer()) != heard, "nobody is told the same twice"
            told[link.bill] = heard
        assert all(told.get(bill, Answer()) == answered.get(bill, Answer()) for bill in {*told, *answered})
        index.commit()
    assert_same(index, restored(list(written.values())), said)


@given(some_facts)
def test_of_a_topic_not_yet_compacted_the_last_of_each_bill_counts(facts: list[IndexFact]) -> None:
    index, said, written = BoxIndex(), dict[str, IndexFact](), list[Record]()
    for fact in facts:
        index.enter(fact)
        written += [record(index_entry_output(*entry)) for entry in index.answers()[0]]
        said = {**said, fact.bill: fact} if fact.present else {b: f for b, f in said.items() if b != fact.bill}
    index.commit()
    assert_same(index, restored(written), said)


def test_what_is_not_at_hand_is_as_it_was() -> None:
    index = BoxIndex()
    keys = [f"master:OCNX{number}" for number in range(index_module.DECODED_GROUPS + 2)]
    for key in keys:
        index.enter(IndexFact(key, "NVXAHBL1", True, stopping("NVXAHBL1")))
    index.answers()
    index.commit()
    (link,) = told(index, IndexFact(keys[0], "NVXAHBL2", True, stopping("NVXAHBL2")))
    assert [stop.bill for stop in link.stops] == ["NVXAHBL1", "NVXAHBL2"]
    index.abandon()
    assert [link.active for link in told(index, IndexFact(keys[0], "NVXAHBL1", False))] == [False]


def stopping(bill: str, since: int | None = None) -> tuple[Stop, ...]:
    return (Stop(bill, (f"event of {bill}",), True, since),)


def told(index: BoxIndex, fact: IndexFact) -> list[LinkFact]:
    index.enter(fact)
    return index.answers()[1]


def keep(written: dict[bytes, Record], output: Output) -> None:
    made = record(output)
    written[made.key] = made


def record(output: Output) -> Record:
    return Record(topics.INDEX_STATE, 0, 0, output.key, output.value, output.headers, 0)


def restored(records: list[Record]) -> BoxIndex:
    index = BoxIndex()
    for one in records:
        index.load(one)
    return index


def assert_same(one: BoxIndex, other: BoxIndex, said: dict[str, IndexFact]) -> None:
    """Whatever is said next, both say the same, in whatever order to different bills."""
    probe = IndexFact(BOX, "NVXAHBL9", True, stopping("NVXAHBL9", 1))
    for fact in (probe, *(IndexFact(BOX, bill, False) for bill in said)):
        one.enter(fact)
        other.enter(fact)
        (entries, links), (others_entries, others_links) = one.answers(), other.answers()
        assert set(entries) == set(others_entries)
        assert sorted(links, key=lambda link: link.bill) == sorted(others_links, key=lambda link: link.bill)


def test_a_stop_that_ends_in_the_same_transaction_is_told_all_the_same() -> None:
    """Who shares the box hears of the hold and of its end, whatever was read together."""
    index = BoxIndex()
    quiet = [IndexFact(BOX, bill, True) for bill in ("A", "B")]
    for fact in quiet:
        index.enter(fact)
    index.answers()
    index.enter(quiet[0]._replace(stops=stopping("A", 7)))
    index.enter(quiet[0])
    _, links = index.answers()
    assert links == [LinkFact("B", BOX, "BOX", True, stopping("A", 7)), LinkFact("B", BOX, "BOX", False)]


def test_many_stops_that_end_in_the_same_transaction_are_told_once() -> None:
    index = BoxIndex()
    facts = [IndexFact(BOX, f"NVXA{number}", True, stopping(f"NVXA{number}", number)) for number in range(300)]
    for fact in (*facts, *(fact._replace(stops=()) for fact in facts)):
        index.enter(fact)
    _, links = index.answers()
    assert len([link for link in links if link.active]) == 300
    assert len([link for link in links if not link.active]) == 300
