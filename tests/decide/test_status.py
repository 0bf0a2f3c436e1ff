"""The status: each row of the table, in its order, and the doubts."""

from __future__ import annotations

from typing import Any

import pytest

from router.decide import status as words
from router.decide.rules import Rules
from router.model.inputs import Confirmation, Disposition, Filing
from router.model.links import LinkFact, Stop
from tests.checking.samples import (
    BOX,
    BOX_KEY,
    HOUSE,
    OTHER_BOX,
    OTHER_HOUSE,
    at,
    dead_letter,
    event,
    filing,
    on_container,
)
from tests.decide.one_bill import OneBill

ADDED = event("55", 0)
STOP = Stop(OTHER_HOUSE, ("e1",), since=0)
BOX_STOPPED = LinkFact(HOUSE, f"container:{BOX_KEY}", "BOX", True, (STOP,))
BOX_NOT_TO_BE_LOADED = BOX_STOPPED._replace(stops=(STOP._replace(do_not_load=True),))
HOUSE_HELD = LinkFact(HOUSE, f"master:{HOUSE}", "HOUSE", True, (STOP,))


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([event("6H", 1), event("1H", 1), event("1C", 2)], words.DO_NOT_LOAD),
        ([event("1C", 1), BOX_NOT_TO_BE_LOADED], words.DO_NOT_LOAD),
        ([event("1C", 1), BOX_STOPPED], words.HELD),
        ([event("1C", 1), HOUSE_HELD], words.HELD),
        ([event("1C", 1), dead_letter()], words.HELD),
        ([event("1C", 1), event("Z?", 2)], words.HELD),
        ([event("1T", 1)], words.HELD),
        ([event("A3", 1)], words.HELD),
        ([event("A3", 1), event("A1", 2)], words.ON_FILE),
        ([event("1H", 1), event("54", 2)], words.HELD),
        ([event("54", 2), event("51", 3)], words.DELETED),
        ([event("54", 2), event("55", 3)], words.ON_FILE),
        ([event("1C", 1), event("51", 2)], words.CLOSED),
        ([event("51", 2), event("67", 3)], words.ON_FILE),
        ([event("1C", 1), event("AR", 2)], words.CLOSED),
        ([event("1C", 1)], words.RELEASED),
        ([event("1C", 1), event("1H", 2), event("1I", 3)], words.RELEASE_UNCONFIRMED),
        ([event("1C", 1, None)], words.RELEASE_UNCONFIRMED),
        ([event("1C", 1, 60)], words.PARTIALLY_RELEASED),
        ([event("1C", 1, 60), event("1J", 2)], words.PARTIALLY_RELEASED),
        ([event("1J", 1)], words.MOVEMENT_AUTHORISED),
        ([event("1C", 1), event("4A", 2)], words.NOT_RELEASED),
        ([event("19", 1)], words.ON_FILE),
    ],
)
def test_the_first_row_that_applies(records: list[Disposition], status: str) -> None:
    one = OneBill(ADDED, *records)
    assert one.status == status
    assert one.now.deliverable == (status == words.RELEASED)


@pytest.mark.parametrize("filed", [None, 0, 1, 100])
@pytest.mark.parametrize("released", [None, 0, 1, 100])
def test_an_empty_container_is_released_by_its_1c_whatever_the_quantities(
    filed: int | None, released: int | None
) -> None:
    one = OneBill(filing(bill_type="12", manifested_quantity=filed), event("1C", 1, released))
    assert (one.status, one.doubts, one.notified["NVXA"]) == (words.RELEASED, (), "release")


def test_a_hold_stops_an_empty_too_and_its_1c_counts_only_at_its_place() -> None:
    empty = filing(bill_type="12")
    assert OneBill(empty, event("1H", 1), event("1C", 2)).status == words.HELD
    assert OneBill(empty, event("1C", 1), event("1H", 2), event("1I", 3)).doubts == (words.RELEASE_PREDATES_HOLD,)
    assert OneBill(empty, event("1C", 1, transaction_port="1303")).doubts == (words.PORT_DIFFERS,)


