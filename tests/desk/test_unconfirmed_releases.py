"""Figures of the bills that a release before a hold keeps from being released."""

from __future__ import annotations

from router.codec.packed import BILL_STATE
from router.decide.bill_state import UnconfirmedPeriod
from router.decide.registry import Registry
from router.desk.unconfirmed_releases import UnconfirmedReleases, month_before
from router.model.eastern import DAY
from router.model.registry_values import RegistryNote
from tests.checking.samples import START, event, filing
from tests.decide.one_bill import OneBill, registry_of


def at_days(registry: Registry, days: int) -> None:
    """A router that ran all the time, with a tick an hour."""
    for hour in range(24 * days + 1):
        registry.apply(RegistryNote("tick", "tick", START + hour * DAY // 24))


def test_the_period_begins_with_the_removal_and_ends_with_the_release_or_a_confirmation() -> None:
    for ends in (lambda one: one.enter(event("1C", 9)), lambda one: one.confirm()):
        registry = registry_of()
        at_days(registry, 0)
        one = OneBill(filing(), event("1C", 1), event("1H", 2), registry=registry)
        assert one.state.unconfirmed == UnconfirmedPeriod()
        one.enter(event("1I", 3))
        assert one.state.unconfirmed.is_now
        assert one.last.notices[0].fields["doubts"] == ("RELEASE_PREDATES_HOLD",), "the notice says what it waits for"
        at_days(registry, 40)
        assert one.state.unconfirmed.reaches(month_before(registry)), "for so long"
        ends(one)
        assert (one.status, one.state.unconfirmed.is_now) == ("RELEASED", False)
        assert one.state.unconfirmed.reaches(month_before(registry))
        at_days(registry, 80)
        assert not one.state.unconfirmed.reaches(month_before(registry))
        assert BILL_STATE.decode(BILL_STATE.encode(one.state)) == one.state


def test_the_sentence_has_the_share() -> None:
    words = "3 bills wait for a new release or a confirmation now; 12 of 240 (5.0 %) did last month"
    assert UnconfirmedReleases(3, 12, 240).sentence() == words
