"""A bill's account is kept and carried on: it must be the one that all events together give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.codec.packed import BILL_STATE
from router.decide.bill_state import assess_bill
from router.decide.folding import MOST_CONFIRMED
from router.decide.rules import Rules
from router.model.inputs import Confirmation, Disposition
from tests.checking.samples import BOX, HOUSE, START, dead_letter, event, filing
from tests.decide.one_bill import OneBill

RULES = Rules(fold_after_events=8)
CODES = ("55", "69", "1A", "1B", "1C", "1H", "1I", "4A", "4E", "54", "6H", "6I", "2H", "XX")


@st.composite
def happenings(draw: st.DrawFn) -> Disposition:
    on_box = draw(st.booleans())
    return event(
        draw(st.sampled_from(CODES)),
        draw(st.integers(0, 12)),
        received_at=draw(st.integers(0, 12)),
        quantity=draw(st.sampled_from((None, 40, 80, 120))),
        container_numbers=(BOX,) if on_box else (),
        container_level=on_box,
        reversal=draw(st.booleans()),
        resent=draw(st.booleans()),
    )


@given(st.lists(happenings() | st.sampled_from(["filing", "confirm"]), max_size=25))
def test_the_account_that_is_kept_is_the_one_that_all_events_give(steps: list[Disposition | str]) -> None:
    one = OneBill(rules=RULES)
    for step in steps:
        if isinstance(step, Disposition):
            one.enter(step)
        elif step == "filing":
            one.enter(filing(minute=6))
        elif one.state is not None:
            one.confirm()
        if one.bill is not None:
            anew = assess_bill(BILL_STATE.decode(BILL_STATE.encode(one.bill.state)), RULES)
            assert anew.state == one.bill.state
            assert anew.account == one.account
            assert anew.status == one.bill.status


def test_what_can_not_be_read_stays_few_and_ends_only_by_a_word_on_all_of_it() -> None:
    one = OneBill(event("55"), rules=RULES)
    for number in range(30):
        one.enter(dead_letter(str(number), minute=number))
    assert one.bill is not None
    early = one.bill.confirmable_ids()
    for number in range(30, 40):
        one.enter(dead_letter(str(number), minute=number))
    assert len(one.state.unparsed) <= RULES.fold_after_events
    one.confirm(*early)
    assert one.status == "HELD"
    one.confirm(*one.bill.confirmable_ids())
    assert one.status == "ON_FILE"
    one.enter(*(dead_letter(str(number), minute=number) for number in range(40, 80)))
    assert one.status == "HELD"
    assert len(one.state.unparsed) <= RULES.fold_after_events


def test_words_on_events_long_gone_are_forgotten() -> None:
    one = OneBill(event("69"), rules=RULES)
    for number in range(5):
        covers = tuple(f"{number}-{place}" for place in range(400))
        one.enter(Confirmation(HOUSE[:4], HOUSE[4:], covers, "me", "seen", START, doubts=("PORT_DIFFERS",)))
    assert one.state is not None
    assert one.state.deeds.number_confirmed <= MOST_CONFIRMED
