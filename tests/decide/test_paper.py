"""Bills taken on paper, and what is said again when they are filed electronically."""

from __future__ import annotations

from typing import Any, Final

import pytest

from router import topics
from router.model.inputs import Filing, ManualEvent, PaperBill, PaperMatch
from router.model.registry_values import Party
from tests.checking.harness import Harness
from tests.checking.replay import check
from tests.checking.samples import BOX, HOUSE, OTHER_HOUSE, PARTIES, START, at, event, filing, sailing

PAPER: Final = "NVXAPAPER0000001"


def paper(bill: str = PAPER, minute: int = 0, **more: Any) -> PaperBill:
    return PaperBill(filing(bill, 0, **more), at(minute), "CBPF1302", "J. Doe", "INC1", at(minute))


def match(paper_bill: str = PAPER, electronic: str = HOUSE, minute: int = 500) -> PaperMatch:
    return PaperMatch(paper_bill[:4], paper_bill[4:], electronic, "J. Doe", at(minute))


def phoned(code: str = "6H", minute: int = 60, action: str = "PLACE", quantity: int | None = None) -> ManualEvent:
    place = ("m1", action, at(minute), "J. Doe", "phone", code)
    return ManualEvent(PAPER[:4], PAPER[4:], *place, quantity=quantity, received_at=at(minute))


@pytest.fixture
def harness() -> Harness:
    harness = Harness(3, now=START)
    harness.roster(*PARTIES, sailing())
    return harness


def feed(harness: Harness, *values: Any) -> None:
    harness.decide(*values)
    assert check(harness.records(topics.TIMELINE), harness.party_records(), harness.rules) == []


def gist(harness: Harness, scac: str, key: str) -> list[tuple[str, str]]:
    return [(notice["kind"], notice["cause"]) for notice in harness.notices(scac, key)]


def test_a_paper_bill_counts_as_a_filing_and_tells_nobody(harness: Harness) -> None:
    feed(harness, paper())
    assert harness.party_records() == []
    feed(harness, event("1C", 5, bill=PAPER))
    assert harness.status(PAPER) == "RELEASED", "its quantity and its history are known"


def test_its_electronic_filing_under_the_same_number_tells_all_of_it_again_once(harness: Harness) -> None:
    feed(harness, paper(), phoned(), filing(PAPER, 500))
    for scac in ("NVXA", "OCNX", "SLTC", "THRD"):
        hold, again = harness.notices(scac, PAPER)
        assert (hold["kind"], hold["cause"], hold["flags"]) == ("hold", "OPERATOR", ("MANUAL",))
        assert (again["kind"], again["cause"]) == ("hold", "REISSUE")
        assert "REISSUED" in again["flags"]
        assert again["covers"] == (hold["event_id"],)
        assert [held["kind"] for held in again["holds"]] == ["MANUAL"]


def test_again_or_in_another_order_it_changes_nothing(harness: Harness) -> None:
    feed(harness, paper(), phoned(), filing(PAPER, 500))
    before = len(harness.party_records())
    feed(harness, filing(PAPER, 500), filing(PAPER, 900), paper(), paper(minute=900), phoned())
    assert len(harness.party_records()) == before


def test_what_is_filed_electronically_is_never_taken_for_paper(harness: Harness) -> None:
    feed(harness, filing(PAPER), phoned(), paper(minute=100))
    state = harness.state(PAPER)
    assert state is not None
    assert state.downtime is not None
    assert state.downtime.paper is None


def test_an_electronic_filing_that_was_taken_in_before_the_paper_one_was_entered_counts(harness: Harness) -> None:
    feed(harness, paper(minute=100), filing(PAPER, 50))
    state = harness.state(PAPER)
    assert state is not None
    assert not state.downtime.is_on_paper  # type: ignore[union-attr]
    assert isinstance(state.facts.filing, Filing)
    assert state.facts.filing.received_at == at(50)


def test_a_paper_bill_can_be_corrected(harness: Harness) -> None:
    feed(harness, paper(), paper(minute=10, manifested_quantity=40), event("1C", 20, 40, bill=PAPER))
    assert harness.status(PAPER) == "RELEASED"


# Under another number


def test_filed_under_another_number_all_of_it_is_told_under_that_one_once(harness: Harness) -> None:
    feed(harness, paper(), phoned(), filing(HOUSE, 400), match())
    assert harness.status(HOUSE) == "DO_NOT_LOAD"
    for scac in ("NVXA", "OCNX", "SLTC", "THRD"):
        (hold,) = harness.notices(scac, PAPER)
        again = next(notice for notice in harness.notices(scac, HOUSE) if notice["cause"] == "REISSUE")
        assert again["kind"] == "hold"
        assert again["bill_of_lading"] == HOUSE[4:]
        assert again["flags"] == ("REISSUED",)
        assert again["covers"] == (hold["event_id"],)
        assert gist(harness, scac, HOUSE).count(("hold", "REISSUE")) == 1


