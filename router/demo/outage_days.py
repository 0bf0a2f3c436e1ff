"""Three days on which systems are down, played on a real router by a clock of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from router import codec, topics
from router.demo.stage import Act, Scenario, Stage, moment
from router.desk.outages import declare, end
from router.desk.paper import match, propose_matches
from router.feeds.forms import OutageForm, checked
from router.log.interface import Output
from router.model.eastern import MINUTE
from router.model.inputs import LIFT, PLACE, Disposition, Filing, PaperBill
from router.model.registry_values import RESYNC, Request

BY: Final = "duty desk"
SHIP: Final[dict[str, Any]] = {
    "imo_number": "9074729",
    "vessel_name": "OCEAN EXEMPLAR",
    "port_of_unlading": "2704",
    "arrival_date": "2026-07-28",
}
HOUSE, CO_LOADED, HARBOUR = "NVXAHBL000012345", "NVXBHBL000067890", "HARXHX5550001"

ON_SLOTS: Final[dict[str, Any]] = {
    "carrier_scac": "SLTC",
    "voyage_number": "S26E",
    "snps": ("SLTC",),
    "master_bill": "SLTCMB7781234",
}
CARGO: Final[dict[str, dict[str, Any]]] = {
    HOUSE: ON_SLOTS | {"container_numbers": ("CSQU3054383",), "quantity": 120},
    CO_LOADED: ON_SLOTS | {"container_numbers": ("CSQU3054383",), "quantity": 80},
    HARBOUR: {"carrier_scac": "HARX", "voyage_number": "HX026", "container_numbers": ("HRXU5550018",), "quantity": 300},
}


def event(bill: str, code: str, posted: str) -> Disposition:
    """As CBP sends it of one of the demo's bills."""
    return Disposition(bill[:4], bill[4:], code, moment(posted), transaction_port="2704", **SHIP, **CARGO[bill])


ACE_POSTED: Final = (
    event(HOUSE, "6H", "2026-07-14T09:10"),
    event(CO_LOADED, "1A", "2026-07-14T10:05"),
    event(HARBOUR, "1H", "2026-07-14T11:20"),
    event(HARBOUR, "1I", "2026-07-14T15:40"),
    event(HOUSE, "6I", "2026-07-14T16:30"),
)
"""What CBP would have sent that day, had ACE been up."""


async def ace_down(stage: Stage) -> AsyncIterator[Act]:
    """ACE is down at Los Angeles for nine hours; CBP phones its do-not-loads."""
    await stage.feed("on-file", [event(bill, "55", "2026-07-14T07:30") for bill in CARGO])
    yield await stage.act("Three bills are on file.")
    await stage.wait("2026-07-14T08:05")
    fields = {"reason": "ACE is down", "by": BY, "port": "2704", "since": "2026-07-14T08:00", "ticket": "4711"}
    outage = await declare(stage.log, checked(OutageForm, fields), stage.now)
    yield await stage.act("08:05  ACE is down at Los Angeles: declared. No news is not clearance.")
    await stage.wait("2026-07-14T09:20")
    await stage.say(HOUSE, PLACE, "6H")
    yield await stage.act("09:20  The port phones a do-not-load (6H) on NVXA's bill. NVXB shares its container.")
    await stage.wait("2026-07-14T11:30")
    await stage.say(HARBOUR, PLACE, "6H")
    yield await stage.act("11:30  Another on HARX's bill;")
    await stage.wait("2026-07-14T13:00")
    await stage.say(HARBOUR, LIFT, "6H")
    yield await stage.act("13:00  a mistake: the port takes it back by phone.")
    await stage.wait("2026-07-14T17:00")
    await end(stage.log, outage.id, BY, stage.now, stage.now)
    yield await stage.act("17:00  ACE is back: nine hours of messages are to come.")
    await stage.wait("2026-07-14T17:10")
    await stage.feed("backlog-1", [ACE_POSTED[3], ACE_POSTED[0], ACE_POSTED[1]])
    yield await stage.act("17:10  They come late, out of order;")
    await stage.wait("2026-07-14T17:15")
    await stage.feed("backlog-2", [ACE_POSTED[0], ACE_POSTED[4], ACE_POSTED[2], ACE_POSTED[3]])
    yield await stage.act("17:15  and twice. The 6H of 09:10 is the one that was phoned.")
    await stage.wait("2026-07-14T18:00")
    yield await stage.act("18:00  Nothing late came for half an hour: that was all.")


