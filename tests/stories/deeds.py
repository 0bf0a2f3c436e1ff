"""Stories of an operator's deeds: every stop has a way out, by name, and a hold of CBP's only by two persons."""

from __future__ import annotations

from collections.abc import Iterator

from router.model.inputs import Clearance, Confirmation
from router.model.vocabulary import Confirmable
from tests.checking.samples import at
from tests.stories.stage import PIECES, Story

REGULAR = "OCNXREG1"
REFILED = "OCNXREG2"
ANNA, BEN = "os:anna", "os:ben"


def on_file(story: Story, bill: str = REGULAR) -> None:
    story.file(bill, bill_type="00", container_numbers=(story.box(1),))


def clear(story: Story, bill: str, minute: int, user: str = ANNA) -> None:
    """Clear the first hold of the bill, as its page shows it."""
    (key, hold) = (story.key(bill), story.bill(bill).status.holds[0])
    told = (hold.kind, hold.events, "Officer Doe", "ended by phone", "the desk", user, at(minute), "T-1")
    scope = (hold.code, hold.container_number) if hold.kind == "CBP" else (None, None)
    story.fed.append(Clearance(key[:4], key[4:], *told, *scope))


def confirm(story: Story, bill: str, minute: int, user: str, *doubts: Confirmable) -> None:
    key = story.key(bill)
    covers = tuple(sorted(story.bill(bill).confirmable_ids()))
    story.fed.append(Confirmation(key[:4], key[4:], covers, "the desk", "seen the papers", at(minute), doubts, user))


def a_hold_whose_removal_was_lost_ends_by_two_persons(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1H", REGULAR, 0)
    yield
    clear(story, REGULAR, 10)
    story.cbp("1C", REGULAR, 20)
    yield
    notice = story.last("OCNX", REGULAR)
    assert (notice["status"], notice["holds"]) == ("RELEASE_UNCONFIRMED", [])
    assert notice["doubts"] == ["CLEARED_BY_HAND"]
    confirm(story, REGULAR, 30, ANNA, "CLEARED_BY_HAND")
    yield
    assert story.status(REGULAR) == "RELEASE_UNCONFIRMED"
    confirm(story, REGULAR, 40, BEN, "CLEARED_BY_HAND")
    yield
    assert story.last("OCNX", REGULAR)["kind"] == "release"
    story.cbp("1H", REGULAR, 0)
    yield
    assert story.status(REGULAR) == "RELEASED"
    story.cbp("1H", REGULAR, 50)
    yield
    assert story.last("OCNX", REGULAR)["kind"] == "hold"


def a_do_not_load_cleared_by_one_person_still_says_do_not_load(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("6H", REGULAR, 0)
    yield
    clear(story, REGULAR, 10)
    yield
    notice = story.last("OCNX", REGULAR)
    assert notice["do_not_load"]
    assert "LADING" not in notice["authorises"]
    confirm(story, REGULAR, 20, BEN, "CLEARED_BY_HAND")
    yield
    notice = story.last("OCNX", REGULAR)
    assert not notice["do_not_load"]
    assert "LADING" in notice["authorises"]


def the_rest_of_a_hold_lifted_in_part_ends_by_hand(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1H", REGULAR, 0)
    story.cbp("1I", REGULAR, 5, quantity=PIECES - 2)
    yield
    clear(story, REGULAR, 10)
    yield
    assert story.bill(REGULAR).status.holds == ()


def a_removal_of_another_scope_is_ended_by_hand(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp_on_box("1H", REGULAR, story.box(1), 0)
    story.cbp("1I", REGULAR, 5)
    yield
    assert "REMOVAL_UNMATCHED" in story.last("OCNX", REGULAR)["flags"]
    clear(story, REGULAR, 10)
    yield
    assert story.bill(REGULAR).status.holds == ()


def the_box_of_a_deleted_bill_is_freed_for_its_refiled_bill(story: Story) -> Iterator[None]:
    story.roster()
    on_file(story)
    story.cbp("6H", REGULAR, 0, container_numbers=(story.box(1),))
    story.cbp("54", REGULAR, 5)
    on_file(story, REFILED)
    story.cbp("55", REFILED, 6, container_numbers=(story.box(1),))
    yield
    yield
    assert [hold["kind"] for hold in story.last("OCNX", REFILED)["holds"]] == ["BOX"]
    clear(story, REFILED, 10)
    yield
    assert story.last("OCNX", REFILED)["holds"] == []
    assert not story.last("OCNX", REFILED)["do_not_load"]
    story.cbp("3Z", REGULAR, 15, container_numbers=(story.box(1),))
    yield
    yield
    assert story.bill(REFILED).status.holds == ()
    story.cbp("2Q", REGULAR, 20, container_numbers=(story.box(1),))
    yield
    yield
    assert [hold["kind"] for hold in story.last("OCNX", REFILED)["holds"]] == ["BOX"]


def a_release_from_before_an_exam_is_confirmed(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1C", REGULAR, 0)
    story.cbp("7H", REGULAR, 10)
    story.cbp("7I", REGULAR, 20)
    yield
    confirm(story, REGULAR, 30, ANNA, "RELEASE_PREDATES_HOLD")
    yield
    assert story.last("OCNX", REGULAR)["kind"] == "release"


STORIES = (
    a_hold_whose_removal_was_lost_ends_by_two_persons,
    a_do_not_load_cleared_by_one_person_still_says_do_not_load,
    the_rest_of_a_hold_lifted_in_part_ends_by_hand,
    a_removal_of_another_scope_is_ended_by_hand,
    the_box_of_a_deleted_bill_is_freed_for_its_refiled_bill,
    a_release_from_before_an_exam_is_confirmed,
)