@pytest.mark.parametrize("filed", [(BOX, OTHER_BOX), ()])
def test_the_1c_of_one_empty_does_not_release_the_others(filed: tuple[str, ...]) -> None:
    one = OneBill(filing(bill_type="12", container_numbers=filed, manifested_quantity=2), on_container("1C", 1, BOX))
    assert not one.now.deliverable
    assert one.notified["NVXA"] == "change"
    one.enter(on_container("1C", 2, OTHER_BOX))
    assert one.now.deliverable == bool(filed), "nobody knows of how many containers"


def test_an_exported_empty_is_closed() -> None:
    assert OneBill(filing(bill_type="12"), event("1C", 1), event("51", 2)).status == words.CLOSED


def test_an_export_of_one_container_does_not_close_the_bill() -> None:
    assert OneBill(ADDED, on_container("52", 1)).status == words.ON_FILE


# Doubts


def test_a_history_without_beginning_is_incomplete_until_a_55_a_filing_or_a_snapshot() -> None:
    one = OneBill(event("69", 0), event("1C", 1))
    assert (one.status, one.doubts) == (words.RELEASE_UNCONFIRMED, (words.HISTORY_INCOMPLETE,))
    assert OneBill(event("69", 0), event("1C", 1), event("55", 0)).status == words.RELEASED
    assert OneBill(event("69", 0), event("1C", 1), filing()).status == words.RELEASED


@pytest.mark.parametrize("rules", [Rules(), Rules(fold_after_events=2)], ids=["kept", "folded"])
def test_a_confirmed_release_is_not_for_pieces_added_later(rules: Rules) -> None:
    one = OneBill(filing(), event("1C", 1, None), rules=rules)
    one.confirm()
    assert one.now.deliverable
    one.enter(event("56", 2, 80), event("56", 3, 150), event("1M", 4), event("1M", 5), event("1M", 6))
    assert (one.status, one.doubts) == (words.RELEASE_UNCONFIRMED, (words.QUANTITY_UNKNOWN,))
    assert not any(box.released for box in one.now.containers)
    one.confirm()
    assert one.now.deliverable
    assert all(box.released for box in one.now.containers)


def test_an_unknown_quantity_is_never_released_in_full() -> None:
    one = OneBill(filing(manifested_quantity=None), event("1C", 1))
    assert (one.status, one.doubts) == (words.RELEASE_UNCONFIRMED, (words.QUANTITY_UNKNOWN,))


def at_port(port: str | None, minute: int = 1, **more: Any) -> Disposition:
    return event("1C", minute, transaction_port=port, **more)


@pytest.mark.parametrize(("place", "port"), [("2704", "1303"), ("2704", "2811"), ("3001", "2709")])
def test_a_release_elsewhere_frees_nothing_here(place: str, port: str) -> None:
    one = OneBill(filing(port_of_unlading=place), at_port(port))
    assert (one.status, one.doubts) == (words.RELEASE_UNCONFIRMED, (words.PORT_DIFFERS,))
    one.enter(at_port(place, 2))
    assert one.status == words.RELEASED


@pytest.mark.parametrize("twins", [("2704", "2709"), ("2811", "2809"), ("3001", "3002")])
def test_twin_ports_are_one_place(twins: tuple[str, str]) -> None:
    for place, port in (twins, twins[::-1]):
        assert OneBill(filing(port_of_unlading=place), at_port(port)).status == words.RELEASED


def test_a_fresh_release_elsewhere_and_a_stale_one_here_are_no_release() -> None:
    here, elsewhere = at_port("2704", 1, entry_number="A"), at_port("1303", 4, entry_number="B")
    one = OneBill(filing(), here, event("1H", 2), event("1I", 3), elsewhere)
    assert one.status == words.RELEASE_UNCONFIRMED
    assert set(one.doubts) == {words.RELEASE_PREDATES_HOLD, words.PORT_DIFFERS}


def test_a_partial_release_with_a_doubt_authorises_nothing() -> None:
    one = OneBill(filing(), event("1C", 1, 60), event("1H", 2), event("1I", 3))
    assert (one.status, one.now.authorises) == (words.PARTIALLY_RELEASED, ())


# An operator's word


def test_an_operator_settles_the_doubts_of_what_was_seen() -> None:
    one = OneBill(event("69", 0), event("1C", 1, None), event("1H", 2), event("1I", 3))
    one.confirm()
    assert one.status == words.RELEASED
    assert one.notified["NVXA"] == "release"


