"""Stories of recipients: a stop reaches everyone who may be concerned, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from tests.checking.samples import called
from tests.stories.stage import Story

HOUSE = "NVXAHBL1"
OTHER_HOUSE = "NVXBHBL2"
MASTER = "OCNXMB1"
BY_SLTC = {"carrier_scac": "SLTC", "voyage_number": "X26"}


def a_typo_in_the_voyage_number_dismisses_nobody(story: Story) -> Iterator[None]:
    story.roster()
    story.cbp("6H", HOUSE, 0, snps=("SLTC",), **BY_SLTC)
    yield
    assert story.last("OCNX", HOUSE)["do_not_load"]
    story.cbp("56", HOUSE, 60, **BY_SLTC | {"voyage_number": "X2"})
    yield
    assert "NO_LONGER_NOTIFIED" not in [notice["cause"] for notice in story.received("OCNX", HOUSE)]
    story.cbp("2Q", HOUSE, 120, **BY_SLTC | {"voyage_number": "X2"})
    yield
    assert story.last("OCNX", HOUSE)["disposition_code"] == "2Q"
    assert story.last("OCNX", HOUSE)["kind"] == "hold"


def an_amended_filing_with_a_typo_dismisses_nobody(story: Story) -> Iterator[None]:
    story.roster()
    story.file(HOUSE, snps=("SLTC",), **BY_SLTC)
    story.cbp("6H", HOUSE, 0, **BY_SLTC)
    yield
    assert story.last("OCNX", HOUSE)["do_not_load"]
    story.file(HOUSE, 30, snps=("SLTC",), **BY_SLTC | {"voyage_number": "Y62"})
    yield
    assert "NO_LONGER_NOTIFIED" not in [notice["cause"] for notice in story.received("OCNX", HOUSE)]


def a_bill_moved_to_another_known_ship_changes_its_recipients(story: Story) -> Iterator[None]:
    other = f"{int(story.imo[:6]) + 400}"
    other += str(sum(int(digit) * (7 - index) for index, digit in enumerate(other)) % 10)
    moved = story.sailing(sailing_id=f"MOVED{story.number}", imo_number=other, vessel_name="THE OTHER SHIP")
    lines = tuple(line._replace(scac="THRD") if line.role == "operator" else line for line in moved.lines[:2])
    story.roster(story.sailing(), moved._replace(lines=lines))
    story.cbp("6H", HOUSE, 0, snps=("SLTC",), **BY_SLTC)
    yield
    assert story.last("OCNX", HOUSE)["do_not_load"]
    story.cbp("56", HOUSE, 60, **BY_SLTC | {"imo_number": other, "vessel_name": "THE OTHER SHIP"})
    yield
    assert story.last("OCNX", HOUSE)["cause"] == "NO_LONGER_NOTIFIED"
    assert story.last("THRD", HOUSE)["do_not_load"]


def one_record_per_port_call_is_one_sailing(story: Story) -> Iterator[None]:
    story.roster(
        story.sailing(sailing_id=f"LA{story.number}"),
        story.sailing(sailing_id=f"OAK{story.number}", calls=called("2026-07-31")),
    )
    story.cbp("6H", HOUSE, 0, snps=("SLTC",), **BY_SLTC)
    yield
    assert story.last("OCNX", HOUSE)["do_not_load"]
    assert story.last("THRD", HOUSE)["do_not_load"]
    assert "SAILING_UNKNOWN" not in story.last("OCNX", HOUSE)["flags"]


def the_same_voyage_number_three_weeks_later_is_another_sailing(story: Story) -> Iterator[None]:
    story.roster(story.sailing(), story.sailing(sailing_id=f"NEXT{story.number}", calls=called("2026-08-18")))
    story.cbp("6H", HOUSE, 0, snps=("SLTC",), **BY_SLTC)
    yield
    assert story.last("OCNX", HOUSE)["do_not_load"]
    assert "SAILING_ASSUMED" not in story.last("OCNX", HOUSE)["flags"]


def a_message_without_imo_number_stops_aboard_by_the_vessels_name(story: Story) -> Iterator[None]:
    story.roster()
    story.cbp("6H", HOUSE, 0, snps=("SLTC",), **BY_SLTC | {"imo_number": None})
    yield
    notice = story.last("OCNX", HOUSE)
    assert notice["do_not_load"]
    assert "SAILING_ASSUMED" in notice["flags"]
    assert notice["entry_number"] is None
    assert notice["quantity"] is None
    assert not story.received("THRD", HOUSE)
    story.cbp("70", HOUSE, 10, **BY_SLTC | {"imo_number": None})
    story.cbp("6I", HOUSE, 20, **BY_SLTC | {"imo_number": None})
    yield
    assert "70" not in story.codes("OCNX", HOUSE)
    assert not story.last("OCNX", HOUSE)["do_not_load"]


def a_manifest_carrier_missing_from_the_roster_does_not_hide_the_ship(story: Story) -> Iterator[None]:
    story.roster()
    story.cbp("6H", HOUSE, 0, snps=("SLTC",), carrier_scac="NEWL", voyage_number="026E")
    yield
    assert story.last("OCNX", HOUSE)["do_not_load"]


def leading_zeros_of_a_voyage_number_make_no_difference(story: Story) -> Iterator[None]:
    story.roster()
    story.cbp("6H", HOUSE, 0, snps=("SLTC",), carrier_scac="OCNX", voyage_number="26E")
    yield
    assert story.last("THRD", HOUSE)["do_not_load"]
    assert "SAILING_UNKNOWN" not in story.last("OCNX", HOUSE)["flags"]


def a_house_without_containers_stops_its_master_from_loading(story: Story) -> Iterator[None]:
    story.roster()
    boxes = (story.box(1), story.box(2))
    story.file(MASTER, bill_type="28", container_numbers=boxes)
    story.cbp("55", MASTER, 0, container_numbers=boxes)
    story.cbp("6H", HOUSE, 1, snps=("SLTC",), master_bill=story.key(MASTER))
    yield
    yield
    notice = story.last("OCNX", MASTER)
    assert notice["status"] == "DO_NOT_LOAD"
    assert notice["do_not_load"]
    assert {one["number"]: one["do_not_load"] for one in notice["containers"]} == dict.fromkeys(boxes, True)
    assert not story.received("NVXB", OTHER_HOUSE)
    story.cbp("6I", HOUSE, 30, snps=("SLTC",), master_bill=story.key(MASTER))
    yield
    yield
    assert not story.last("OCNX", MASTER)["do_not_load"]


def penalties_and_releases_of_a_charterers_bill_are_not_the_operators_business(story: Story) -> Iterator[None]:
    story.roster()
    story.file("SLTCREG1", bill_type="00", **BY_SLTC)
    story.cbp("70", "SLTCREG1", 0, **BY_SLTC)
    story.cbp("1C", "SLTCREG1", 1, **BY_SLTC)
    yield
    assert not story.received("OCNX", "SLTCREG1")
    assert story.last("SLTC", "SLTCREG1")["kind"] == "release"
    story.cbp("1H", "SLTCREG1", 2, **BY_SLTC)
    story.cbp("1I", "SLTCREG1", 3, **BY_SLTC)
    yield
    assert story.codes("OCNX", "SLTCREG1") == ["1H", "1I"]


def a_line_is_no_co_loader(story: Story) -> Iterator[None]:
    story.roster()
    story.file(HOUSE, snps=("SLTC",), container_numbers=(story.box(),), **BY_SLTC)
    story.file(OTHER_HOUSE, snps=("SLTC",), container_numbers=(story.box(),), **BY_SLTC)
    story.cbp("55", OTHER_HOUSE, 0, container_numbers=(story.box(),), **BY_SLTC)
    story.cbp("6H", HOUSE, 1, container_numbers=(story.box(),), **BY_SLTC)
    yield
    yield
    assert "CO_LOADER" in story.last("NVXB", OTHER_HOUSE)["roles"]
    assert "CO_LOADER" not in story.last("SLTC", OTHER_HOUSE)["roles"]
    assert [hold["kind"] for hold in story.last("NVXB", OTHER_HOUSE)["holds"]] == ["BOX"]
    assert story.last("NVXB", OTHER_HOUSE)["holds"][0]["because_of"] is None
    assert story.last("SLTC", OTHER_HOUSE)["holds"][0]["because_of"] == story.key(HOUSE)


STORIES = (
    a_typo_in_the_voyage_number_dismisses_nobody,
    an_amended_filing_with_a_typo_dismisses_nobody,
    a_bill_moved_to_another_known_ship_changes_its_recipients,
    one_record_per_port_call_is_one_sailing,
    the_same_voyage_number_three_weeks_later_is_another_sailing,
    a_message_without_imo_number_stops_aboard_by_the_vessels_name,
    a_manifest_carrier_missing_from_the_roster_does_not_hide_the_ship,
    leading_zeros_of_a_voyage_number_make_no_difference,
    a_house_without_containers_stops_its_master_from_loading,
    penalties_and_releases_of_a_charterers_bill_are_not_the_operators_business,
    a_line_is_no_co_loader,
)
