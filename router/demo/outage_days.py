"""Three outages, played on a real router with the story's own clock."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from router import codec, topics
from router.decide.dead_letters import disposition_json
from router.decide.rules import Rules
from router.demo.story import WORK, UnseenRecords, set_up_registry
from router.desk.downtime import declare, end
from router.desk.operator_deeds import relay
from router.desk.paper_bills import match, propose_matches
from router.engine.feed_activity import DEFAULT_FEED, FeedMonitor
from router.engine.intake import append_filings, ingest_file
from router.engine.worker import Worker
from router.feeds.forms import ManualForm, OutageForm, checked
from router.log.interface import AdministeredLog, Output
from router.model.eastern import MINUTE, to_milliseconds
from router.model.inputs import LIFT, PLACE, Disposition, Filing, PaperBill, Shipment, disposition_of
from router.model.registry_values import RESYNC, Request

BY: Final = "duty desk"


def moment(text: str) -> int:
    """UTC milliseconds of an Eastern time, as CBP posts it."""
    return to_milliseconds(datetime.fromisoformat(text))


class Episode(NamedTuple):
    """An occurrence, and the records that followed."""

    happens: str
    notices: list[dict[str, Any]]
    """Party by party, in their order."""
    feed_status: list[dict[str, Any]]


class DemoRouter:
    """One router on one log. `now` is the story's time, and the only time it knows."""

    def __init__(self, log: AdministeredLog, begins: str) -> None:
        self.log = log
        self.rules = Rules()
        self.now = moment(begins)
        self._unseen = UnseenRecords(log)
        self._monitor = FeedMonitor(log, DEFAULT_FEED, self.rules)

    async def set_up(self) -> None:
        await set_up_registry(self.log, self.now)

    async def ingest(self, name: str, events: Sequence[Disposition]) -> None:
        """Receive CBP's messages now, in this order, whenever they were posted."""
        lines = "".join(disposition_json(event._replace(received_at=0)) + "\n" for event in events)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(lines)
            intake = await ingest_file(
                self.log, path, self.rules, source=name, received_at=self.now, monitor=self._monitor
            )
        assert not intake.problems, intake.problems

    async def phone(self, bill: str, action: str, code: str) -> None:
        """Enter what CBP says by phone."""
        fields = {
            "scac": bill[:4], "bill_of_lading": bill[4:], "action": action, "code": code, "said_at": self.now,
            "by": BY, "channel": "phone", "source": "CBP Los Angeles",
        }  # fmt: skip
        await relay(self.log, self.rules, checked(ManualForm, fields), self.now)

    async def episode(self, happens: str) -> Episode:
        """Route what is waiting, and collect the records since the last episode."""
        await self.route()
        return Episode(happens, await self._unseen.notices(), await self._unseen.on(topics.FEED_STATUS))

    async def route(self) -> None:
        await Worker(self.log, self.rules, WORK, until_idle=True, clock=lambda: self.now).run()

    async def wait_until(self, time: str) -> None:
        self.now = moment(time)
        await self.route()


class OutageDay(NamedTuple):
    """A scenario of `snp-router demo --scenario NAME`."""

    title: str
    begins: str
    play: Callable[[DemoRouter], AsyncIterator[Episode]]


SHIP: Final[dict[str, Any]] = {
    "imo_number": "9074729", "vessel_name": "OCEAN EXEMPLAR", "port_of_unlading": "2704", "arrival_date": "2026-07-28",
}  # fmt: skip
HOUSE, CO_LOADED, HARBOUR = "NVXAHBL000012345", "NVXBHBL000067890", "HARXHX5550001"

