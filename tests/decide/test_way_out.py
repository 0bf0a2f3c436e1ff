"""Every stop has a way out: from every status an operator reaches `RELEASED` by what CBP sends and by deeds.

The way is the runbook's ("Cargo that is stuck"): holds are cleared, doubts confirmed by another person, and what the
filer or CBP has to send comes anew.
"""

from __future__ import annotations

from typing import Final, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.decide import status as words
from router.decide.identity import BillRecord
from router.decide.rules import Rules
from router.model.eastern import DAY
from router.model.inputs import Disposition, Snapshot, SnapshotHold
from router.model.links import LinkFact, Stop
from router.model.vocabulary import Status
from tests.checking.samples import BOX_KEY, HOUSE, MASTER, OTHER_HOUSE, START, at, dead_letter, event, filing
from tests.decide import stories
from tests.decide.one_bill import OneBill
from tests.decide.test_manual_events import said

ANNA, BEN = "os:anna", "os:ben"
LATER: Final = START + 130 * DAY
"""After every event of a story."""
BULK: Final = ("BOX", "HOUSE", "UNKNOWN_CODE", "UNREADABLE", "MANUAL")


def later(code: str, quantity: int | None = None) -> Disposition:
    return event(code, 0, quantity, action_at=LATER, received_at=LATER)


def way_out(one: OneBill) -> None:
    """The documented steps; each only where the status asks for it."""
    clear_holds(one)
    one.confirm(user=BEN)
    if one.status in (words.DELETED, words.CLOSED):
        one.enter(later("55", one.now.manifested_quantity))
    if one.status != words.RELEASED:
        one.enter(later("1C", one.now.manifested_quantity))
        clear_holds(one)
        one.confirm(user=BEN)


def clear_holds(one: OneBill) -> None:
    for hold in [hold for hold in one.now.holds if hold.kind == "CBP"]:
        one.clear_hold(hold, ANNA)
    for kind in BULK:
        if any(hold.kind == kind for hold in one.now.holds):
            one.clear_all(kind)  # type: ignore[arg-type]
    assert one.now.holds == ()


FILED = filing()
RELEASE = event("1C", 5)
STUCK: dict[Status, tuple[BillRecord, ...]] = {
    "DO_NOT_LOAD": (FILED, event("6H", 1)),
    "HELD": (FILED, event("1H", 1), RELEASE),
    "DELETED": (FILED, event("54", 1)),
    "CLOSED": (FILED, event("51", 1)),
    "RELEASED": (FILED, RELEASE),
    "RELEASE_UNCONFIRMED": (event("69", 0), RELEASE),
    "PARTIALLY_RELEASED": (FILED, event("1C", 5, 60)),
    "MOVEMENT_AUTHORISED": (FILED, event("1J", 1)),
    "NOT_RELEASED": (FILED, RELEASE, event("4A", 6)),
    "ON_FILE": (FILED, event("19", 1)),
}


def test_the_examples_have_every_status() -> None:
    assert set(STUCK) == set(get_args(Status))


@pytest.mark.parametrize("status", STUCK)
def test_each_status_has_a_way_out(status: Status) -> None:
    one = OneBill(*STUCK[status])
    assert one.status == status
    way_out(one)
    assert one.status == words.RELEASED


LINKS = (
    LinkFact(HOUSE, f"container:{BOX_KEY}", "BOX", True, (Stop(OTHER_HOUSE, ("x", "y"), True, 0),)),
    LinkFact(HOUSE, f"master:{HOUSE}", "HOUSE", True, (Stop(OTHER_HOUSE, ("z",)),)),
)
SNAPSHOT = Snapshot(filing(), at(6), 60, at(3), (SnapshotHold("1H", None, None, None), SnapshotHold("6H", None, 2, 0)))
records: st.SearchStrategy[BillRecord] = st.one_of(
    *[stories.dispositions((HOUSE,))] * 6,
    stories.filings((HOUSE,)),
    stories.words((HOUSE,)),
    st.sampled_from([*map(dead_letter, "abc"), *LINKS, SNAPSHOT]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(records | st.sampled_from(["clear", "confirm"]), min_size=1, max_size=20), st.sampled_from((8, 200)))
def test_every_reachable_status_has_a_way_out(steps: list[BillRecord | str], fold_after: int) -> None:
    one = OneBill(rules=Rules(fold_after_events=fold_after))
    for step in steps:
        if not isinstance(step, str):
            one.enter(step)
        elif one.bill is not None and step == "confirm":
            one.confirm(user=BEN)
        elif one.bill is not None:
            clear_holds(one)
    if one.bill is None:
        return
    way_out(one)
    assert one.status == words.RELEASED, (one.now, one.account)


def test_the_timelines_that_were_stuck() -> None:
    """A removal lost, one of another scope, an incomplete one, and a contradiction."""
    for steps in (
        (FILED, RELEASE, event("1H", 6)),
        (FILED, event("1H", 1), event("1I", 2, container_numbers=("CSQU3054383",), container_level=True), RELEASE),
        (FILED, event("1H", 1, 100), event("1I", 2, 98), RELEASE),
        (FILED, said("PLACE", 0, "6H"), event("6I", 60), RELEASE),
        (FILED, event("6H", 30), said("LIFT", 60), RELEASE),
        (filing(master_bill=MASTER), RELEASE, LINKS[0]),
    ):
        one = OneBill(*steps)
        assert one.now.stopped
        way_out(one)
        assert one.status == words.RELEASED
