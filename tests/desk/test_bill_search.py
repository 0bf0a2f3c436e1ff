"""A search finds what a duty officer types, written as on the door, the bill or the telephone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.decide.registry import Registry
from router.decide.rules import Rules
from router.desk.bill_index import FOLLOWED, BillIndex
from router.desk.bill_search import SearchResult, search
from router.desk.box_views import box_number, box_view
from router.desk.index_following import IndexProgress, current_index
from router.engine.administration import read_registry
from router.errors import UsageError
from router.log.url import open_log

BILL, MASTER = "NVXAHBL000012345", "SLTCMB7781234"
NOW = 1_785_000_000_000


@pytest.fixture
async def found_in(demo_log: Path, tmp_path: Path) -> AsyncIterator[tuple[BillIndex, Registry]]:
    async with (
        open_log(f"sqlite:///{demo_log}") as log,
        current_index(tmp_path / "index.db", log, Rules(), lambda progress: None) as index,
    ):
        yield index, await read_registry(log)


def bills_of(result: SearchResult, kind: str) -> set[str]:
    return {row.bill for group in result.bills if group.kind == kind for row in group.page.rows}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (BILL, "bill"),
        ("NVXA HBL000012345", "bill"),
        ("nvxa-hbl000012345", "bill"),
        ("HBL000012345", "bill"),
        ("12345", "bill"),
        ("CSQU3054383", "container"),
        ("CSQU 305438-3", "container"),
        ("csqu 305438", "container"),
        ("CSQU305", "container"),
        ("305438", "container"),
        (MASTER, "master"),
        ("SLTC MB7781234", "master"),
    ],
)
async def test_a_bill_is_found_by_any_of_its_numbers(
    found_in: tuple[BillIndex, Registry], text: str, kind: str
) -> None:
    assert BILL in bills_of(await search(*found_in, text, NOW), kind)


@pytest.mark.parametrize("text", ["OCEAN EX", "ocean  exemplar", "9074729", "Ocean Exemplar S26E", "9074729 s26e"])
async def test_a_vessel_is_found_with_or_without_its_voyage(found_in: tuple[BillIndex, Registry], text: str) -> None:
    result = await search(*found_in, text, NOW)
    assert {vessel.imo_number for vessel in result.vessels} == {"9074729"}
    assert sum(vessel.bills for vessel in result.vessels) >= 1
    assert "EXEMPLAR-026E" in {sailing.sailing_id for sailing in result.sailings}


@pytest.mark.parametrize("text", ["026E", "26E", "Ocean Exemplar 026E", "9074729 26e", "S26E"])
async def test_a_sailing_is_found_by_the_voyage_number_of_any_line(
    found_in: tuple[BillIndex, Registry], text: str
) -> None:
    result = await search(*found_in, text, NOW)
    assert [sailing.sailing_id for sailing in result.sailings] == ["EXEMPLAR-026E"]


async def test_sailings_parties_and_ports_are_found(found_in: tuple[BillIndex, Registry]) -> None:
    assert [one.sailing_id for one in (await search(*found_in, "exemplar-026e", NOW)).sailings] == ["EXEMPLAR-026E"]
    assert [one.id for one in (await search(*found_in, "sltc", NOW)).parties] == ["SLTC"]
    (port,) = (await search(*found_in, "2704", NOW)).ports
    assert (port.name, port.bills > 0) == ("Los Angeles, CA", True)
    assert "2704" in {one.port for one in (await search(*found_in, "los ang", NOW)).ports}


async def test_a_wrong_check_digit_finds_the_box_and_is_named(found_in: tuple[BillIndex, Registry]) -> None:
    result = await search(*found_in, "CSQU 305438-4", NOW)
    assert BILL in bills_of(result, "container")
    assert result.remark is not None
    assert "is 3, not 4" in result.remark


@pytest.mark.parametrize("text", ["", " ", "*", "%", "NOTHING HAS THIS", "\x00", "漢字"])
async def test_nothing_is_found_by_what_names_nothing(found_in: tuple[BillIndex, Registry], text: str) -> None:
    assert (await search(*found_in, text, NOW)).is_empty


async def test_a_box_has_every_known_bill(found_in: tuple[BillIndex, Registry]) -> None:
    box = await box_view(*found_in, Rules(), box_number("csqu 305438"), NOW)
    assert box.number == "CSQU3054383"
    assert BILL in {one.row.bill for one in box.bills}
    assert len(box.bills) == len(bills_of(await search(*found_in, "CSQU3054383", NOW), "container"))


def test_another_check_digit_is_no_box() -> None:
    with pytest.raises(UsageError, match="check digit of CSQU305438 is 3"):
        box_number("CSQU 305438-4")
    with pytest.raises(UsageError, match="is not a container"):
        box_number("HBL000012345")


async def test_an_index_is_built_with_progress_and_then_only_continued(demo_log: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def note(progress: IndexProgress) -> None:
        seen.append((progress.done, progress.total))

    async with open_log(f"sqlite:///{demo_log}") as log:
        records = sum([sum((await log.end_offsets(topic)).values()) for topic in FOLLOWED])
        for total in (records, 0):
            async with current_index(tmp_path / "index.db", log, Rules(), note) as index:
                assert await index.statuses() != {}
            assert seen[0] == (0, total)
            assert seen[-1] == (total, total)
            seen.clear()