ON_SLOTS: Final[dict[str, Any]] = {
    "carrier_scac": "SLTC", "voyage_number": "S26E", "snps": ("SLTC",), "master_bill": "SLTCMB7781234",
}  # fmt: skip
CARGO: Final[dict[str, dict[str, Any]]] = {
    HOUSE: ON_SLOTS | {"container_numbers": ("CSQU3054383",), "quantity": 120},
    CO_LOADED: ON_SLOTS | {"container_numbers": ("CSQU3054383",), "quantity": 80},
    HARBOUR: {"carrier_scac": "HARX", "voyage_number": "HX026", "container_numbers": ("HRXU5550018",), "quantity": 300},
}


def event(bill: str, code: str, posted: str) -> Disposition:
    """CBP's event on one of the demo's bills."""
    named = {"scac": bill[:4], "bill_of_lading": bill[4:], "disposition_code": code, "action_at": moment(posted)}
    return disposition_of({**SHIP, **CARGO[bill], "transaction_port": "2704", **named})


ACE_POSTED: Final = (
    event(HOUSE, "6H", "2026-07-14T09:10"),
    event(CO_LOADED, "1A", "2026-07-14T10:05"),
    event(HARBOUR, "1H", "2026-07-14T11:20"),
    event(HARBOUR, "1I", "2026-07-14T15:40"),
    event(HOUSE, "6I", "2026-07-14T16:30"),
)
"""Events that CBP would have sent that day if ACE had been up."""


async def ace_down(router: DemoRouter) -> AsyncIterator[Episode]:
    """ACE is down at Los Angeles for nine hours; CBP phones its do-not-loads."""
    await router.ingest("on-file", [event(bill, "55", "2026-07-14T07:30") for bill in CARGO])
    yield await router.episode("Three bills are on file.")
    await router.wait_until("2026-07-14T08:05")
    fields = {"reason": "ACE is down", "by": BY, "port": "2704", "since": "2026-07-14T08:00", "ticket": "4711"}
    outage = await declare(router.log, checked(OutageForm, fields), router.now)
    yield await router.episode("08:05  ACE is down at Los Angeles. The outage is declared: no news is not clearance.")
    await router.wait_until("2026-07-14T09:20")
    await router.phone(HOUSE, PLACE, "6H")
    yield await router.episode("09:20  The port phones a do-not-load (6H) on NVXA's bill. NVXB shares its container.")
    await router.wait_until("2026-07-14T11:30")
    await router.phone(HARBOUR, PLACE, "6H")
    yield await router.episode("11:30  It phones another do-not-load, on HARX's bill.")
    await router.wait_until("2026-07-14T13:00")
    await router.phone(HARBOUR, LIFT, "6H")
    yield await router.episode("13:00  That was a mistake: the port takes it back by phone.")
    await router.wait_until("2026-07-14T17:00")
    await end(router.log, outage.id, BY, router.now, router.now)
    yield await router.episode("17:00  ACE is back. Nine hours of messages are still to come.")
    await router.wait_until("2026-07-14T17:10")
    await router.ingest("backlog-1", [ACE_POSTED[3], ACE_POSTED[0], ACE_POSTED[1]])
    yield await router.episode("17:10  They arrive late and out of order. The 6H of 09:10 is the one that was phoned.")
    await router.wait_until("2026-07-14T17:15")
    await router.ingest("backlog-2", [ACE_POSTED[0], ACE_POSTED[4], ACE_POSTED[2], ACE_POSTED[3]])
    yield await router.episode("17:15  The rest arrives, and two messages a second time.")
    await router.wait_until("2026-07-14T18:00")
    yield await router.episode("18:00  No late event for half an hour: the recovery is complete.")


PAPER_BILLS: Final = 400
RENUMBERED: Final = 30
PHONED: Final = (3, 7, 377)
"""Paper bills on which a do-not-load is phoned; the last one is filed under another number."""


def paper_number(number: int) -> str:
    return f"SLTCP{number:06d}"


def filed_number(number: int) -> str:
    """The number of its electronic filing; the last thirty are filed under other numbers."""
    return paper_number(number) if number < PAPER_BILLS - RENUMBERED else f"SLTCE{number:06d}"


