"""Stories of downtime: what is taken on paper or by phone, and what becomes of it when the systems are back."""

from __future__ import annotations

from collections.abc import Iterator

from router.model.inputs import PLACE, ManualEvent, PaperBill, PaperMatch
from tests.checking.samples import at
from tests.stories.stage import Story

HOUSE = "NVXAHBL1"
OTHER_HOUSE = "NVXBHBL2"
PAPER = "SLTCPAPER1"
ELECTRONIC = "SLTCELEC1"
SPLIT = "SLTCPART1"
BY_SLTC = {"carrier_scac": "SLTC", "voyage_number": "X26"}


def on_paper(story: Story) -> None:
    filing = story.filing(PAPER, bill_type="28", container_numbers=(story.box(1),), **BY_SLTC)
    story.fed.append(PaperBill(filing, at(-90), "CBPF1302", "desk", received_at=at(-60)))


def filed(story: Story) -> None:
    story.file(ELECTRONIC, 20, bill_type="28", container_numbers=(story.box(1),), **BY_SLTC)
    paper = story.key(PAPER)
    story.fed.append(PaperMatch(paper[:4], paper[4:], story.key(ELECTRONIC), "desk", at(21)))


def freed(story: Story) -> None:
    story.cbp("1Z", ELECTRONIC, 30, **BY_SLTC)
    story.cbp("1C", ELECTRONIC, 31, **BY_SLTC)


def assert_held(story: Story) -> None:
    assert story.status(ELECTRONIC) == "HELD"
    assert "release" not in story.kinds("SLTC", ELECTRONIC)
    assert all(not notice["authorises"] for notice in story.received("SLTC", ELECTRONIC))


def a_paper_masters_houses_follow_it_to_its_electronic_number(story: Story) -> Iterator[None]:
    story.roster()
    on_paper(story)
    story.cbp("1H", HOUSE, 0, snps=("SLTC",), master_bill=story.key(PAPER), **BY_SLTC)
    yield
    filed(story)
    yield
    freed(story)
    yield
    assert_held(story)
    story.cbp("1I", HOUSE, 40, snps=("SLTC",), master_bill=story.key(PAPER), **BY_SLTC)
    yield
    assert story.last("SLTC", ELECTRONIC)["authorises"] == ["TERMINAL_EXIT"]


def a_paper_masters_houses_follow_it_whatever_comes_first(story: Story) -> Iterator[None]:
    story.roster()
    freed(story)
    filed(story)
    on_paper(story)
    story.cbp("1H", HOUSE, 0, snps=("SLTC",), master_bill=story.key(PAPER), **BY_SLTC)
    yield
    assert_held_in_the_end(story)


def a_house_that_names_the_paper_number_late_stops_the_electronic_bill(story: Story) -> Iterator[None]:
    story.roster()
    on_paper(story)
    filed(story)
    yield
    story.cbp("6H", HOUSE, 25, snps=("SLTC",), master_bill=story.key(PAPER), **BY_SLTC)
    yield
    assert story.status(ELECTRONIC) == "DO_NOT_LOAD"
    story.cbp("6H", OTHER_HOUSE, 26, snps=("SLTC",), master_bill=story.key(ELECTRONIC), **BY_SLTC)
    story.cbp("6I", HOUSE, 27, snps=("SLTC",), master_bill=story.key(PAPER), **BY_SLTC)
    yield
    assert story.status(ELECTRONIC) == "DO_NOT_LOAD"
    story.cbp("6I", OTHER_HOUSE, 28, snps=("SLTC",), master_bill=story.key(ELECTRONIC), **BY_SLTC)
    yield
    assert story.status(ELECTRONIC) != "DO_NOT_LOAD"


def assert_held_in_the_end(story: Story) -> None:
    assert story.status(ELECTRONIC) == "HELD"
    kinds = story.kinds("SLTC", ELECTRONIC)
    assert kinds[-1] != "release"
    assert "release" not in kinds or "hold" in kinds[kinds.index("release") :]


def a_hold_relayed_by_phone_stands_on_a_bill_that_nobody_knows_yet(story: Story) -> Iterator[None]:
    bill = story.key(HOUSE)
    said = at(0)
    story.fed.append(
        ManualEvent(bill[:4], bill[4:], f"call {story.number}", PLACE, said, "desk", "phone", "6H", received_at=said)
    )
    yield
    assert story.last("NVXA", HOUSE)["status"] == "DO_NOT_LOAD"
    assert "MANUAL" in story.last("NVXA", HOUSE)["flags"]
    story.cbp("6H", HOUSE, 5, snps=("SLTC",))
    yield
    assert [hold["kind"] for hold in story.last("SLTC", HOUSE)["holds"]] == ["CBP"]
    story.cbp("6I", HOUSE, 50, snps=("SLTC",))
    yield
    assert story.status(HOUSE) == "ON_FILE"


STORIES = (
    a_paper_masters_houses_follow_it_to_its_electronic_number,
    a_paper_masters_houses_follow_it_whatever_comes_first,
    a_house_that_names_the_paper_number_late_stops_the_electronic_bill,
    a_hold_relayed_by_phone_stands_on_a_bill_that_nobody_knows_yet,
)
