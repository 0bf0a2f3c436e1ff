"""The code table: CBP's codes as data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from router.decide.codes import Effect, load_codes
from router.errors import UsageError
from router.model.inputs import Disposition

TABLE = load_codes()


def of_code(code: str, *, reversal: bool = False) -> Disposition:
    return Disposition("NVXA", "B1", code, 0, reversal=reversal)


def test_no_code_is_lost_from_the_table_and_it_has_a_version() -> None:
    assert len(TABLE.codes) == 461
    assert re.fullmatch(r"20\d\d-\d\d", TABLE.version)


def test_every_code_has_a_meaning_an_agency_and_a_provenance() -> None:
    assert all(code.meaning and code.agency and code.provenance for code in TABLE.codes.values())


def test_do_not_load_is_6h_2q_and_2r_and_nothing_else() -> None:
    assert {code.code for code in TABLE.codes.values() if code.do_not_load} == {"6H", "2Q", "2R"}


def test_the_pga_codes_are_280_in_quads_without_w() -> None:
    """F0 to MZ, second character 0-9 and A-Z but W: hold, hold at destination, and what lifts each."""
    second = "0123456789ABCDEFGHIJKLMNOPQRSTUVXYZ"
    names = [first + place for first in "FGHIJKLM" for place in second]
    assert len(names) == 280
    for start in range(0, 280, 4):
        here, there, lifts_here, lifts_there = (TABLE.codes[name] for name in names[start : start + 4])
        assert (here.effect, there.effect) == (Effect.PLACE, Effect.PLACE)
        assert (here.pair, there.pair) == ({lifts_here.code}, {lifts_there.code})
        assert (here.at_destination, there.at_destination) == (False, True)


def named(column: str, value: object = True) -> set[str]:
    return {code.code for code in TABLE.codes.values() if getattr(code, column) == value}


def test_arrivals_in_bond_set_move_and_take_back_a_place() -> None:
    assert named("arrival", "recorded") == {"11", "12", "13"}
    assert named("arrival", "changed") == {"57", "58", "59"}
    assert named("arrival", "deleted") == {"63", "64", "65"}


def test_only_an_event_of_the_cargo_itself_shows_it_in_the_us() -> None:
    """Neither the vessel's arrival (19, AAD) nor an intermediate one does."""
    assert named("shown_in_us") == {"11", "12", "13", "1B", "1S", "1U", "BE"}


def test_arrival_export_and_general_order_end_authorities_to_move() -> None:
    assert named("ends_authorities") == {"11", "12", "13", "BE", "50", "51", "52", "1S", "1U"}


@pytest.mark.parametrize("code", ["4H", "5H", "2O", "MI", "I3"])
def test_letters_carry_no_meaning(code: str) -> None:
    assert TABLE.codes["MI"].effect is Effect.LIFT
    assert TABLE.codes["I3"].effect is Effect.PLACE
    assert code in TABLE.codes


@pytest.mark.parametrize(
    "code", ["1H", "6H", "2Q", "I3", "1A", "1T", "A3", "4A", "4E", "14", "15", "16", "4Z", "83", "95"]
)
def test_what_places_blocks_or_takes_back_is_urgent(code: str) -> None:
    assert TABLE.is_urgent(of_code(code))


@pytest.mark.parametrize("code", ["1C", "1B", "4C", "1I", "6I", "1J", "55", "54", "69", "1M", "19"])
def test_releases_removals_and_news_never_overtake(code: str) -> None:
    assert not TABLE.is_urgent(of_code(code))


@pytest.mark.parametrize("code", ["1C", "1J", "1I"])
def test_a_release_or_removal_that_is_reversed_is_urgent(code: str) -> None:
    assert TABLE.is_urgent(of_code(code, reversal=True))


def test_an_unknown_code_is_urgent() -> None:
    assert TABLE.is_urgent(of_code("ZZ"))


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    return tmp_path / "ours.csv"


def test_codes_can_be_added_and_replaced_and_the_version_says_so(extra: Path) -> None:
    extra.write_text(
        "code,meaning,agency,effect,pair\nzz,a new hold,CBP,PLACE,ZY\nZY,removes it,CBP,LIFT,ZZ\n1M,x,CBP,ALERT,\n"
    )
    table = load_codes(extra)
    assert table.codes["ZZ"].pair == {"ZY"}
    assert table.codes["1M"].effect is Effect.ALERT
    assert len(table.codes) == len(TABLE.codes) + 2
    assert table.version == f"{TABLE.version}+ours.csv"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("code,meaning\n", "agency, effect"),
        ("code,meaning,agency,effect\nZZ,x,CBP,STOP\n", "code 'ZZ'"),
        ("code,meaning,agency,effect,authority\nZZ,x,CBP,MOVE,EXIT\n", "authority 'EXIT'"),
        ("code,meaning,agency,effect,arrival\nZZ,x,CBP,INFO,yes\n", "arrival 'yes'"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(extra: Path, text: str, complaint: str) -> None:
    extra.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        load_codes(extra)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("ZZ,PLACE,,,", "ZZ .PLACE. and a LIFT must name each other"),
        ("ZZ,PLACE,ZY,,\nZY,LIFT,,,", "ZY .LIFT. and a PLACE must name each other"),
        ("ZZ,PLACE,1I,,", "ZZ .PLACE. and a LIFT"),
        ("1H,INFO,,,", "1I .LIFT. and a PLACE"),
        ("ZZ,PLACE,ZY,,", "ZZ names ZY, which is not in the table"),
        ("ZZ,RELEASE,,,", "ZZ .RELEASE. is in the column cancels of no REVOKE"),
        ("ZZ,MOVE,,,EXAM_TRANSFER", "ZZ .MOVE. is in the column cancels of no REVOKE"),
        ("ZZ,REVOKE,,ZX,", "ZZ names ZX, which is not in the table"),
    ],
)
def test_codes_that_contradict_each_other_are_refused(extra: Path, rows: str, complaint: str) -> None:
    """A removal that lifts nothing, or a release that is never taken back, would be noticed with cargo at stake."""
    extra.write_text(f"code,effect,pair,cancels,authority,meaning,agency\n{rows}\n")
    with pytest.raises(UsageError, match=complaint):
        load_codes(extra)


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        load_codes(tmp_path / "nowhere.csv")