def cargo_of(bill: str, number: int, received_at: int) -> Filing:
    shipment = Shipment(**SHIP, carrier_scac="SLTC", voyage_number="S26E", container_numbers=(f"SLCU{number:06d}",))
    return Filing(bill[:4], bill[4:], "regular", (), shipment, 10 + number, received_at, "demo")


async def cyberattack(router: DemoRouter) -> AsyncIterator[Episode]:
    """A carrier's systems are attacked: 400 bills go in on paper, and are filed when it is back."""
    fields = {"reason": "cyberattack on its systems", "by": BY, "carrier": "SLTC", "since": router.now}
    outage = await declare(router.log, checked(OutageForm, fields), router.now)
    yield await router.episode("SLTC's systems are down. The parties of its sailings are notified.")
    await router.wait_until("2026-07-10T10:00")
    filings = (cargo_of(paper_number(number), number, router.now) for number in range(PAPER_BILLS))
    papers = (PaperBill(filing, router.now, "CBPF1302", BY, received_at=router.now) for filing in filings)
    await append_filings(router.log, papers)
    yield await router.episode("10:00  400 bills are delivered to CBP on paper. There is no news of them yet.")
    await router.wait_until("2026-07-10T14:00")
    for number in PHONED:
        await router.phone(paper_number(number), PLACE, "6H")
    yield await router.episode("14:00  CBP phones do-not-loads on three of them.")
    await router.wait_until("2026-07-12T09:00")
    await end(router.log, outage.id, BY, router.now, router.now)
    yield await router.episode("Two days later SLTC is back.")
    filings = (cargo_of(filed_number(number), number, router.now) for number in range(PAPER_BILLS))
    await append_filings(router.log, filings)
    yield await router.episode("It files all 400 electronically, 30 of them under other numbers.")
    for proposal in await propose_matches(router.log, router.rules):
        await match(router.log, router.rules, proposal.paper, proposal.electronic, BY, router.now)
    yield await router.episode("The 30 are matched: their notices are sent again, once, with the new numbers.")


async def party_down(router: DemoRouter) -> AsyncIterator[Episode]:
    """SLTC reads nothing for three days, then asks for the status now of all its bills."""
    await router.ingest("on-file", [event(bill, "55", "2026-07-13T07:30") for bill in CARGO])
    yield await router.episode("Three bills are on file. Then SLTC stops reading.")
    for day, codes in (("2026-07-14", ["6H"]), ("2026-07-15", ["6I"]), ("2026-07-16", ["1H", "1I"])):
        await router.wait_until(f"{day}T10:00")
        await router.ingest(day, [event(HOUSE, code, f"{day}T09:{number:02d}") for number, code in enumerate(codes)])
        yield await router.episode(
            f"{day}  {', '.join(codes)} on NVXA's bill. SLTC's notices are written, but not read."
        )
    await router.wait_until("2026-07-17T08:00")
    await _request_resync(router)
    await _request_resync(router)
    await router.ingest("live", [event(CO_LOADED, "1C", "2026-07-17T07:59")])
    yield await router.episode("SLTC is back and asks twice: it gets each of its bills once. Live notices continue.")
    router.now += 2 * MINUTE
    yield await router.episode("There is no second answer.")


async def _request_resync(router: DemoRouter) -> None:
    request = Request("", RESYNC, "SLTC", "SLTC", router.now)
    await router.log.append([Output(topics.REQUEST_PREFIX + "SLTC", b"", codec.encode_value(request))])


OUTAGE_DAYS: Final = {
    "ace-down": OutageDay("ACE is down at Los Angeles for nine hours", "2026-07-14T07:40", ace_down),
    "cyberattack": OutageDay("A carrier's cyberattack, and 400 bills on paper", "2026-07-10T08:00", cyberattack),
    "party-down": OutageDay("A party is down for three days", "2026-07-13T08:00", party_down),
}