PAPER_BILLS: Final = 400
RENUMBERED: Final = 30
PHONED: Final = (3, 7, 377)
"""Paper bills on which a do-not-load is phoned; the last one is filed under another number."""


def paper_number(number: int) -> str:
    return f"SLTCP{number:06d}"


def filed_number(number: int) -> str:
    """What it is filed as: the last thirty under other numbers."""
    return paper_number(number) if number < PAPER_BILLS - RENUMBERED else f"SLTCE{number:06d}"


def cargo_of(bill: str, number: int, received_at: int) -> Filing:
    return Filing(
        bill[:4], bill[4:], "regular", carrier_scac="SLTC", voyage_number="S26E", manifested_quantity=10 + number,
        container_numbers=(f"SLCU{number:06d}",), received_at=received_at, source="demo", **SHIP,
    )  # fmt: skip


async def cyberattack(stage: Stage) -> AsyncIterator[Act]:
    """A carrier's systems are attacked: 400 bills go in on paper, and are filed when it is back."""
    fields = {"reason": "cyberattack on its systems", "by": BY, "carrier": "SLTC", "since": stage.now}
    outage = await declare(stage.log, checked(OutageForm, fields), stage.now)
    yield await stage.act("SLTC's systems are down: the parties of its sailings are told.")
    await stage.wait("2026-07-10T10:00")
    papers = (cargo_of(paper_number(number), number, stage.now) for number in range(PAPER_BILLS))
    await stage.file(PaperBill(filing, stage.now, "CBPF1302", BY, received_at=stage.now) for filing in papers)
    yield await stage.act("10:00  400 bills are handed in on paper. There is no news of them yet.")
    await stage.wait("2026-07-10T14:00")
    for number in PHONED:
        await stage.say(paper_number(number), PLACE, "6H")
    yield await stage.act("14:00  CBP phones do-not-loads on three of them.")
    await stage.wait("2026-07-12T09:00")
    await end(stage.log, outage.id, BY, stage.now, stage.now)
    yield await stage.act("Two days later SLTC is back,")
    await stage.file(cargo_of(filed_number(number), number, stage.now) for number in range(PAPER_BILLS))
    yield await stage.act("and files all 400 electronically, 30 of them under other numbers.")
    for proposal in await propose_matches(stage.log, stage.rules):
        await match(stage.log, stage.rules, proposal.paper, proposal.electronic, BY, stage.now)
    yield await stage.act("The 30 are matched: what was told of them is told again, under the new number, once.")


DOWN_DAYS: Final = ("2026-07-14", "2026-07-15", "2026-07-16")


async def party_down(stage: Stage) -> AsyncIterator[Act]:
    """SLTC reads nothing for three days, then asks for the status now of all its bills."""
    await stage.feed("on-file", [event(bill, "55", "2026-07-13T07:30") for bill in CARGO])
    yield await stage.act("Three bills are on file. Then SLTC stops reading.")
    for day, codes in zip(DOWN_DAYS, (("6H",), ("6I",), ("1H", "1I")), strict=True):
        await stage.wait(f"{day}T10:00")
        await stage.feed(day, [event(HOUSE, code, f"{day}T09:{number:02d}") for number, code in enumerate(codes)])
        yield await stage.act(f"{day}  {', '.join(codes)} on NVXA's bill: noted for SLTC, which doesn't look.")
    await stage.wait("2026-07-17T08:00")
    await _ask(stage)
    await _ask(stage)
    await stage.feed("live", [event(CO_LOADED, "1C", "2026-07-17T07:59")])
    yield await stage.act("SLTC is back and asks, twice: each of its bills once, while live notices go on.")
    stage.now += 2 * MINUTE
    yield await stage.act("There is no second answer.")


async def _ask(stage: Stage) -> None:
    request = Request("", RESYNC, "SLTC", "SLTC", stage.now)
    await stage.log.append([Output(topics.REQUEST_PREFIX + "SLTC", b"", codec.encode_value(request))])


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("ace-down", "ACE is down at Los Angeles for nine hours", "2026-07-14T07:40", ace_down),
        Scenario("cyberattack", "A carrier's cyberattack, and 400 bills on paper", "2026-07-10T08:00", cyberattack),
        Scenario("party-down", "A party is down for three days", "2026-07-13T08:00", party_down),
    )
}
