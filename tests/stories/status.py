"""Stories of a bill's status: what stops it, what frees it, where, and by what way out."""

from __future__ import annotations

from collections.abc import Iterator

from tests.checking.samples import at
from tests.stories.stage import PIECES, Story

REGULAR = "OCNXREG1"
HOUSE = "NVXAHBL1"
MASTER = "OCNXMB1"
SPLIT = "OCNXPART1"

ENTRY_A = {"entry_type": "01", "entry_number": "AB100045215"}
ENTRY_B = {"entry_type": "01", "entry_number": "AB100045223"}


def on_file(story: Story, bill: str = REGULAR, **more: object) -> None:
    story.file(bill, bill_type="00", container_numbers=(story.box(1), story.box(2)), **more)


# In bond


def inland_cargo_is_released_at_its_in_bond_destination(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1J", REGULAR, 0, transaction_port="2704")
    yield
    assert story.last("OCNX", REGULAR)["authorises"] == ["IN_BOND_MOVEMENT"]
    story.cbp("12", REGULAR, 10, transaction_port="3901")
    yield
    assert story.last("OCNX", REGULAR)["authorises"] == []
    story.cbp("1C", REGULAR, 20, transaction_port="3901", **ENTRY_A)
    yield
    assert story.last("OCNX", REGULAR)["kind"] == "release"
    assert story.last("OCNX", REGULAR)["deliverable_at"] == "3901"


def a_release_before_the_arrival_counts_from_the_arrival_on(story: Story) -> Iterator[None]:
    on_file(story, in_bond_destination="3901")
    story.cbp("1J", REGULAR, 0, transaction_port="2704")
    story.cbp("1C", REGULAR, 10, transaction_port="3901", **ENTRY_A)
    yield
    notice = story.last("OCNX", REGULAR)
    assert (notice["kind"], notice["doubts"], notice["deliverable_at"]) == ("change", ["PORT_DIFFERS"], None)
    story.cbp("12", REGULAR, 20, transaction_port="3901")
    yield
    notice = story.last("OCNX", REGULAR)
    assert (notice["kind"], notice["deliverable_at"]) == ("release", "3901")
    story.cbp("64", REGULAR, 30, transaction_port="3901")
    yield
    assert story.last("OCNX", REGULAR)["kind"] == "hold"
    assert story.status(REGULAR) == "RELEASE_UNCONFIRMED"


def a_declared_destination_frees_nothing(story: Story) -> Iterator[None]:
    on_file(story, in_bond_destination="3901")
    story.cbp("1J", REGULAR, 0, transaction_port="2704")
    story.cbp("12", REGULAR, 5, transaction_port="4601")
    story.cbp("1C", REGULAR, 10, transaction_port="3901", **ENTRY_A)
    yield
    assert story.status(REGULAR) == "RELEASE_UNCONFIRMED"
    assert "release" not in story.kinds("OCNX", REGULAR)


def a_houses_hold_at_destination_lets_its_master_move(story: Story) -> Iterator[None]:
    on_file(story, MASTER)
    story.cbp("1J", MASTER, 0)
    story.cbp("1G", HOUSE, 1, master_bill=story.key(MASTER))
    yield
    yield
    assert story.last("OCNX", MASTER)["authorises"] == ["IN_BOND_MOVEMENT"]
    story.cbp("1H", HOUSE, 2, master_bill=story.key(MASTER))
    yield
    yield
    assert story.last("OCNX", MASTER)["authorises"] == []


# Entries


def an_entry_withdrawn_leaves_the_other(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1C", REGULAR, 0, **ENTRY_A)
    story.cbp("1C", REGULAR, 1, **ENTRY_B)
    story.cbp("4E", REGULAR, 2, **ENTRY_A)
    yield
    assert story.status(REGULAR) == "RELEASED"
    story.cbp("4E", REGULAR, 3)
    yield
    assert story.status(REGULAR) == "NOT_RELEASED"
    assert story.last("OCNX", REGULAR)["kind"] == "hold"


def an_entry_replaced_in_one_minute_stands(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1C", REGULAR, 0, **ENTRY_A)
    yield
    story.cbp("4E", REGULAR, 5, **ENTRY_A)
    story.cbp("1C", REGULAR, 5, **ENTRY_B)
    yield
    assert story.status(REGULAR) == "RELEASED"


def an_entry_replaced_in_one_minute_stands_in_the_other_order_too(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1C", REGULAR, 0, **ENTRY_A)
    yield
    story.cbp("1C", REGULAR, 5, **ENTRY_B)
    yield
    story.cbp("4E", REGULAR, 5, **ENTRY_A)
    yield
    assert story.status(REGULAR) == "RELEASED"


# Boxes


def a_permit_for_one_box_moves_that_box(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp_on_box("1W", REGULAR, story.box(1), 0, quantity=None)
    yield
    notice = story.last("OCNX", REGULAR)
    assert notice["authorises"] == []
    boxes = {one["number"]: one for one in notice["containers"]}
    assert boxes[story.box(1)]["authorises"] == ["PERMIT_TO_TRANSFER"]
    assert boxes[story.box(2)]["authorises"] == []
    story.cbp_on_box("83", REGULAR, story.box(1), 10, quantity=None)
    yield
    assert [one["authorises"] for one in story.last("OCNX", REGULAR)["containers"]] == [[], []]


def a_hold_on_the_second_box_leaves_the_first_released(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp_on_box("1C", REGULAR, story.box(1), 0, quantity=60, **ENTRY_A)
    story.cbp_on_box("1H", REGULAR, story.box(2), 10, quantity=60)
    yield
    notice = story.last("OCNX", REGULAR)
    assert notice["status"] == "HELD"
    boxes = {one["number"]: (one["stopped"], one["released"]) for one in notice["containers"]}
    assert boxes == {story.box(1): (False, True), story.box(2): (True, False)}
    story.cbp_on_box("1I", REGULAR, story.box(2), 20, quantity=60)
    story.cbp_on_box("1C", REGULAR, story.box(2), 21, quantity=60, **ENTRY_B)
    yield
    assert story.last("OCNX", REGULAR)["kind"] == "release"
    assert all(one["released"] for one in story.last("OCNX", REGULAR)["containers"])


def an_empty_is_released_when_the_ship_arrives(story: Story) -> Iterator[None]:
    story.file(REGULAR, bill_type="12", container_numbers=(story.box(1),), manifested_quantity=None)
    story.cbp("1C", REGULAR, 0, quantity=None)
    yield
    assert story.last("OCNX", REGULAR)["kind"] == "release"
    assert story.status(REGULAR) == "RELEASED"


# Do not load


def a_ships_arrival_does_not_end_a_do_not_load(story: Story) -> Iterator[None]:
    story.roster()
    on_file(story)
    story.cbp("6H", REGULAR, 0)
    story.cbp("19", REGULAR, 60)
    yield
    assert story.last("OCNX", REGULAR)["status"] == "DO_NOT_LOAD"
    story.cbp("1S", REGULAR, 120)
    yield
    assert story.last("OCNX", REGULAR)["status"] == "HELD"
    assert story.last("OCNX", REGULAR)["do_not_load"]


# Time


def a_hold_lifted_within_the_minute_is_lifted(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1H", REGULAR, 15, action_at=at(15) + 10_000, action_second=10)
    yield
    assert story.status(REGULAR) == "HELD"
    story.cbp("1I", REGULAR, 15, action_at=at(15) + 50_000, action_second=50)
    yield
    assert story.status(REGULAR) == "ON_FILE"


# Removals


def a_removal_for_the_bill_does_not_lift_a_boxs_hold(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp_on_box("1H", REGULAR, story.box(1), 0)
    story.cbp("1I", REGULAR, 10)
    yield
    notice = story.last("OCNX", REGULAR)
    assert notice["status"] == "HELD"
    assert "REMOVAL_UNMATCHED" in notice["flags"]
    assert "HOLD_UNSEEN" not in notice["flags"]


def a_removal_of_less_than_was_held_leaves_the_rest_held(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1H", REGULAR, 0)
    story.cbp("1I", REGULAR, 10, quantity=PIECES - 2)
    yield
    notice = story.last("OCNX", REGULAR)
    assert [(hold["code"], hold["quantity"]) for hold in notice["holds"]] == [("1H", 2)]
    assert "REMOVAL_UNMATCHED" not in notice["flags"]


def a_split_of_a_held_bill_says_so_and_is_not_held(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1H", REGULAR, 0)
    story.cbp("55", SPLIT, 10, quantity=40, original_bill=story.key(REGULAR))
    yield
    yield
    notice = story.last("OCNX", SPLIT)
    assert "ORIGINAL_HELD" in notice["flags"]
    assert notice["holds"] == []
    story.cbp("1I", REGULAR, 20)
    yield
    yield
    assert "ORIGINAL_HELD" not in story.last("OCNX", SPLIT)["flags"]


# After a hold


def an_exam_after_the_release_waits_for_a_new_one_or_a_person(story: Story) -> Iterator[None]:
    on_file(story)
    story.cbp("1C", REGULAR, 0, **ENTRY_A)
    story.cbp("7H", REGULAR, 10)
    story.cbp("7I", REGULAR, 20)
    yield
    notice = story.last("OCNX", REGULAR)
    assert (notice["status"], notice["doubts"]) == ("RELEASE_UNCONFIRMED", ["RELEASE_PREDATES_HOLD"])
    story.cbp("1C", REGULAR, 30, **ENTRY_A)
    yield
    assert story.last("OCNX", REGULAR)["kind"] == "release"


def a_release_alone_proves_no_history(story: Story) -> Iterator[None]:
    story.cbp("1C", HOUSE, 0, snps=("OCNX",), **ENTRY_A)
    yield
    assert "HISTORY_INCOMPLETE" in story.last("OCNX", HOUSE)["doubts"]
    assert "release" not in story.kinds("OCNX", HOUSE)


STORIES = (
    inland_cargo_is_released_at_its_in_bond_destination,
    a_release_before_the_arrival_counts_from_the_arrival_on,
    a_declared_destination_frees_nothing,
    a_houses_hold_at_destination_lets_its_master_move,
    an_entry_withdrawn_leaves_the_other,
    an_entry_replaced_in_one_minute_stands,
    an_entry_replaced_in_one_minute_stands_in_the_other_order_too,
    a_permit_for_one_box_moves_that_box,
    a_hold_on_the_second_box_leaves_the_first_released,
    an_empty_is_released_when_the_ship_arrives,
    a_ships_arrival_does_not_end_a_do_not_load,
    a_hold_lifted_within_the_minute_is_lifted,
    a_removal_for_the_bill_does_not_lift_a_boxs_hold,
    a_removal_of_less_than_was_held_leaves_the_rest_held,
    a_split_of_a_held_bill_says_so_and_is_not_held,
    an_exam_after_the_release_waits_for_a_new_one_or_a_person,
    a_release_alone_proves_no_history,
)
