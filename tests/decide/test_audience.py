"""Who is told of a bill, by which rule, and what each may see."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from router.decide import audience as audience_module
from router.decide.audience import Audience, Disclosure, audience_key, audience_of, grounds_of
from router.decide.cargo_facts import Cargo
from router.decide.registry import Registry
from router.decide.roster import same_name
from router.engine.administration import id_conflicts
from router.model.registry_values import Line, Party, RegistryNote, Sailing
from tests.checking.samples import ABOARD, HOUSE, IMO, MASTER, called, cargo, sailing
from tests.decide.one_bill import registry_of

LOADED = cargo(**ABOARD)


def loaded(snps: tuple[str, ...] = (), bill_type: str | None = None, **changes: Any) -> Cargo:
    return cargo(bill_type, snps, **ABOARD | changes)


def audience(
    known: Cargo = LOADED, bill: str = HOUSE, in_box: bool = False, registry: Registry | None = None
) -> Audience:
    return audience_of(bill, known, in_box, registry or registry_of())


def grants(operator: str = "own", charterer: str = "own") -> Registry:
    lines = (Line("OCNX", "operator", "026E", operator), Line("THRD", "charterer", "T26", charterer))
    return registry_of(sailing(lines=lines))


def test_rule_1_the_filer() -> None:
    member = audience(Cargo()).recipients["NVXA"]
    assert (member.roles, member.disclosure, member.scope) == (("FILER",), Disclosure.FULL, "all")


def test_rule_2_each_second_notify_party_however_many() -> None:
    found = audience(cargo(snps=("OCNX", "2:SLTC", "SCAC:THRD"))).recipients
    assert {scac for scac, member in found.items() if "SNP" in member.roles} == {"OCNX", "SLTC", "THRD"}


FIRMS = Party("Z999", id_type="FIRMS")
BROKER = Party("2704ABC01", id_type="ABI")


@pytest.mark.parametrize("snp", ["Z999", "2:Z999", "FIRMS:Z999"])
def test_rule_2_a_terminal_is_named_by_its_firms_code(snp: str) -> None:
    found = audience(cargo(snps=(snp,)), registry=registry_of(FIRMS)).recipients["Z999"]
    assert (found.roles, found.disclosure, found.topic) == (("SNP",), Disclosure.FULL, "snp.party.Z999")
    waiting = audience(cargo(snps=(snp,))).recipients["FIRMS:Z999"]
    assert (waiting.topic, waiting.unreachable) == (None, "PARTY_UNKNOWN")


@pytest.mark.parametrize("snp", ["2704ABC01", "17:2704ABC01", "ABI:2704ABC01"])
def test_rule_2_a_broker_is_named_by_its_abi_routing_code(snp: str) -> None:
    assert audience(cargo(snps=(snp,)), registry=registry_of(BROKER)).recipients["2704ABC01"].topic is not None
    assert audience(cargo(snps=(snp,))).recipients["ABI:2704ABC01"].unreachable == "PARTY_UNKNOWN"


def test_rule_2_an_id_of_unknown_type_or_shape_waits_as_it_is_spelled() -> None:
    for snp in ("9:ABCD", "FIRMS:AB", "17:ABCD", "A B", ":"):
        assert audience(cargo(snps=(snp,))).recipients[snp].unreachable == "PARTY_UNKNOWN"


def test_rule_2_of_four_letters_without_a_type_the_registered_party_is_meant() -> None:
    terminal, line = Party("ABCD", id_type="FIRMS"), Party("ABCD")
    for party in (terminal, line):
        for snp in ("ABCD", "2:ABCD"):
            assert audience(cargo(snps=(snp,)), registry=registry_of(party)).recipients["ABCD"].topic == party.topic
    assert audience(cargo(snps=("ABCD",))).recipients["ABCD"].unreachable == "PARTY_UNKNOWN"


def test_an_id_that_fits_two_types_waits_and_says_so() -> None:
    unknown, registered = registry_of(), registry_of(Party("ABCD"))
    rules = [
        grounds_of(audience_key(HOUSE, cargo(snps=("ABCD",)), False), None, one)[1].rule
        for one in (unknown, registered)
    ]
    assert rules == ["2: second notify party on the bill, by SCAC or FIRMS", "2: second notify party on the bill"]


def test_the_same_id_of_another_type_is_another_party_and_gets_nothing() -> None:
    terminal, line = registry_of(Party("ABCD", id_type="FIRMS")), registry_of(Party("ABCD"))
    assert audience(cargo(snps=("SCAC:ABCD",)), registry=terminal).recipients["SCAC:ABCD"].topic is None
    assert audience(cargo(snps=("FIRMS:ABCD",)), registry=line).recipients["FIRMS:ABCD"].topic is None
    issued = audience(Cargo(), bill="ABCD1", registry=terminal).recipients
    assert {one.topic for one in issued.values()} == {None}


def test_a_party_is_one_under_all_its_ids() -> None:
    line = Party("SLTC", aliases=("Z999", "FIRMS:ABCD", "2704ABC01"))
    names = ("SLTC", "2:Z999", "FIRMS:ABCD", "2:ABCD", "ABCD", "17:2704ABC01")
    found = audience(cargo(snps=names), registry=registry_of(line)).recipients
    assert [*found] == ["NVXA", "SLTC"]
    assert audience(cargo(snps=("SCAC:ABCD",)), registry=registry_of(line)).recipients["SCAC:ABCD"].topic is None


def test_rule_3_who_issued_the_master_bill_and_who_manifests_it() -> None:
    found = audience(cargo(master_bill=MASTER, carrier_scac="SLTC")).recipients
    for scac in ("OCNX", "SLTC"):
        assert (found[scac].roles, found[scac].disclosure) == (("MASTER_CARRIER",), Disclosure.CARRIER)


@pytest.mark.parametrize("scope", ["do-not-load", "holds", "all"])
def test_rule_4_the_operator_hears_of_a_charterer_s_bill_by_its_grant(scope: str) -> None:
    charterers = loaded(carrier_scac="THRD", voyage_number="T26")
    member = audience(charterers, registry=grants(operator=scope)).recipients["OCNX"]
    assert (member.roles, member.disclosure, member.scope) == (("OPERATOR",), Disclosure.AGREEMENT, scope)
    assert "OCNX" not in audience(charterers, registry=grants(operator="own")).recipients


@pytest.mark.parametrize("scope", ["do-not-load", "holds", "all"])
def test_rule_4_beyond_that_each_line_by_its_grant(scope: str) -> None:
    member = audience(registry=grants(charterer=scope)).recipients["THRD"]
    assert (member.roles, member.disclosure, member.scope) == (("CHARTERER",), Disclosure.AGREEMENT, scope)


def test_rule_4_granted_its_own_bills_a_charterer_hears_of_those_only() -> None:
    assert "THRD" not in audience(registry=grants()).recipients
    for own in (LOADED._replace(snps=("THRD",)), loaded(carrier_scac="THRD", voyage_number="T26")):
        assert audience(own, registry=grants()).recipients["THRD"].scope == "all"
    assert audience(bill="THRDB1", registry=grants()).recipients["THRD"].scope == "all"


def is_co_loader(known: Cargo = LOADED, bill: str = HOUSE, party: Party | None = None) -> bool:
    registry = registry_of() if party is None else registry_of(party)
    found = audience(known, bill, in_box=True, registry=registry).recipients
    others = (one for scac, one in found.items() if scac != bill[:4])
    assert not any("CO_LOADER" in one.roles for one in others), "an SNP hears as an SNP, a carrier as a carrier"
    return "CO_LOADER" in found[bill[:4]].roles


def test_rule_5_an_nvocc_with_a_bill_in_a_stopped_box_is_a_co_loader_and_nobody_else_is() -> None:
    assert is_co_loader(LOADED._replace(snps=("SLTC",)))
    assert is_co_loader(cargo("30", snps=("SLTC",)), bill="NVXCHBL1"), "whoever filed a house bill"
    assert is_co_loader(cargo("00"), bill="NVXCHBL1", party=Party("NVXC", roles=("NVOCC",)))


@pytest.mark.parametrize(
    ("known", "bill", "party"),
    [
        pytest.param(loaded(bill_type="30"), "SLTCHBL1", None, id="a line aboard"),
        pytest.param(cargo("30", carrier_scac="BIGX"), "BIGXHBL1", None, id="the manifest carrier"),
        pytest.param(cargo("30", master_bill="BIGXMB1"), "BIGXHBL1", None, id="the master carrier"),
        pytest.param(cargo("30"), "BIGXHBL1", Party("BIGX", roles=("carrier",)), id="registered as a carrier"),
        pytest.param(cargo("30"), "SLTCHBL1", None, id="a line aboard another sailing"),
        pytest.param(cargo("00"), "SHIPB1", None, id="no house bill, and not registered"),
    ],
)
def test_rule_5_a_vessel_carrier_is_never_a_co_loader(known: Cargo, bill: str, party: Party | None) -> None:
    assert not is_co_loader(known, bill, party)


def test_one_party_has_all_its_roles_and_sees_the_most() -> None:
    member = audience(loaded(snps=("OCNX",), master_bill=MASTER)).recipients["OCNX"]
    assert (member.roles, member.disclosure) == (("SNP", "OPERATOR", "MASTER_CARRIER"), Disclosure.FULL)


def test_an_alias_is_its_party() -> None:
    given_up = (Party(scac, status="external") for scac in ("NVXA", "SLTC"))
    registry = registry_of(*given_up, Party("GRUP", aliases=("NVXA", "SLTC")))
    found = audience(cargo(snps=("SLTC",)), registry=registry).recipients
    assert found["GRUP"].roles == ("FILER", "SNP")
    assert "NVXA" not in found


@pytest.mark.parametrize("order", [*itertools.permutations(range(4))])
def test_nobody_takes_another_partys_scac_by_an_alias_whichever_was_registered_first(order: tuple[int, ...]) -> None:
    """The import refuses it; another program's record may say it."""
    parties = (
        Party("NVXA"),
        Party("EVIL", aliases=("NVXA", "BOTH", "FREE")),
        Party("OTHR", aliases=("BOTH",)),
        Party("OTHR", aliases=("NVXA", "BOTH")),
    )
    registry = registry_of(*(parties[place] for place in order))
    assert [*audience(cargo(snps=("FREE",)), registry=registry).recipients] == ["NVXA", "EVIL"]
    assert audience(cargo(snps=("BOTH",)), registry=registry).recipients["BOTH"].unreachable == "PARTY_UNKNOWN"
    assert "BOTH already stands for the party" in str(id_conflicts(registry.parties, {}))
    registry.apply(Party("EVIL"))
    assert registry.party_id("BOTH") == "OTHR"