def test_and_not_of_what_comes_later() -> None:
    one = OneBill(ADDED, event("1C", 1))
    one.confirm()
    one.enter(event("1H", 2), event("1I", 3))
    assert one.doubts == (words.RELEASE_PREDATES_HOLD,)


def test_nor_of_a_doubt_that_arises_later_on_the_same_events() -> None:
    """The release was seen, and that its quantity is unknown; it was still for the port of unlading."""
    one = OneBill(filing(manifested_quantity=None, port_of_unlading="1303"), at_port("1303"))
    assert one.doubts == (words.QUANTITY_UNKNOWN,)
    one.confirm()
    assert one.status == words.RELEASED
    one.enter(filing(minute=9, manifested_quantity=None))
    assert (one.status, one.doubts) == (words.RELEASE_UNCONFIRMED, (words.PORT_DIFFERS,))


def test_nor_of_a_hold_that_was_named_and_not_previewed_as_ended() -> None:
    one = OneBill(event("69", 0), dead_letter(), event("1C", 1))
    assert one.state is not None
    named = tuple(one.state.event_ids | one.state.unparsed.keys())
    one.enter(Confirmation(HOUSE[:4], HOUSE[4:], named, "me", "seen", at(9), doubts=(words.HISTORY_INCOMPLETE,)))
    assert (one.status, one.doubts) == (words.HELD, ())


def test_nor_of_anything_that_was_not_named() -> None:
    one = OneBill(ADDED, dead_letter("a"), dead_letter("b"))
    assert one.state is not None
    first, second = one.state.unparsed
    one.confirm(first)
    assert [hold.id for hold in one.now.holds] == [second]


def test_confirming_what_was_unread_says_nothing_about_the_history() -> None:
    one = OneBill(event("69", 0), event("1C", 1), dead_letter())
    assert one.state is not None
    one.confirm(*one.state.unparsed)
    assert words.HISTORY_INCOMPLETE in one.doubts


def test_confirming_does_not_end_a_hold_of_cbp() -> None:
    one = OneBill(ADDED, event("1H", 1), event("1C", 2))
    one.confirm()
    assert one.status == words.HELD


# What is allowed short of delivery


@pytest.mark.parametrize(
    ("held", "authority", "allowed"),
    [
        ("1G", "1J", True),
        ("F1", "1J", True),
        ("1H", "1J", False),
        ("1G", "1W", False),
        ("1H", "1W", False),
        ("1H", "1X", True),
        ("6H", "1X", False),
        ("1H", "1Z", False),
    ],
)
def test_which_holds_leave_room_for_which_authority(held: str, authority: str, allowed: bool) -> None:
    """A hold at the in-bond destination doesn't stop the move there; to an exam a held box may go, if it may be loaded
    at all."""
    assert bool(OneBill(ADDED, event(authority, 1), event(held, 2)).now.authorises) == allowed


def test_a_derived_hold_stops_an_in_bond_move() -> None:
    assert OneBill(ADDED, event("1J", 1), BOX_STOPPED).now.authorises == ()


@pytest.mark.parametrize(("bill_type", "exits"), [("28", True), (None, True), ("00", False)])
def test_1z_is_not_for_simple_bills(bill_type: str | None, exits: bool) -> None:
    filed: Filing = filing(bill_type=bill_type)
    assert ("TERMINAL_EXIT" in OneBill(filed, event("1Z", 1)).now.authorises) == exits


@pytest.mark.parametrize("kind", [BOX_STOPPED, HOUSE_HELD, dead_letter(), event("Z?", 3)])
def test_derived_and_unread_holds_never_make_a_release_stale(kind: LinkFact) -> None:
    one = OneBill(ADDED, event("1C", 1), kind)
    assert one.status == words.HELD
    if isinstance(kind, LinkFact):
        one.enter(kind._replace(active=False))
    else:
        assert one.state is not None
        one.confirm(*one.state.unparsed)
    assert (one.status, one.doubts) == (words.RELEASED, ())


def test_a_link_to_a_bill_nobody_knows_is_kept_until_the_bill_comes() -> None:
    assert OneBill(BOX_STOPPED, ADDED, event("1C", 1)).status == words.HELD
    assert OneBill(BOX_STOPPED._replace(active=False)).state is None


def test_when_it_was_released_is_said() -> None:
    assert OneBill(ADDED, event("1C", 7)).now.release_posted == at(7) // 60_000
