"""After an outage the final status is that of an undisturbed day: whatever came late, twice, out of order, or by phone
first and electronically later."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import topics
from router.decide.bill_state import BillState, assess_bill
from router.decide.codes import Effect
from router.decide.identity import event_key, identity
from router.model.eastern import DAY, MINUTE
from router.model.inputs import PLACE, RELEASE, Disposition, ManualEvent
from router.model.registry_values import LateTally, Outage, Party, RegistryNote, Request
from tests.checking.harness import Harness
from tests.checking.replay import check, describe
from tests.checking.samples import START, at, sailing
from tests.decide.stories import AUTUMN, BILLS, CODES, SCACS, dispositions, disturb, filings, tell

ACTIONS: Final = {Effect.PLACE: PLACE, Effect.BLOCK: PLACE, Effect.RELEASE: RELEASE}
MOST_MINUTES_APART: Final = 240
"""Between what is said by phone and what CBP posts: well within the day in which they count as the same."""


def phoned(event: Disposition, minutes: int) -> list[ManualEvent]:
    """The same, relayed by hand: of each container that it concerns. Nothing of an event whose time is unknown, nor of
    a release read from damaged input: what it frees, CBP's message does not."""
    code = CODES.get(event.disposition_code)
    if code is None or code.effect not in ACTIONS or event.reversal or event.unknown_zone is not None:
        return []
    if code.effect is Effect.RELEASE and event.uncertain is not None:
        return []
    said = event.action_at + minutes * MINUTE
    containers: tuple[str | None, ...] = event.container_numbers if event.container_level else (None,)
    return [
        ManualEvent(
            *(event.scac or "", event.bill_of_lading or "", f"{event} {container}", ACTIONS[code.effect]),
            *(said, "me", "phone", code.code, container, event.quantity),
            received_at=said,
        )
        for container in dict.fromkeys(containers)
    ]


def _identity(event: Disposition) -> str:
    return identity(event, event_key(event))


@st.composite
def days(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """What happens on an undisturbed day, and what else happens on one with an outage."""
    filed = draw(st.lists(filings(), max_size=4, unique_by=lambda filing: filing.received_at))
    drawn = draw(st.lists(dispositions(), min_size=1, max_size=15, unique_by=_identity))
    events = [event._replace(received_at=max(event.received_at, event.action_at)) for event in drawn]
    more: list[Any] = [Outage("o1", "DECLARED", START, port=draw(st.sampled_from((None, "2704"))))]
    for event in events:
        if draw(st.booleans()):
            more += phoned(event, draw(st.integers(-MOST_MINUTES_APART, MOST_MINUTES_APART)))
    more += draw(st.lists(st.sampled_from(events), max_size=5))
    return [*filed, *events], more


def live(harness: Harness, steps: list[Any], random: Random | None) -> None:
    for step in (*map(Party, SCACS), sailing(), *steps):
        tell(harness, step)
        if random is not None:
            disturb(harness, random)
    harness.pump(random)


def final(harness: Harness, bill: str) -> tuple[Any, ...]:
    """A link that came and went leaves a bill of which nothing is known: the same as none."""
    after = (harness.bill(bill) or assess_bill(BillState(bill), harness.rules)).status
    holds = sorted(
        (hold.kind, hold.code or "", hold.container_number or "", hold.quantity or 0) for hold in after.holds
    )
    return after.status, after.deliverable, after.do_not_load, sorted(after.doubts), holds, after.released_quantity


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(days(), st.randoms(use_true_random=False))
def test_the_final_status_is_that_of_an_undisturbed_day(day: tuple[list[Any], list[Any]], random: Random) -> None:
    undisturbed, more = day
    calm, rough = Harness(2, now=AUTUMN), Harness(3, now=AUTUMN)
    live(calm, undisturbed, None)
    steps = [*undisturbed, *more]
    random.shuffle(steps)
    live(rough, steps, random)
    rough.register(Outage("o1", "DECLARED", START, ended_at=at(600)), LateTally("o1", "r1", 9, 1, 1, START, at(610)))
    rough.register(Request("q1", "RESYNC", "OCNX", "me", at(620)), RegistryNote("tick", "tick", AUTUMN + DAY))
    rough.pump(random)
    for bill in BILLS:
        assert final(rough, bill) == final(calm, bill), bill
    faults = check(rough.records(topics.TIMELINE), rough.party_records(), rough.rules)
    assert not faults, describe(faults)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(days(), st.randoms(use_true_random=False))
def test_what_was_only_phoned_stands_in_whatever_order_it_comes(
    day: tuple[list[Any], list[Any]], random: Random
) -> None:
    """Without CBP's own events of half of it: two routers that hear the same in different orders agree."""
    undisturbed, more = day
    steps = [*undisturbed[::2], *more]
    first, second = Harness(2, now=AUTUMN), Harness(3, now=AUTUMN)
    live(first, steps, None)
    random.shuffle(steps)
    live(second, [*steps, *random.choices(steps, k=4)], random)
    for bill in BILLS:
        assert final(second, bill) == final(first, bill), bill
