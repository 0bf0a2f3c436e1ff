"""Wrong passwords, by address and by name: guessing is slowed down, and nobody is locked out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.console.login_throttle import MOST_AUDITED, MOST_BY_ADDRESS, MOST_BY_NAME, LoginThrottle, network_of

HOME = "192.0.2.1"
ELSEWHERE = st.integers(1, 2**32 - 1).map(lambda number: f"198.51.{number % 256}.{number // 256 % 256}")
GUESSES = st.lists(st.tuples(st.sampled_from(["alice", "bob", "x"]), ELSEWHERE), max_size=200)


@given(GUESSES)
def test_guesses_from_elsewhere_never_keep_a_user_out_where_the_user_logged_in_before(
    guesses: list[tuple[str, str]],
) -> None:
    throttle = LoginThrottle()
    for name, address in guesses:
        if throttle.reason_against(name, address, is_known=False) is None:
            throttle.failed(name, address, is_known=False)
    assert throttle.reason_against("alice", HOME, is_known=True) is None


@given(GUESSES)
def test_no_more_passwords_are_looked_at_than_the_limits_say(guesses: list[tuple[str, str]]) -> None:
    throttle = LoginThrottle()
    looked_at = []
    for name, address in guesses:
        if throttle.reason_against(name, address, is_known=False) is None:
            looked_at.append((name, address))
            throttle.failed(name, address, is_known=False)
    for tried in {name for name, _ in guesses}:
        assert sum(name == tried for name, _ in looked_at) <= MOST_BY_NAME
    for source in {address for _, address in guesses}:
        assert sum(address == source for _, address in looked_at) <= MOST_BY_ADDRESS


def test_an_address_that_knows_the_name_is_slowed_down_too() -> None:
    throttle = LoginThrottle()
    for _ in range(MOST_BY_ADDRESS):
        assert throttle.reason_against("alice", HOME, is_known=True) is None
        throttle.failed("alice", HOME, is_known=True)
    assert throttle.reason_against("alice", HOME, is_known=True) is not None
    assert throttle.reason_against("alice", "192.0.2.2", is_known=False) is None, "its user's name is free elsewhere"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unix", "unix", True),
    ],
)
def test_a_machine_counts_once_whichever_of_its_addresses_it_uses(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


@given(GUESSES)
def test_a_flood_of_refusals_does_not_fill_the_audit(guesses: list[tuple[str, str]]) -> None:
    throttle = LoginThrottle()
    audited = [guess for guess in guesses if throttle.is_to_be_audited(*guess)]
    assert len(audited) == len(set(audited)) == min(MOST_AUDITED, len(set(guesses)))
