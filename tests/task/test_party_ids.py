"""Second notify parties by SCAC, FIRMS code and ABI routing code: who waits, and what comes once it is registered."""

from __future__ import annotations

from typing import Any

import pytest

from router import topics
from router.model.party_ids import IdType
from router.model.registry_values import Party
from tests.checking.harness import Harness
from tests.checking.samples import HOUSE, PARTIES, START, event, filing, sailing


@pytest.fixture
def harness() -> Harness:
    harness = Harness(2, now=START)
    harness.roster(*PARTIES, sailing())
    return harness


def waiting(harness: Harness) -> list[tuple[str, str]]:
    """Reasons and parties of the bills that wait."""
    found: dict[str, Any] = harness.latest(topics.WAITING)
    return [pair for record in found.values() for pair in zip(record["reasons"], record["parties"], strict=True)]


@pytest.mark.parametrize(
    ("snp", "id_type", "waits"),
    [
        ("Z999", "FIRMS", "FIRMS:Z999"),
        ("2:Z999", "FIRMS", "FIRMS:Z999"),
        ("17:2704ABC01", "ABI", "ABI:2704ABC01"),
        ("ABCD", "FIRMS", "ABCD"),
        ("FIRMS:ABCD", "FIRMS", "FIRMS:ABCD"),
    ],
)
def test_an_unknown_snp_waits_visibly_and_gets_the_status_once_registered(
    harness: Harness, snp: str, id_type: IdType, waits: str
) -> None:
    harness.decide(filing(snps=("OCNX", snp)), event("6H", 1))
    assert waiting(harness) == [("PARTY_UNKNOWN", waits)]
    party = Party(snp.rpartition(":")[2], id_type=id_type)
    harness.roster(party)
    harness.pump()
    assert (waiting(harness), harness.kinds(party.id)) == ([], ["hold"])
    (notice,) = harness.notices(party.id, HOUSE)
    assert (notice["recipient"], notice["roles"], notice["do_not_load"]) == (party.id, ("SNP",), True)
    harness.decide(event("6I", 2))
    assert harness.kinds(party.id) == ["hold", "change"]


def test_an_external_terminal_is_shown_and_never_waited_for(harness: Harness) -> None:
    harness.roster(Party("Z999", status="external", id_type="FIRMS"))
    harness.decide(filing(snps=("OCNX", "Z999")), event("6H", 1))
    assert waiting(harness) == []


def test_a_party_named_by_two_of_its_ids_gets_one_notice(harness: Harness) -> None:
    harness.roster(Party("SLTC", aliases=("Z999",)))
    harness.decide(filing(snps=("SLTC", "2:Z999")), event("6H", 1))
    assert harness.kinds("SLTC") == ["hold"]