@pytest.mark.parametrize("order", [1, -1])
def test_the_scac_of_an_external_party_may_stand_for_another_whichever_was_registered_first(order: int) -> None:
    registry = registry_of(*[Party("BIGX", aliases=("NVXA",)), Party("NVXA", status="external")][::order])
    assert [*audience(Cargo(), registry=registry).recipients] == ["BIGX"]
    registry.apply(Party("BIGX"))
    assert audience(Cargo(), registry=registry).recipients["NVXA"].unreachable == "EXTERNAL"


def test_each_line_has_its_own_voyage_number() -> None:
    found = audience(LOADED._replace(snps=("SLTC",))).recipients
    assert (found["OCNX"].voyage_number, found["SLTC"].voyage_number) == ("026E", "X26")


@pytest.mark.parametrize(
    ("party", "why_not"),
    [
        (Party("NVXA", status="certifying"), "PARTY_NOT_LIVE"),
        (Party("NVXA", status="suspended"), "PARTY_NOT_LIVE"),
        (Party("NVXA", status="external"), "EXTERNAL"),
        (RegistryNote("missing", "snp.party.NVXA", 0), "NO_TOPIC"),
    ],
)
def test_who_can_not_be_told_and_why(party: Party, why_not: str) -> None:
    member = audience(Cargo(), registry=registry_of(party)).recipients["NVXA"]
    assert (member.topic, member.unreachable) == (None, why_not)


