"""A bill's account is kept and carried on: it must be the one that all events together give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.decide.rules import Rules
from router.decide.stored import decode_state, encode_state
from router.model.inputs import Disposition
from tests.checking.samples import BOX, event, filing
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
        if one.state is not None:
            anew = decode_state(encode_state(one.state), RULES)
            assert anew == one.state
            assert anew.account(RULES) == one.account
            assert anew.assess(RULES) == one.state.assess(RULES)
