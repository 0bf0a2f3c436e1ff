"""Hold, Change or Release: what each recipient is sent, and when; who catches up and who is no longer told."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from router import topics
from router.decide.rules import Rules
from router.model.inputs import Confirmation, disposition_fields, filing_fields
from router.model.registry_values import Line, Outage, Party, RegistryNote
from tests.checking.harness import Harness, decoded
from tests.checking.samples import (
    ABOARD,
    BOX,
    HOUSE,
    MASTER,
    OTHER_BOX,
    PARTIES,
    SHARED,
    START,
    at,
    dead_letter,
    event,
    filing,
    on_container,
    sailing,
)

FIRST = filing(master_bill=MASTER, bill_type="30")
TOPIC = "snp.party.OCNX"


@pytest.fixture
def router() -> Harness:
    harness = Harness(now=START)
    harness.roster(*PARTIES, sailing())
    return harness


def waiting(harness: Harness, bill: str = HOUSE) -> list[str]:
    return list(harness.latest(topics.WAITING).get(bill, {}).get("parties", ()))


# The kind


def test_one_bills_life(router: Harness) -> None:
    codes = ["69", "6H", "6I", "1C", "1H", "1I", "1C", "4A", "54"]
    router.decide(FIRST, *(event(code, minute) for minute, code in enumerate(codes)))
    assert router.kinds("NVXA") == [
        *("change", "hold", "change", "release", "hold", "change", "release", "hold", "change"),
    ]


def test_hold_where_the_last_word_was_release_whatever_took_it_away(router: Harness) -> None:
    for taken_away in (
        event("4A", 2),
        event("4E", 2),
        event("54", 2),
        event("56", 2, 150),
        event("1H", 2),
        dead_letter(),
    ):
        harness = Harness(now=START)
        harness.roster(*PARTIES, sailing())
        harness.decide(FIRST, event("1C", 1), taken_away)
        assert harness.kinds("NVXA") == ["release", "hold"], taken_away


def test_a_filing_that_raises_the_quantity_tells_everybody(router: Harness) -> None:
    router.decide(FIRST, event("1C", 1), FIRST._replace(manifested_quantity=150, received_at=at(9)))
    notice = router.notices("NVXA")[-1]
    assert (notice["kind"], notice["cause"], notice["disposition_code"]) == ("hold", "FILING", None)


def test_change_for_everything_else(router: Harness) -> None:
    router.decide(FIRST, event("1H", 1), event("1C", 2), event("2H", 3), event("2I", 4), event("19", 5))
    assert router.kinds("NVXA") == ["hold", "change", "hold", "change", "change"]


def test_a_permit_taken_back_from_a_released_bill_is_a_change(router: Harness) -> None:
    router.decide(FIRST, event("1C", 1), event("1W", 2), event("83", 3))
    assert router.kinds("NVXA") == ["release", "change", "change"]


def test_a_second_release_changes_nothing(router: Harness) -> None:
    router.decide(FIRST, event("1C", 1), event("1C", 2))
    assert router.kinds("NVXA") == ["release", "change"]


def test_a_do_not_load_that_is_lifted_authorises_lading_once(router: Harness) -> None:
    router.decide(FIRST, event("6H", 1), event("6I", 2), event("19", 3))
    assert [notice["authorises"] for notice in router.notices("NVXA")] == [(), ("LADING",), ()]


def test_a_hold_on_more_pieces_is_a_hold(router: Harness) -> None:
    router.decide(FIRST, event("1H", 1, 40), event("1H", 2, 30), event("1I", 3, 30))
    assert router.kinds("NVXA") == ["hold", "hold", "change"]


def test_what_comes_late_and_changes_nothing_that_stands_is_a_change(router: Harness) -> None:
    router.decide(FIRST, event("1H", 5), event("1C", 1))
    assert router.kinds("NVXA") == ["hold", "change"]


def test_the_kind_is_in_a_header(router: Harness) -> None:
    router.decide(FIRST, event("1H", 1))
    assert [record.headers for record in router.records(TOPIC)] == [(("kind", b"hold"),)]


def test_a_repeated_event_tells_nobody_again_and_who_it_names_anew_hears_the_status_now(router: Harness) -> None:
    router.decide(event("1H", 1, snps=("OCNX",)), event("1H", 1, snps=("OCNX",)), event("1H", 1, snps=("SLTC",)))
    assert router.kinds("OCNX") == ["hold"]
    (notice,) = router.notices("SLTC")
    assert (notice["kind"], notice["cause"], len(notice["covers"])) == ("hold", "CATCH_UP", 1)


def test_an_operators_word_tells_everybody(router: Harness) -> None:
    router.decide(event("69", 0), event("1C", 1))
    covers = tuple(router.state(HOUSE).event_ids)  # type: ignore[union-attr]
    router.decide(
        Confirmation(
            HOUSE[:4], HOUSE[4:], covers, "me", "seen", START, doubts=("HISTORY_INCOMPLETE", "QUANTITY_UNKNOWN")
        )
    )
    assert [(one["kind"], one["cause"]) for one in router.notices("NVXA")][-1] == ("release", "OPERATOR")


# What it says


def test_the_fourteen_identifiers(router: Harness) -> None:
    entry = {"entry_type": "01", "entry_number": "AB100045215", "manifest_sequence_number": "000001"}
    router.decide(event("1H", 1, 40, container_numbers=(BOX,), **ABOARD, **entry))
    (notice,) = router.notices("NVXA")
    assert {name: notice[name] for name in FOURTEEN} == {
        "scac": "NVXA",
        "bill_of_lading": "HBL000012345",
        "vessel_name": "OCEAN EXEMPLAR",
        "disposition_code": "1H",
        "voyage_number": "026E",
        "quantity": 40,
        **entry,
        "imo_number": "9074729",
        "port_of_unlading": "2704",
        "action_at": at(1),
        "arrival_date": "2026-07-28",
        "container_numbers": (BOX,),
    }


FOURTEEN = (
    *("scac", "bill_of_lading", "vessel_name", "disposition_code", "voyage_number", "quantity"),
    *("manifest_sequence_number", "entry_type", "imo_number", "entry_number", "port_of_unlading"),
    *("action_at", "arrival_date", "container_numbers"),
)


WORKED_OUT = {
    *("code_meaning", "agency", "status", "deliverable", "deliverable_at", "do_not_load", "doubts", "holds"),
    *("authorises", "containers", "released_quantity", "release_posted_at", "flags", "event_id", "cause", "covers"),
}


def named(record: Any) -> Any:
    """Each text in it says what field it stands in."""
    texts = {name for name, kind in get_type_hints(type(record)).items() if kind == str | None}
    named_texts = {name: name.upper().replace("_", "") for name in texts - {"scac", "bill_of_lading", "arrival_date"}}
    return record._replace(
        **named_texts, **({"shipment": named(record.shipment)} if hasattr(record, "shipment") else {})
    )


def test_every_field_says_what_its_name_says(router: Harness) -> None:
    """What is told as it was said stands under its own name: no two fields have changed places."""
    said = (named(filing()), named(on_container("1H", 1, quantity=40, **ABOARD)))
    router.decide(*said)
    fields = filing_fields(said[0]) | disposition_fields(said[1])
    as_said = fields.keys() & set(SHARED)
    (notice,) = router.notices("NVXA")
    assert {name: notice[name] for name in as_said} == {name: fields[name] for name in as_said}
    assert set(SHARED) - as_said == WORKED_OUT


def test_each_sees_what_its_role_allows(router: Harness) -> None:
    secrets = {"entry_type": "01", "entry_number": "AB100045215", "remarks": "CALL THE OFFICER"}
    router.decide(event("6H", 1, **ABOARD, **secrets, snps=("SLTC",), master_bill=MASTER))
    filer, snp, carrier, line = (router.notices(scac)[0] for scac in ("NVXA", "SLTC", "OCNX", "THRD"))
    for sees_all in (filer, snp):
        assert {name: sees_all[name] for name in secrets} == secrets
    assert (carrier["remarks"], carrier["entry_number"], carrier["master_bill"]) == (None, "AB100045215", MASTER)
    assert [line[name] for name in (*secrets, "master_bill")] == [None] * 4
    assert (line["roles"], line["recipient_voyage_number"]) == (("CHARTERER",), "T26")


def test_ids_say_nothing_to_who_tries_values(router: Harness) -> None:
    other = Harness(now=START)
    other.log.clear()
    other.register(RegistryNote("installation", "secret", 0, "ff" * 32))
    other.roster(*PARTIES)
    for harness in (router, other):
        harness.decide(event("1H", 1))
    ids = [(one["event_id"], one["notice_id"]) for harness in (router, other) for one in harness.notices("NVXA")]
    assert len({text for pair in ids for text in pair}) == 4


# Scopes


def test_a_line_granted_do_not_loads_hears_of_those_and_their_end(router: Harness) -> None:
    router.decide(FIRST, event("1H", 1), event("1I", 2), event("6H", 3), event("6I", 4), event("1H", 5))
    assert [one["disposition_code"] for one in router.notices("THRD")] == ["6H", "6I"]


def test_whoever_was_notified_of_a_hold_is_notified_of_its_end(router: Harness) -> None:
    """The notice of the do-not-load listed the other hold, too."""
    router.decide(FIRST, event("1H", 1), event("6H", 2), event("6I", 3), event("1I", 4), event("1C", 5))
    assert [one["disposition_code"] for one in router.notices("THRD")] == ["6H", "6I", "1I"]


def test_a_line_granted_holds_hears_of_those_their_change_and_their_end() -> None:
    harness = Harness(now=START)
    harness.roster(
        *PARTIES, sailing(lines=(Line("OCNX", "operator", "026E", "own"), Line("THRD", "charterer", "T26", "holds")))
    )
    harness.decide(
        FIRST, event("55", 0), event("1H", 1), event("19", 2), event("1I", 3), event("1C", 4), event("1H", 5)
    )
    assert [one["disposition_code"] for one in harness.notices("THRD")] == ["1H", "19", "1I", "1H"]


# Catching up


def suspend(harness: Harness, scac: str, status: str = "suspended") -> None:
    harness.roster(Party(scac, status=status))
    harness.pump()


def test_who_is_named_later_gets_the_status_now_for_all_that_was(router: Harness) -> None:
    router.decide(filing(snps=()), event("69", 0), event("1H", 1), dead_letter(), filing(snps=("SLTC",), minute=9))
    (notice,) = router.notices("SLTC")
    assert (notice["kind"], notice["cause"]) == ("hold", "CATCH_UP")
    assert len(notice["covers"]) == 3, "what could not be read is covered too"


def test_who_could_not_be_told_waits_visibly_and_gets_what_was_missed(router: Harness) -> None:
    suspend(router, "SLTC")
    router.decide(FIRST, event("1C", 1), event("1H", 2))
    assert (router.kinds("SLTC"), waiting(router)) == ([], ["SLTC"])
    suspend(router, "SLTC", "live")
    assert (router.kinds("SLTC"), waiting(router)) == (["hold"], [])
    assert len(router.notices("SLTC")[0]["covers"]) == 2


def test_a_line_that_believes_in_a_release_and_missed_its_end_is_told_when_it_is_back() -> None:
    """Granted holds only, it was told the release that ended one; then, while it was away, a hold came and went."""
    harness = Harness(now=START)
    harness.roster(
        *PARTIES, sailing(lines=(Line("OCNX", "operator", "026E", "own"), Line("THRD", "charterer", "T26", "holds")))
    )
    harness.decide(FIRST, event("55", 0), event("1H", 1), event("1C", 2), event("1I", 3))
    assert harness.kinds("THRD")[-1] == "release"
    suspend(harness, "THRD")
    harness.decide(event("1H", 4), event("1I", 5))
    assert waiting(harness) == ["THRD"]
    suspend(harness, "THRD", "live")
    assert harness.kinds("THRD")[-1] == "hold"


def test_a_destination_that_is_missing_and_back(router: Harness) -> None:
    router.register(RegistryNote("missing", "snp.party.SLTC", 0))
    router.decide(FIRST, event("1H", 1))
    assert (router.kinds("SLTC"), waiting(router)) == ([], ["SLTC"])
    router.register(RegistryNote("back", "snp.party.SLTC", 0))
    router.pump()
    assert (router.kinds("SLTC"), waiting(router)) == (["hold"], [])


def test_an_external_party_is_never_waited_for(router: Harness) -> None:
    suspend(router, "SLTC", "external")
    router.decide(FIRST, event("1H", 1))
    assert waiting(router) == []


def test_a_bill_without_sailing_or_notify_party_waits_although_others_were_told(router: Harness) -> None:
    router.decide(event("6H", 1, carrier_scac="OCNX"))
    record = router.latest(topics.WAITING)[HOUSE]
    assert (record["reasons"], record["status"], record["do_not_load"]) == (
        ("NO_SAILING", "NO_SNP"),
        "DO_NOT_LOAD",
        True,
    )
    assert {"NO_SNP", "SAILING_UNKNOWN"} <= set(router.notices("NVXA")[0]["flags"])
    router.decide(event("6I", 2))
    assert router.latest(topics.WAITING)[HOUSE]["status"] == "ON_FILE"
    router.decide(FIRST)
    assert HOUSE not in router.latest(topics.WAITING)


def test_roster_changes_are_caught_up_a_bounded_number_of_bills_at_a_time(router: Harness) -> None:
    suspend(router, "SLTC")
    numbers = [f"NVXAB{number:03}" for number in range(20)]
    router.decide(*(filing(bill) for bill in numbers), *(event("1H", 1, bill=bill) for bill in numbers))
    router.roster(Party("SLTC"))
    for task in range(2):
        before = len(router.notices("SLTC"))
        router.transact(task, walk=3)
        assert len(router.notices("SLTC")) - before == 3
        router.restart(task)
    router.pump()
    assert sorted({one["bill_of_lading"] for one in router.notices("SLTC")}) == [number[4:] for number in numbers]
    assert len(router.notices("SLTC")) == 20


def test_a_live_event_brings_its_bill_up_to_date_before_the_walk_comes_by(router: Harness) -> None:
    suspend(router, "SLTC")
    router.decide(FIRST, event("1H", 1))
    router.roster(Party("SLTC"))
    router.feed(event("19", 2))
    for task in range(2):
        router.transact(task, walk=0)
    (notice,) = router.notices("SLTC")
    assert (notice["cause"], notice["disposition_code"], len(notice["covers"])) == ("CATCH_UP", "19", 2)
    router.pump()
    assert len(router.notices("SLTC")) == 1


def test_an_import_after_a_restart_is_caught_up_although_the_registry_was_compacted(router: Harness) -> None:
    for name in ("a", "b", "c", "d"):
        router.roster(Party("SLTC", name, status="suspended"))
        router.pump()
    router.decide(FIRST, event("1H", 1))
    for task in range(2):
        router.restart(task)
    router.roster(Party("SLTC"))
    router.pump()
    assert router.kinds("SLTC") == ["hold"]


# No longer told


def test_who_has_dropped_out_gets_a_last_word_that_says_nothing_new(router: Harness) -> None:
    left = filing(snps=("OCNX",), minute=9, container_numbers=(OTHER_BOX,))
    router.decide(FIRST, event("1H", 1), event("1I", 2), left)
    last = router.notices("SLTC")[-1]
    assert (last["kind"], last["cause"], last["bill_of_lading"]) == ("change", "NO_LONGER_NOTIFIED", HOUSE[4:])
    assert not any(last[name] for name in ("status", "holds", "container_numbers", "vessel_name", "event_id"))
    router.decide(event("1H", 10))
    assert router.notices("SLTC")[-1] == last


def test_nobody_is_dismissed_while_a_stop_stands_nor_before_its_end_is_known(router: Harness) -> None:
    """Dropped from the list by an amended filing, it hears of the stop alone until that is over."""
    router.decide(FIRST, event("6H", 1), filing(snps=("OCNX",), minute=2), event("1C", 3), event("2H", 4))
    router.decide(event("6I", 5), event("2I", 6), event("1C", 7))
    heard = [(one["kind"], one["disposition_code"], one["cause"]) for one in router.notices("SLTC")]
    assert heard == [
        ("hold", "6H", "DISPOSITION"),
        ("hold", "2H", "DISPOSITION"),
        ("change", "6I", "DISPOSITION"),
        ("change", "2I", "DISPOSITION"),
        ("change", None, "NO_LONGER_NOTIFIED"),
    ]
    alone = router.notices("SLTC")[1]
    assert [hold["code"] for hold in alone["holds"]] == ["6H", "2H"]
    assert alone["do_not_load"]
    assert not any(alone[name] for name in ("quantity", "status", "voyage_number", "carrier_scac", "entry_number"))


def test_who_regains_a_ground_gets_what_it_missed_while_it_got_the_stop_alone(router: Harness) -> None:
    router.decide(FIRST, event("1H", 1), filing(snps=("OCNX",), minute=9), event("70", 10))
    assert [notice["disposition_code"] for notice in router.notices("SLTC")][-1] == "1H"
    router.decide(filing(snps=("OCNX", "SLTC"), minute=11))
    last = router.notices("SLTC")[-1]
    assert (last["kind"], last["cause"]) == ("hold", "CATCH_UP")
    penalty = next(notice for notice in router.notices("OCNX") if notice["disposition_code"] == "70")
    assert penalty["event_id"] in last["covers"]


def test_who_comes_back_gets_the_status_now(router: Harness) -> None:
    router.decide(FIRST, event("55", 1), filing(snps=("OCNX",), minute=8), filing(snps=("SLTC",), minute=9))
    assert [one["cause"] for one in router.notices("SLTC")] == ["DISPOSITION", "NO_LONGER_NOTIFIED", "CATCH_UP"]


# Flags


def test_flags(router: Harness) -> None:
    late = event("1H", 1, received_at=at(120))
    router.decide(FIRST, late, event("19", 3, imo_number="9074720"))
    flags = [set(one["flags"]) for one in router.notices("NVXA")]
    assert flags[0] == {"LATE"}
    assert "IDENTIFIER_DOUBTFUL" in flags[1]


def test_a_test_touches_no_bill_of_a_production_installation(router: Harness) -> None:
    router.decide(FIRST, event("1C", 1), event("1H", 2), event("1I", 3, test=True), event("6H", 4, test=True))
    assert router.status(HOUSE) == "HELD"
    assert len(router.notices("NVXA")) == 2
    letters = router.latest(topics.DEAD_LETTERS).values()
    assert [(letter["scac"], "sent as a test" in letter["reason"]) for letter in letters] == [(None, True)] * 2


def test_every_notice_of_a_test_installation_is_flagged() -> None:
    router = Harness(rules=Rules(usage="test"), now=START)
    router.roster(*PARTIES, sailing())
    router.decide(
        FIRST, event("6H", 1, test=True), event("6I", 2), dead_letter(), filing(manifested_quantity=150, minute=9)
    )
    router.register(Outage("o1", "DECLARED", START, carrier="OCNX", declared_by="me"))
    router.pump()
    notices = [decoded(record) for record in router.party_records()]
    assert {one["cause"] for one in notices} >= {"DISPOSITION", "FILING", "OPERATOR"}
    assert all("TEST" in one["flags"] for one in notices)


def test_a_vessels_name_that_is_not_the_ships_is_flagged_and_the_event_goes_through(router: Harness) -> None:
    router.decide(FIRST, event("1H", 1, vessel_name="ANOTHER SHIP"))
    assert "VESSEL_MISMATCH" in router.notices("NVXA")[0]["flags"]