def test_a_party_nobody_registered_is_unknown() -> None:
    assert audience(Cargo(), bill="ZZZZ1").recipients["ZZZZ"].unreachable == "PARTY_UNKNOWN"


# Finding the sailing


def found(registry: Registry, **changes: Any) -> str | None:
    sailing_ = audience(loaded(**changes), registry=registry).sailing
    return sailing_.sailing_id if sailing_ else None


def test_a_sailing_is_found_by_ship_carrier_and_that_carriers_voyage() -> None:
    assert found(registry_of()) == "S1"
    assert found(registry_of(), carrier_scac="SLTC", voyage_number="X26") == "S1"
    assert found(registry_of(), voyage_number="X26") is None
    assert found(registry_of(), imo_number="9321483") is None


def voyages(*numbers: str, arrival: str = "2026-07-28") -> Registry:
    sailings = [
        Sailing(f"S-{number}", IMO, None, called(arrival), (Line("OCNX", "operator", number, "own"),))
        for number in numbers
    ]
    return registry_of(*sailings)


def test_a_voyage_cut_to_five_places_is_found_if_exactly_one_fits() -> None:
    assert found(voyages("LONGVOYAGE1"), voyage_number="LONGV") == "S-LONGVOYAGE1"
    assert found(voyages("LONGVOYAGE1", "LONGVOYAGE2"), voyage_number="LONGV") is None
    assert found(voyages("LONGVOYAGE1"), voyage_number="LONG") is None


def test_a_voyage_number_of_another_year_is_another_sailing() -> None:
    assert found(voyages("V1", arrival="2025-07-28"), voyage_number="V1") is None
    assert found(voyages("V1", arrival="2026-08-10"), voyage_number="V1") == "S-V1"


def test_a_sailing_imported_again_is_replaced_whole() -> None:
    registry = registry_of(sailing(lines=(Line("OCNX", "operator", "027E", "own"),)))
    assert found(registry) is None
    assert found(registry, voyage_number="027E") == "S1"


def test_a_vessels_name_is_the_same_however_it_is_spaced_or_cut() -> None:
    assert same_name("Ocean  Exemplar", "OCEAN EXEMPLAR")
    assert same_name("A VERY LONG VESSEL NAME INDEED", "A VERY LONG VESSEL NAME")
    assert not same_name("OCEAN EXEMPLAR", "OCEAN EXAMPLE")


# A vessel's own events


def test_a_vessels_event_concerns_every_line_aboard_and_nobody_else() -> None:
    found = audience_of("vessel:9074729:OCNX:026E", LOADED, False, registry_of()).recipients
    assert {scac: member.scope for scac, member in found.items()} == dict.fromkeys(("OCNX", "SLTC", "THRD"), "all")


def test_what_is_kept_of_audiences_is_bounded_by_who_is_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience_module, "MOST_KEPT_RECIPIENTS", 100)
    registry = registry_of()
    for number in range(50):
        found = audience(loaded(snps=(f"S{number}",)), registry=registry)
        assert f"S{number}" in found.recipients
        assert sum(len(one.recipients) for one in registry.audiences.values()) <= 100
