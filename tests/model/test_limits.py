"""Whatever is fed in, a state and a notice stay small enough to be written, and what is beyond stops its bill."""

from __future__ import annotations

from typing import Any

import pytest

from router import topics
from router.codec import encode_value
from router.codec.packed import BILL_STATE
from router.decide.releases import MOST_RELEASES
from router.decide.standing_holds import MOST_BOXES
from router.model.inputs import HEAD_SIZE, Clearance, Confirmation, ManualEvent, Snapshot, SnapshotHold
from router.model.limits import (
    LONGEST_CONTAINER,
    LONGEST_NAME,
    LONGEST_SOURCE,
    MOST_CHARACTERS,
    MOST_COVERED,
    MOST_HOLDS,
    MOST_LEVEL_CONTAINERS,
    MOST_MANUAL_EVENTS,
    MOST_NAMED,
    MOST_PIECES,
    MOST_SPLITS,
)
from router.model.registry_values import Party
from router.task.input_records import LARGEST_LETTER
from tests.checking.harness import Harness
from tests.checking.samples import ABOARD, HOUSE, OTHER_HOUSE, PARTIES, START, at, event, filing, on_container, sailing
from tests.decide.one_bill import OneBill

BROKERS_LIMIT = 4_000_000
"""Of one record, as our topics are made."""
NAMES = tuple(f"N{number}" for number in range(MOST_NAMED + 1))
WORD = ManualEvent(HOUSE[:4], HOUSE[4:], "1", "PLACE", START, "me", "phone", "1H")


def boxes(count: int, first: int = 0, width: int = 11) -> tuple[str, ...]:
    return tuple(f"CSQU{number:0{width - 5}d}0" for number in range(first, first + count))


@pytest.fixture
def router() -> Harness:
    harness = Harness(1, now=START)
    harness.roster(*PARTIES, sailing())
    return harness


