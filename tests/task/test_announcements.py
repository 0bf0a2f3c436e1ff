"""No news is not clearance: what is said while a feed, a port or a line is down, and when it is back."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import pytest

from router import topics
from router.model.registry_values import LateTally, Outage, Party, PortProcedure
from tests.checking.harness import Harness, decoded
from tests.checking.replay import check
from tests.checking.samples import HOUSE, OTHER_HOUSE, PARTIES, START, at, called, event, filing, sailing

OURS: Final = Outage("o1", "DECLARED", at(0), "ocean", port="2704", reason="ACE is down", ticket="INC1", until=at(60))
QUIET = 30


@pytest.fixture
def harness() -> Harness:
    harness = Harness(2, now=START)
    harness.roster(*PARTIES, sailing())
    return harness


def tell(harness: Harness, *values: Any) -> None:
    for value in values:
        if isinstance(value, int):
            harness.tick(at(value))
        else:
            harness.register(value)
        harness.pump()
    assert check(harness.records(topics.TIMELINE), harness.party_records(), harness.rules) == []


def ended(outage: Outage = OURS, minute: int = 120) -> Outage:
    return outage._replace(ended_at=at(minute), ended_by="J. Doe")


def tally(minute: int, run: str = "r1", **counts: int) -> LateTally:
    usual = {"events": 10, "do_not_loads": 2, "holds": 3, "oldest_posted": at(5)}
    return LateTally("o1", run, at=at(minute), **usual | counts)


def statuses(harness: Harness) -> list[dict[str, Any]]:
    return [decoded(record) for record in harness.records(topics.FEED_STATUS)]


def states(harness: Harness) -> list[str]:
    return [status["state"] for status in statuses(harness)]


# To everyone


def test_an_outage_is_announced_to_every_party_without_who_declared_it(harness: Harness) -> None:
    tell(harness, OURS._replace(declared_by="J. Doe"))
    (status,) = statuses(harness)
    assert (status["state"], status["outage"], status["port"]) == ("DOWN", "o1", "2704")
    assert (status["reason"], status["ticket"], status["until"]) == ("ACE is down", "INC1", at(60))
    (record,) = harness.records(topics.FEED_STATUS)
    assert record.value is not None
    assert b"J. Doe" not in record.value


def test_it_is_announced_again_only_when_what_is_said_of_it_changes(harness: Harness) -> None:
    tell(harness, OURS, OURS, OURS._replace(declared_by="R. Roe"))
    assert states(harness) == ["DOWN"]
    tell(harness, OURS._replace(until=at(180)))
    assert [status["until"] for status in statuses(harness)] == [at(60), at(180)]


def test_one_that_is_declared_again_after_it_was_over_has_new_numbers(harness: Harness) -> None:
    tell(harness, OURS, OURS._replace(until=at(90)), ended(), 120 + QUIET)
    assert states(harness)[-1] == "RECOVERED"
    tell(harness, OURS, OURS._replace(until=at(180)))
    numbers = [decoded(record)["sequence"] for record in harness.records(topics.TIMELINE)]
    assert numbers == sorted(set(numbers))


def test_a_silent_feed_is_announced_as_such(harness: Harness) -> None:
    tell(harness, Outage("o2", "SILENT", at(0), feed="x12"))
    assert states(harness) == ["SILENT"]


def test_it_is_over_once_nothing_late_came_for_a_while_and_that_is_said_with_what_came_late(harness: Harness) -> None:
    tell(harness, OURS, ended(), 121, tally(125, events=4), tally(130), tally(131, "r2", oldest_posted=at(3)))
    tell(harness, 131 + QUIET - 1)
    assert states(harness) == ["DOWN", "RECOVERING"]
    tell(harness, 131 + QUIET)
    last = statuses(harness)[-1]
    assert (last["state"], last["ended_at"]) == ("RECOVERED", at(120))
    assert (last["late_do_not_loads"], last["late_holds"], last["late_events"]) == (4, 6, 20)
    assert last["oldest_posted"] == at(3)


def test_after_it_is_over_nothing_more_is_said_of_it(harness: Harness) -> None:
    tell(harness, OURS, ended(), 500, ended(), tally(510), 600)
    assert states(harness) == ["DOWN", "RECOVERING", "RECOVERED"]


def test_one_that_is_over_when_it_is_first_heard_of_is_history(harness: Harness) -> None:
    tell(harness, ended(), 500)
    assert states(harness) == []


def test_whatever_restarts_it_is_said_once(harness: Harness) -> None:
    for value in (OURS, 10, ended(), tally(125), 130, 500):
        harness.abandon(0)
        tell(harness, value)
        harness.restart(0)
        harness.restart(1)
        harness.pump()
    assert states(harness) == ["DOWN", "RECOVERING", "RECOVERED"]
    assert statuses(harness)[-1]["late_events"] == 10


def test_thrown_away_and_decided_again_it_is_said_still(harness: Harness) -> None:
    harness.pump()
    harness.register(OURS)
    harness.abandon(0)
    harness.pump()
    assert states(harness) == ["DOWN"]


# With the ports' own procedures

LOS_ANGELES: Final = PortProcedure("2704", "Fax the list of stopped boxes.", "+1-310-555-0100")
LONG_BEACH: Final = PortProcedure("2709", "Come to the counter.")
SAVANNAH: Final = PortProcedure("1703", "E-mail the manifest.")


def test_an_outage_is_announced_with_the_procedures_of_its_port_s_area(harness: Harness) -> None:
    tell(harness, SAVANNAH, LOS_ANGELES, LONG_BEACH, OURS, OURS._replace(id="o2", port=None), ended())
    asked = [[one["port"] for one in status["procedures"]] for status in statuses(harness)]
    assert asked == [["2704", "2709"], ["1703", "2704", "2709"], []]
    assert statuses(harness)[0]["procedures"][0] == LOS_ANGELES._asdict()


def test_a_procedure_that_a_port_gives_during_its_outage_is_announced(harness: Harness) -> None:
    tell(harness, OURS, OURS._replace(id="o2", port=None))
    harness.register(SAVANNAH, LOS_ANGELES)
    harness.abandon(0)
    harness.pump()
    assert [status["outage"] for status in statuses(harness)] == ["o1", "o2", "o1"]
    harness.restart(0)
    tell(harness, OURS._replace(ticket="4711"))
    assert [len(status["procedures"]) for status in statuses(harness)[-2:]] == [1, 1]


def test_a_line_s_own_outage_at_a_port_tells_that_port_s_procedure(harness: Harness) -> None:
    tell(harness, LOS_ANGELES, OURS._replace(carrier="SLTC"))
    (notice,) = harness.notices("SLTC")
    assert notice["remarks"].endswith("Port 2704: Fax the list of stopped boxes. +1-310-555-0100")


# In each notice


def flags(harness: Harness, bill: str = HOUSE, **more: Any) -> tuple[str, ...]:
    harness.feed(filing(bill, **more), event("1K", 5, bill=bill))
    harness.pump()
    return tuple(harness.notices(bill[:4], bill)[-1]["flags"])


@pytest.mark.parametrize(
    ("outage", "port", "carrier", "behind"),
    [
        (OURS, "2704", "OCNX", True),
        (OURS, "2709", "OCNX", True),
        (OURS, "1303", "OCNX", False),
        (OURS, None, "OCNX", False),
        (OURS._replace(port=None), "1303", "OCNX", True),
        (OURS._replace(port=None, carrier="OCNY"), "1303", "OCNX", True),
        (OURS._replace(port=None, carrier="OCNX"), "1303", "SLTC", False),
        (OURS._replace(mode="all"), "2704", "OCNX", True),
        *((OURS._replace(mode=mode), "2704", "OCNX", False) for mode in ("rail", "truck", "air")),
    ],
    ids=[
        "its port",
        "its twin",
        "another port",
        "port unknown",
        "everywhere",
        "its line, by alias",
        "another line",
        "all modes",
        "rail",
        "truck",
        "air",
    ],
)
def test_notices_of_a_bill_that_it_covers_say_so(
    harness: Harness, outage: Outage, port: str | None, carrier: str, *, behind: bool
) -> None:
    harness.roster(Party("OCNX", aliases=("OCNY",)))
    tell(harness, outage)
    assert ("FEED_BEHIND" in flags(harness, port_of_unlading=port, carrier_scac=carrier)) is behind


def test_they_say_so_until_it_is_over_and_it_tells_nobody_by_itself(harness: Harness) -> None:
    harness.feed(filing(), event("1H", 1))
    tell(harness, OURS)
    before = len(harness.party_records())
    tell(harness, ended(), 121)
    assert len(harness.party_records()) == before
    assert "FEED_BEHIND" in flags(harness, OTHER_HOUSE)
    tell(harness, 500)
    harness.feed(event("1J", 400))
    harness.pump()
    assert harness.notices("NVXA")[-1]["flags"] == ()


# A line's own


def test_a_lines_own_outage_is_told_to_the_live_parties_of_its_sailings_only(harness: Harness) -> None:
    harness.roster(Party("THRD", status="suspended"))
    tell(harness, OURS._replace(port=None, carrier="SLTC", reason="cyberattack"))
    assert states(harness) == []
    assert {record.topic for record in harness.party_records()} == {"snp.party.OCNX", "snp.party.SLTC"}
    (notice,) = harness.notices("OCNX")
    assert (notice["kind"], notice["cause"], notice["roles"]) == ("change", "OPERATOR", ("OPERATOR",))
    assert (notice["scac"], notice["bill_of_lading"], notice["status"]) == (None, None, None)
    assert (notice["carrier_scac"], notice["flags"]) == ("SLTC", ("FEED_BEHIND",))
    assert "cyberattack" in notice["remarks"]
    assert "No news is not clearance" in notice["remarks"]


def test_of_another_mode_than_ocean_it_is_told_without_the_flag(harness: Harness) -> None:
    tell(harness, OURS._replace(port=None, carrier="SLTC", mode="truck"))
    assert [notice["flags"] for notice in harness.notices("SLTC")] == [()]


def test_and_once_more_when_it_ends(harness: Harness) -> None:
    line = OURS._replace(port=None, carrier="SLTC")
    tell(harness, line, line, ended(line), ended(line), 500)
    down, back = harness.notices("SLTC")
    assert down["notice_id"] != back["notice_id"]
    assert (back["flags"], "work again" in back["remarks"]) == ((), True)


def test_not_to_those_of_a_sailing_that_arrived_long_ago(harness: Harness) -> None:
    harness.roster(sailing(calls=called("2026-05-01")))
    tell(harness, OURS._replace(port=None, carrier="SLTC"))
    assert harness.party_records() == []


# A line's own, to the filers of open bills that name it

LINE: Final = OURS._replace(port=None, carrier="SLTC", reason="cyberattack")


def told(harness: Harness, party: str) -> list[dict[str, Any]]:
    return [notice for notice in harness.notices(party) if notice["bill_of_lading"] is None]


@pytest.mark.parametrize(
    "named",
    [{"carrier_scac": "SLTC"}, {"master_bill": "SLTCMB0001"}, {"snps": ("SLTC",)}, {"snps": ("2:Z999",)}],
    ids=["on its manifest", "under its master", "its SNP", "its SNP, by an alias"],
)
def test_a_lines_own_outage_is_told_to_the_filers_of_open_bills_that_name_it(
    harness: Harness, named: dict[str, Any]
) -> None:
    harness.roster(Party("SLTC", aliases=("Z999",)))
    harness.feed(filing(**named), event("1K", 1, **named), filing(OTHER_HOUSE, carrier_scac="OCNX", snps=()))
    harness.pump()
    tell(harness, LINE)
    (notice,) = told(harness, "NVXA")
    assert (notice["kind"], notice["roles"], notice["flags"]) == ("change", ("FILER",), ("FEED_BEHIND",))
    assert "cyberattack" in notice["remarks"]
    assert told(harness, "NVXB") == []
    assert [len(told(harness, party)) for party in ("OCNX", "SLTC", "THRD")] == [1, 1, 1]
    tell(harness, LINE._replace(ticket="4711"), ended(LINE))
    assert [len(told(harness, party)) for party in ("OCNX", "SLTC", "NVXA", "NVXB")] == [3, 3, 3, 0]


def test_a_filer_with_many_bills_is_told_once(harness: Harness) -> None:
    harness.feed(*(filing(f"NVXAH{number}", carrier_scac="SLTC") for number in range(40)))
    harness.pump()
    tell(harness, LINE)
    assert len(told(harness, "NVXA")) == 1


def test_a_filer_whose_bills_are_over_is_not_told(harness: Harness) -> None:
    harness.decide(filing(carrier_scac="SLTC"), event("55", 1, carrier_scac="SLTC"), event("54", 2))
    assert harness.status(HOUSE) == "DELETED"
    tell(harness, LINE)
    assert told(harness, "NVXA") == []


def test_a_filer_whose_first_bill_comes_during_the_outage_is_told_then(harness: Harness) -> None:
    tell(harness, LINE)
    assert told(harness, "NVXA") == []
    harness.feed(filing(carrier_scac="SLTC"))
    harness.pump()
    assert len(told(harness, "NVXA")) == 1
    tell(harness, ended(LINE))
    harness.feed(filing(OTHER_HOUSE, carrier_scac="SLTC"))
    harness.pump()
    assert [len(told(harness, party)) for party in ("NVXA", "NVXB")] == [2, 0]


def test_a_filer_aboard_is_told_once(harness: Harness) -> None:
    harness.feed(filing("THRDB1", carrier_scac="SLTC"))
    harness.pump()
    tell(harness, LINE)
    assert [notice["roles"] for notice in told(harness, "THRD")] == [("CHARTERER",)]


@pytest.mark.parametrize("seed", range(10))
def test_whatever_restarts_and_however_little_a_task_does_at_a_time_each_filer_is_told_once(seed: int) -> None:
    random = Random(seed)
    harness = Harness(3, now=START)
    harness.roster(*PARTIES, sailing())
    bills = [f"{filer}H{number}" for filer in ("NVXA", "NVXB") for number in range(5)]
    harness.feed(*(filing(bill, carrier_scac="SLTC") for bill in bills))
    harness.pump()
    harness.register(LINE)
    for _ in range(60):
        task = random.randrange(3)
        step = random.choice((harness.transact, harness.abandon, harness.restart))
        if step == harness.restart:
            harness.restart(task)
        else:
            step(task, random.randint(1, 3), random.randint(1, 3))
    harness.pump()
    assert [len(told(harness, party)) for party in ("NVXA", "NVXB", "SLTC")] == [1, 1, 1]
    assert check(harness.records(topics.TIMELINE), harness.party_records(), harness.rules) == []