def test_the_old_number_is_quiet_then_and_repeats_change_nothing(harness: Harness) -> None:
    feed(harness, paper(), phoned(), filing(HOUSE, 400), match())
    before = len(harness.party_records())
    feed(harness, match(), match(electronic=OTHER_HOUSE), paper(), phoned())
    harness.roster(sailing(lines=()), sailing())
    harness.pump()
    assert [one for one in harness.party_records()[before:] if one.key == PAPER.encode()] == []
    other = harness.state(OTHER_HOUSE)
    assert other is not None
    assert (other.is_notifiable, other.downtime, other.index_facts) == (False, None, {}), "nothing is left of it"


def test_who_has_no_ground_under_the_new_number_hears_that_once_under_the_old_one(harness: Harness) -> None:
    feed(harness, paper(snps=("NVXB",)), phoned(), filing(HOUSE, 400), match())
    assert gist(harness, "NVXB", PAPER) == [("hold", "OPERATOR"), ("change", "NO_LONGER_NOTIFIED")]
    assert harness.notices("NVXB", HOUSE) == []
    assert gist(harness, "NVXA", PAPER) == [("hold", "OPERATOR")]


def test_what_is_phoned_under_the_old_number_comes_to_the_new_one(harness: Harness) -> None:
    feed(harness, paper(), filing(HOUSE, 400), match(), phoned(minute=600))
    assert harness.status(HOUSE) == "DO_NOT_LOAD"
    assert ("hold", "OPERATOR") in gist(harness, "NVXA", HOUSE)
    assert harness.notices("NVXA", PAPER) == []
    assert harness.status(PAPER) == "ON_FILE"


def test_what_cbp_still_sends_under_the_old_number_is_told_and_flagged(harness: Harness) -> None:
    feed(harness, paper(), filing(HOUSE, 400), match(), event("1H", 600, bill=PAPER))
    (notice,) = harness.notices("NVXA", PAPER)
    assert (notice["kind"], notice["flags"]) == ("hold", ("REISSUED",))


def test_who_was_told_that_it_may_be_delivered_is_stopped_under_the_new_number(harness: Harness) -> None:
    feed(harness, paper(), phoned("1C", 60, "RELEASE", 100), filing(HOUSE, 400, manifested_quantity=200), match())
    assert harness.kinds("NVXA", PAPER) == ["release"]
    assert harness.kinds("NVXA", HOUSE) == ["hold"]


def test_no_box_is_let_go_while_a_hold_is_handed_over(harness: Harness) -> None:
    """Whatever interleaving: the other bill in the box never hears that it moves again."""
    feed(harness, filing(OTHER_HOUSE, container_numbers=(BOX,)), event("1C", 1, bill=OTHER_HOUSE))
    feed(harness, paper(), phoned(), filing(HOUSE, 400))
    assert harness.kinds("NVXB", OTHER_HOUSE) == ["release", "hold"]
    harness.feed(match())
    for turn in range(30):
        harness.transact(turn % 3, 1)
    harness.pump()
    assert "release" not in harness.kinds("NVXB", OTHER_HOUSE)[1:]
    assert harness.status(OTHER_HOUSE) == "DO_NOT_LOAD"


def test_a_party_that_can_not_be_reached_waits_for_the_reissue(harness: Harness) -> None:
    feed(harness, paper(), phoned())
    harness.roster(Party("SLTC", status="suspended"))
    feed(harness, filing(HOUSE, 400), match())
    assert "SLTC" in harness.latest(topics.WAITING)[HOUSE]["parties"]
    harness.roster(Party("SLTC"))
    harness.pump()
    (notice,) = harness.notices("SLTC", HOUSE)
    assert (notice["kind"], notice["cause"]) == ("hold", "CATCH_UP")


def test_a_match_may_come_before_the_filing(harness: Harness) -> None:
    feed(harness, paper(), phoned(), match(), filing(HOUSE, 600))
    assert harness.status(HOUSE) == "DO_NOT_LOAD"
    assert {notice["kind"] for notice in harness.notices("OCNX", HOUSE)} == {"hold"}


def test_a_restart_in_the_middle_of_a_handover_changes_nothing(harness: Harness) -> None:
    feed(harness, paper(snps=("NVXB",)), phoned(), filing(HOUSE, 400))
    harness.feed(match())
    for turn in range(12):
        harness.transact(turn % 3, 1)
        harness.restart(turn % 3)
    feed(harness)
    harness.pump()
    assert gist(harness, "NVXB", PAPER) == [("hold", "OPERATOR"), ("change", "NO_LONGER_NOTIFIED")]
    assert gist(harness, "NVXA", HOUSE).count(("hold", "REISSUE")) == 1