BEYOND = (
    event("1H", 2, snps=NAMES),
    event("1H", 2, container_numbers=boxes(MOST_NAMED + 1)),
    event("1H", 2, other_container_numbers=boxes(1, 0, LONGEST_CONTAINER + 1)),
    event("1H", 2, snps=("N" * (LONGEST_NAME + 1),)),
    event("1H", 2, vessel_name="V" * (MOST_CHARACTERS + 1)),
    filing(minute=2, source="S" * (LONGEST_SOURCE + 1)),
    event("1H", 2, quantity=MOST_PIECES + 1),
    event("1H", 2)._replace(action_at=START // 1000),
    event("1H", 2, master_bill="\x00position:0"),
    event("1H", 2, original_bill="vessel:9074729::"),
    on_container("1H", 2, *boxes(MOST_LEVEL_CONTAINERS + 1)),
    filing(minute=2, container_numbers=boxes(MOST_NAMED + 1)),
    filing(minute=2, imo_number="9" * (MOST_CHARACTERS + 1)),
    Snapshot(filing(), START, holds=(SnapshotHold("1H", "CSQU3054383", None, None),) * (MOST_HOLDS + 1)),
    WORD._replace(by="B" * 1001),
    Confirmation(HOUSE[:4], HOUSE[4:], ("x",) * (MOST_COVERED + 1), "me", "so", START),
    Clearance(HOUSE[:4], HOUSE[4:], "BOX", ("x",) * (MOST_COVERED + 1), "CBP", "so", "me", "os:me", START),
)


@pytest.mark.parametrize("record", BEYOND, ids=lambda record: f"{type(record).__name__} {len(str(record))}")
def test_what_is_beyond_a_limit_is_put_aside_whole_and_stops_its_bill_alone(router: Harness, record: Any) -> None:
    router.feed(filing(), event("1C", 1), filing(OTHER_HOUSE, container_numbers=()), event("1C", 1, bill=OTHER_HOUSE))
    router.pump()
    router.feed(record)
    router.pump()
    assert (router.status(HOUSE), router.status(OTHER_HOUSE)) == ("HELD", "RELEASED")
    assert router.kinds("NVXA", HOUSE) == ["release", "hold"]
    (letter,) = router.latest(topics.DEAD_LETTERS).values()
    assert any(fault in letter["reason"] for fault in ("more than", "is not a bill", "of a year from"))
    assert "error in the router" not in letter["reason"]


def test_a_record_of_many_megabytes_is_named_and_only_its_head_is_kept(router: Harness) -> None:
    router.feed(filing(), event("1C", 1))
    router.feed_bytes(topics.DISPOSITIONS, HOUSE.encode(), b"\0" * (3 * LARGEST_LETTER))
    router.pump()
    (letter,) = router.latest(topics.DEAD_LETTERS).values()
    assert (len(letter["content"]), letter["content_size"]) == (HEAD_SIZE, 3 * LARGEST_LETTER)
    assert router.status(HOUSE) == "HELD"
    assert largest(router) < BROKERS_LIMIT / 10


@pytest.mark.parametrize(
    ("scac", "number"), [("\x00pos", "ition:0"), ("vess", "el:9"), ("nvxa", "HBL1"), ("NVXAX", "\x1f"), ("NVXA", "\n")]
)
def test_what_is_no_bill_makes_no_state_and_never_touches_the_position(router: Harness, scac: str, number: str) -> None:
    hostile = event("1H", 1)._replace(scac=scac, bill_of_lading=number)
    router.feed_bytes(topics.DISPOSITIONS, b"NVXAB1", encode_value(hostile))
    router.feed_bytes(topics.DISPOSITIONS, b"\x00position:0", b"garbage")
    router.pump()
    router.restart(0)
    assert router.shards[0].position[topics.DISPOSITIONS] == 2
    assert router.shards[0].bill_count == 1  # "vessel:9" is a vessel's; the others stop the bill of their keys
    router.feed(event("1H", 2))
    router.pump()
    assert router.kinds("NVXA", HOUSE) == ["hold"]


def largest(router: Harness) -> int:
    return max(len(record.value or b"") for records in router.log.values() for record in records if record.topic
               not in (topics.DISPOSITIONS, topics.FILINGS))  # fmt: skip


def test_a_bill_with_all_that_it_can_have_is_written_and_stays_stopped(router: Harness) -> None:
    router.roster(*(Party(f"A{first}{second}") for first in "ABCDEFGH" for second in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    long = [boxes(MOST_LEVEL_CONTAINERS, first * 100, LONGEST_CONTAINER) for first in range(5)]
    router.feed(
        filing(snps=NAMES[:300], container_numbers=boxes(MOST_NAMED, 0, LONGEST_CONTAINER)),
        *(on_container("6H", 1 + place, *some, snps=NAMES[place:300]) for place, some in enumerate(long)),
        *(WORD._replace(id=f"{number}" + "x" * 900, said_at=at(number)) for number in range(MOST_MANUAL_EVENTS + 1)),
        *(event("XX", number, quantity=number) for number in range(5)),
    )
    router.pump()
    bill = router.bill(HOUSE)
    assert bill is not None
    assert len(bill.account.holds) == MOST_HOLDS
    assert len(BILL_STATE.encode(bill.state)) < BROKERS_LIMIT / 4
    assert largest(router) < BROKERS_LIMIT / 4
    router.feed(*(on_container("6I", 300 + place, *some) for place, some in enumerate(long)))
    router.pump()
    bill = router.bill(HOUSE)
    assert bill is not None
    assert {hold.kind for hold in bill.status.holds} == {"UNKNOWN_CODE", "UNREADABLE", "MANUAL"}


def test_of_very_many_releases_the_oldest_are_forgotten_so_less_counts_as_released() -> None:
    one = OneBill(filing(manifested_quantity=10_000))
    for number in range(2 * MOST_RELEASES):
        one.enter(event("1C", number, quantity=1))
    assert len(one.account.releases) == MOST_RELEASES
    assert (one.status, one.now.released_quantity) == ("PARTIALLY_RELEASED", MOST_RELEASES)
    whole = OneBill(filing(manifested_quantity=100), *(event("1C", number) for number in range(2 * MOST_RELEASES)))
    assert (whole.status, whole.now.released_quantity) == ("RELEASED", 100)


def test_more_stopped_boxes_than_anyone_reads_are_one_hold_until_they_are_few_again(router: Harness) -> None:
    many = boxes(MOST_BOXES + 20)
    router.feed(event("55", 0, container_numbers=many, **ABOARD), event("1C", 1))
    router.feed(event("55", 0, bill=OTHER_HOUSE, container_numbers=many, **ABOARD), event("19", 2, bill=OTHER_HOUSE))
    router.pump()
    router.feed(event("6H", 2, bill=OTHER_HOUSE))
    router.pump()
    assert router.status(HOUSE) == "DO_NOT_LOAD"
    (hold,) = router.notices("NVXA", HOUSE)[-1]["holds"]
    assert (hold["kind"], hold["container_number"]) == ("BOX", None)
    assert len(router.kinds("NVXA", HOUSE)) <= MOST_BOXES + 3
    router.feed(event("6I", 3, bill=OTHER_HOUSE))
    router.pump()
    assert router.status(HOUSE) == "RELEASED"


def test_of_a_bill_that_is_split_without_end_some_splits_are_shown(router: Harness) -> None:
    router.feed(event("55", 0, **ABOARD))
    router.feed(*(event("55", 1, bill=f"NVXAS{n}", original_bill=HOUSE, **ABOARD) for n in range(MOST_SPLITS + 50)))
    router.pump()
    state = router.state(HOUSE)
    assert state is not None
    assert len(state.links) == MOST_SPLITS


def test_a_party_that_waits_among_thousands_costs_what_one_costs() -> None:
    """Each of a sailing's lines was looked for in all that waited: thousands of them took minutes an event."""
    unknown = tuple(f"X{number}" for number in range(MOST_NAMED))
    one = OneBill(filing(snps=unknown), event("1H"), *(event("1I", minute, snps=unknown) for minute in range(1, 20)))
    assert one.state is not None
    assert len(one.state.waiting) >= MOST_NAMED
