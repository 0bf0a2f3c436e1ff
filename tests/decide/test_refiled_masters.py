"""A master or an original taken on paper and filed under another number: whatever refers to it comes along."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import topics
from router.decide.status import HELD
from router.model.inputs import Disposition, ManualEvent, PaperBill, PaperMatch
from tests.checking.harness import Harness
from tests.checking.replay import check
from tests.checking.samples import BOX, HOUSE, OTHER_BOX, OTHER_HOUSE, PARTIES, START, at, event, filing, sailing

PAPER: Final = "SLTCPAPER1"
ELECTRONIC: Final = "SLTCELEC1"
AGAIN: Final = "SLTCELEC2"

FREEING: Final = (event("1Z", 700, bill=ELECTRONIC), event("1C", 701, bill=ELECTRONIC))


def master(bill: str, minute: int = 0) -> Any:
    return filing(bill, minute, bill_type="28", snps=("OCNX",), container_numbers=())


def paper(bill: str = PAPER) -> PaperBill:
    return PaperBill(master(bill), at(0), "CBPF1302", "J. Doe", "INC1", at(0))


def match(paper_bill: str = PAPER, electronic: str = ELECTRONIC, minute: int = 500) -> PaperMatch:
    return PaperMatch(paper_bill[:4], paper_bill[4:], electronic, "J. Doe", at(minute))


def house(bill: str = HOUSE, under: str = PAPER, minute: int = 10, box: str = BOX) -> Any:
    return filing(bill, minute, bill_type="30", master_bill=under, container_numbers=(box,))


def split(bill: str, original: str) -> Any:
    return filing(bill, 10, original_bill=original, container_numbers=())


@pytest.fixture
def harness() -> Harness:
    return installation()


def installation(partitions: int = 3) -> Harness:
    harness = Harness(partitions, now=START)
    harness.roster(*PARTIES, sailing())
    return harness


def play(harness: Harness, *records: Any) -> None:
    harness.decide(*records)
    assert check(harness.records(topics.TIMELINE), harness.party_records(), harness.rules) == []


def freed(harness: Harness, bill: str = ELECTRONIC) -> list[str]:
    """Notices of the bill by which something may move."""
    return [
        f"{scac} {notice['kind']} {notice['authorises']}"
        for scac in ("OCNX", "SLTC", "THRD")
        for notice in harness.notices(scac, bill)
        if notice["deliverable"] or notice["authorises"]
    ]


def kinds_of_holds(harness: Harness, bill: str = ELECTRONIC) -> list[str]:
    assessed = harness.bill(bill)
    return [hold.kind for hold in assessed.status.holds] if assessed is not None else []


def test_a_house_under_the_paper_number_holds_the_master_that_was_filed_electronically(harness: Harness) -> None:
    play(harness, paper(), house(), event("1H", 20), master(ELECTRONIC, 400), match(), *FREEING)
    assert harness.status(ELECTRONIC) == HELD
    assert kinds_of_holds(harness) == ["HOUSE"]
    assert freed(harness) == []
    (again,) = [one for one in harness.notices("SLTC", ELECTRONIC) if one["cause"] == "REISSUE"]
    assert (again["kind"], again["flags"]) == ("hold", ("REISSUED",))


def test_once_the_house_is_free_the_master_is_released_without_a_person(harness: Harness) -> None:
    play(harness, paper(), house(), event("1H", 20), master(ELECTRONIC, 400), match(), *FREEING, event("1I", 800))
    assert harness.status(ELECTRONIC) == "RELEASED"
    assert harness.kinds("SLTC", ELECTRONIC)[-1] == "release"
    assert harness.notices("SLTC", ELECTRONIC)[-1]["authorises"] == ("TERMINAL_EXIT",)


@pytest.mark.parametrize("under", [PAPER, ELECTRONIC])
def test_a_house_that_comes_later_holds_it_under_either_number(harness: Harness, under: str) -> None:
    play(harness, paper(), master(ELECTRONIC, 400), match(), *FREEING)
    assert harness.status(ELECTRONIC) == "RELEASED"
    play(harness, house(OTHER_HOUSE, under, 710), event("1H", 720, bill=OTHER_HOUSE))
    assert harness.status(ELECTRONIC) == HELD
    assert harness.notices("SLTC", ELECTRONIC)[-1]["kind"] == "hold"


def test_houses_under_both_numbers_must_both_be_free(harness: Harness) -> None:
    houses = (house(), house(OTHER_HOUSE, ELECTRONIC, box=OTHER_BOX))
    holds = (event("1H", 20), event("1H", 20, bill=OTHER_HOUSE))
    play(harness, paper(), *houses, *holds, master(ELECTRONIC, 400), match(), *FREEING)
    play(harness, event("1I", 800))
    assert harness.status(ELECTRONIC) == HELD
    play(harness, event("1I", 800, bill=OTHER_HOUSE))
    assert harness.status(ELECTRONIC) == "RELEASED"


def test_released_before_the_match_it_is_called_back(harness: Harness) -> None:
    play(harness, paper(), house(), event("1H", 20), master(ELECTRONIC, 400), *FREEING)
    assert harness.kinds("SLTC", ELECTRONIC)[-1] == "release", "nobody could know yet"
    play(harness, match(minute=800))
    assert harness.kinds("SLTC", ELECTRONIC)[-1] == "hold"
    assert harness.status(ELECTRONIC) == HELD


def test_without_houses_a_match_is_reissued_once_and_frees_what_cbp_released(harness: Harness) -> None:
    play(harness, paper(), master(ELECTRONIC, 400), event("55", 410, bill=ELECTRONIC), match())
    assert [notice["cause"] for notice in harness.notices("SLTC", ELECTRONIC)] == ["DISPOSITION", "REISSUE"]
    play(harness, *FREEING)
    assert harness.kinds("SLTC", ELECTRONIC)[-1] == "release"


def test_until_the_index_and_the_paper_bill_have_answered_nothing_frees(harness: Harness) -> None:
    play(harness, paper(), master(ELECTRONIC, 400))
    harness.feed(match(), *FREEING)
    task = next(one for one in range(3) if harness.shards[one].bill(ELECTRONIC) is not None)
    harness.transact(task)
    assert harness.status(ELECTRONIC) == "RELEASE_UNCONFIRMED"
    assert freed(harness) == []
    harness.pump()
    assert harness.status(ELECTRONIC) == "RELEASED"


def test_a_do_not_load_removed_meanwhile_grants_no_lading(harness: Harness) -> None:
    play(harness, paper(), master(ELECTRONIC, 400), event("6H", 410, bill=ELECTRONIC))
    harness.feed(match(), event("6I", 600, bill=ELECTRONIC))
    task = next(one for one in range(3) if harness.shards[one].bill(ELECTRONIC) is not None)
    harness.transact(task)
    assert freed(harness) == []


def test_what_was_said_by_phone_of_the_paper_master_stops_it_too(harness: Harness) -> None:
    word = ManualEvent(PAPER[:4], PAPER[4:], "m1", "PLACE", at(60), "J. Doe", "phone", "6H", received_at=at(60))
    play(harness, paper(), word, master(ELECTRONIC, 400), match(), *FREEING)
    assert harness.status(ELECTRONIC) == "DO_NOT_LOAD"
    assert freed(harness) == []


@pytest.mark.parametrize("minute", [5, 600])
def test_what_cbp_holds_under_the_paper_number_holds_the_electronic_bill(harness: Harness, minute: int) -> None:
    """CBP keyed the paper manifest in, and its 1H names the paper number, before or after the match."""
    held = event("1H", minute, bill=PAPER)
    before, after = ((held,), ()) if minute < 500 else ((), (held,))
    play(
        harness, paper(), *before, master(ELECTRONIC, 400), event("55", 401, bill=ELECTRONIC), match(), *after, *FREEING
    )
    assert (harness.status(PAPER), harness.status(ELECTRONIC)) == (HELD, HELD)
    assert freed(harness) == []
    assert kinds_of_holds(harness, PAPER) == ["CBP"]
    play(harness, event("1I", 710, bill=PAPER), event("1C", 720, bill=ELECTRONIC))
    assert harness.status(ELECTRONIC) == "RELEASED"


@pytest.mark.parametrize("seed", range(60))
def test_it_does_so_before_anything_is_freed_however_the_tasks_take_turns(seed: int) -> None:
    harness = installation(partitions=1 + seed % 4)
    harness.feed(paper(), event("1H", 5, bill=PAPER), master(ELECTRONIC, 400), event("55", 401, bill=ELECTRONIC))
    harness.feed(match(), *FREEING)
    harness.pump(Random(seed))
    assert harness.status(ELECTRONIC) == HELD
    assert freed(harness) == []


def test_a_split_of_the_paper_original_is_shown_on_the_electronic_one(harness: Harness) -> None:
    play(harness, paper(), split(HOUSE, PAPER), master(ELECTRONIC, 400), match(), split(OTHER_HOUSE, PAPER))
    state = harness.state(ELECTRONIC)
    assert state is not None
    assert {link.other_bill for link in state.links.values()} == {HOUSE, OTHER_HOUSE}
    assert harness.bill(HOUSE).cargo.shipment.original_bill == PAPER  # type: ignore[union-attr]


def test_filed_under_a_third_number_all_three_work(harness: Harness) -> None:
    """The second number was on paper, too."""
    play(harness, paper(), house(), event("1H", 20), paper(ELECTRONIC), match(), master(AGAIN, 600))
    play(harness, match(ELECTRONIC, AGAIN, 650), event("1Z", 700, bill=AGAIN), event("1C", 701, bill=AGAIN))
    assert kinds_of_holds(harness, AGAIN) == ["HOUSE"]
    assert freed(harness, AGAIN) == []
    play(harness, event("1I", 800))
    assert harness.status(AGAIN) == "RELEASED"


def test_a_third_number_learns_of_a_match_that_comes_after_its_own(harness: Harness) -> None:
    play(harness, paper(), house(), event("1H", 20), paper(ELECTRONIC), master(AGAIN, 600))
    play(harness, match(ELECTRONIC, AGAIN, 650), match())
    assert kinds_of_holds(harness, AGAIN) == ["HOUSE"]


def test_the_first_match_counts_and_another_leaves_no_trace(harness: Harness) -> None:
    play(harness, paper(), house(), event("1H", 20), master(ELECTRONIC, 400), master(AGAIN, 400), match())
    play(harness, event("1C", 690, bill=AGAIN), match(electronic=AGAIN, minute=695))
    assert harness.status(ELECTRONIC) == HELD
    assert harness.status(AGAIN) == "RELEASED"
    state = harness.state(AGAIN)
    assert state is not None
    assert (state.links, state.aliases) == ({}, ())


def test_a_match_may_come_before_the_paper_bill(harness: Harness) -> None:
    word = ManualEvent(PAPER[:4], PAPER[4:], "m1", "PLACE", at(60), "J. Doe", "phone", "1H", received_at=at(60))
    play(harness, house(), event("1H", 20), word, master(ELECTRONIC, 400), match(), *FREEING)
    assert kinds_of_holds(harness) == ["HOUSE"], "a stop needs no proof"
    play(harness, paper())
    assert kinds_of_holds(harness) == ["MANUAL", "HOUSE"]
    assert harness.state(PAPER).is_superseded  # type: ignore[union-attr]
    assert freed(harness) == []
    (again,) = [one for one in harness.notices("SLTC", ELECTRONIC) if one["cause"] == "REISSUE"]
    assert again["kind"] == "hold"


@pytest.mark.parametrize("unknown", ["SLTCNOWHERE", HOUSE])
def test_a_match_with_a_bill_that_was_never_on_paper_stops_nothing_for_good(harness: Harness, unknown: str) -> None:
    play(harness, house(), master(ELECTRONIC, 400), match(unknown), *FREEING)
    assert harness.status(ELECTRONIC) == "RELEASED"


def test_of_two_bills_matched_with_each_other_one_stays(harness: Harness) -> None:
    play(harness, paper(), paper(ELECTRONIC))
    harness.feed(match(), match(ELECTRONIC, PAPER))
    play(harness, *FREEING)
    states = [harness.state(bill) for bill in (PAPER, ELECTRONIC)]
    assert [state.awaits_paper for state in states if state is not None] == [False, False]
    assert not all(state.is_superseded for state in states if state is not None)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.sampled_from((PAPER, ELECTRONIC)), st.booleans(), st.integers(1, 4))
def test_in_no_order_of_records_and_tasks_is_it_freed_while_a_house_is_held(
    random: Random, under: str, on_paper: bool, partitions: int
) -> None:
    """The house is held before the match; all that comes later is fed in any order, and tasks stumble. The paper bill
    may be entered before all that, or be on its way still."""
    harness = installation(partitions)
    first: list[Any] = [house(under=under), event("1H", 20)]
    if random.randrange(2):
        first.append(paper())
    random.shuffle(first)
    harness.decide(*first)
    if random.randrange(2):
        harness.feed(paper())
    later: list[Any] = [master(ELECTRONIC, 400), house(OTHER_HOUSE, PAPER if on_paper else ELECTRONIC, box=OTHER_BOX)]
    harness.feed(match())
    random.shuffle(later)
    for record in (*later, paper(), *random.sample(FREEING, k=len(FREEING)), match()):
        harness.feed(record)
        for _ in range(random.randrange(4)):
            task = random.randrange(partitions)
            if random.randrange(5) == 0:
                harness.restart(task)
            harness.transact(task, random.randint(1, 3), random.randint(0, 2))
            assert freed(harness) == []
    harness.pump(random)
    assert freed(harness) == []
    assert harness.status(ELECTRONIC) == HELD
    released: Disposition = event("1I", 900)
    harness.decide(released)
    assert harness.status(ELECTRONIC) == "RELEASED"
    assert check(harness.records(topics.TIMELINE), harness.party_records(), harness.rules) == []
