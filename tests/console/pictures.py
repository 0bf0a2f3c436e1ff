"""Takes the pictures of docs/console.md anew: `python -m tests.console.pictures`.

A night with an outage is played on a real router with a clock of its own, and each page is taken in a real browser.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.demo.story import WORK, set_up_registry
from router.desk.downtime import declare
from router.desk.operator_deeds import relay
from router.desk.receipts import WebhookState, state_output
from router.engine.administration import import_parties, import_sailings
from router.engine.feed_activity import DEFAULT_FEED, FeedMonitor
from router.engine.intake import ingest_file
from router.engine.worker import Worker
from router.feeds.forms import ManualForm, OutageForm, checked
from router.feeds.input_files import InputFile
from router.feeds.tables import read_parties, read_sailings
from router.log.interface import AdministeredLog
from router.log.url import open_log
from router.model.eastern import HOUR, MINUTE, eastern_day, iso
from router.model.identifiers import container_check_digit
from router.model.registry_values import party_topic
from tests.console.installation import OPERATOR, PASSWORD, Installation, chromium

DOCS: Final = Path(__file__).parents[2] / "docs"
MOST_BYTES: Final = 150_000
COLORS: Final = 48
DESK: Final = {"width": 1440, "height": 1000}
PHONE: Final = {"width": 390, "height": 844}

BILLS: Final = 1_200
BILL, BOX, SAILING = "NVXAHBL000012345", "CSQU3054383", "EXEMPLAR-026E"
UNREAD: Final = {"OCNX": 0, "HARX": 2, "SLTC": 6, "NVXA": 5}
"""Notices at the end of a party's topic that it has not read."""
SHIPS: Final = (
    # vessel, IMO, voyage, arrival in days, port
    ("OCEAN EXEMPLAR", "9074729", "026E", 1, "2704"),
    ("PACIFIC SPECIMEN", "9321483", "114E", 0, "2709"),
    ("ATLANTIC PATTERN", "9461867", "031W", 2, "4601"),
    ("COLUMBIA MODEL", "9619907", "077E", 5, "3001"),
)
CODES: Final = {11: "6H", 23: "1H", 37: "7H", 41: "5H", 2: "1C", 3: "1C", 5: "1C", 7: "1J"}
"""By remainder of a bill's number: what follows its filing."""


def pictures(letter: str, outage: str) -> dict[str, tuple[str, dict[str, int]]]:
    """By name: a page's address and its window."""
    return {
        "now": ("/", DESK), "now-phone": ("/", PHONE), "bills": ("/bills?vessel=OCEAN+EXEMPLAR", DESK),
        "bill": (f"/bills/{BILL}", DESK), "bill-phone": (f"/bills/{BILL}", PHONE), "box": (f"/boxes/{BOX}", DESK),
        "sailings": ("/sailings?show=all", DESK), "sailing": (f"/sailings/{SAILING}", DESK),
        "do-not-loads": (f"/sailings/{SAILING}/do-not-loads", {"width": 816, "height": 1000}),
        "party": ("/parties/SLTC", DESK), "feeds": ("/feeds", DESK), "outage": (f"{outage}?port=2704", DESK),
        "waiting": ("/waiting", DESK), "letters": ("/dead-letters", DESK), "letter": (letter, DESK),
        "handover": ("/handover?since=12h", DESK), "audit": ("/audit", DESK), "search": (f"/search?q={BOX}", DESK),
    }  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        installation = Installation(Path(name))
        asyncio.run(Night(Path(name)).play())
        installation.add_users()
        try:
            installation.start("run")
            installation.start_console()
            take(installation.address)
        finally:
            installation.stop()


def take(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_context(base_url=address).new_page()
        page.goto("/login")
        page.get_by_label("Name").fill(OPERATOR)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_function("() => fetch('/').then(r => r.text()).then(t => !t.includes('Not known yet'))")
        letter, outage = link(page, "/dead-letters"), link(page, "/outages/")
        for name, (path, window) in pictures(letter, outage).items():
            page.set_viewport_size(window)  # type: ignore[arg-type]
            page.emulate_media(media="print" if name == "do-not-loads" else "screen")
            page.goto(path)
            keep(page.screenshot(), DOCS / f"console-{name}.png")
        browser.close()


def link(page: Page, beginning: str) -> str:
    """Address of the first page that begins so, as its list names it."""
    page.goto("/dead-letters" if beginning == "/dead-letters" else "/feeds")
    found = page.locator(f"main a[href^='{beginning}/'], main a[href^='{beginning.rstrip('/')}/']").first
    return found.get_attribute("href") or "/"


def keep(taken: bytes, path: Path) -> None:
    """Write a picture with few colors, as small as its text stays clear."""
    Image.open(BytesIO(taken)).convert("RGB").quantize(COLORS).save(path, optimize=True)
    assert path.stat().st_size <= MOST_BYTES, path


class Night:
    """The log of a night; `now` is the router's clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.morning = now_milliseconds()
        self.now = self.morning - 92 * HOUR

    async def play(self) -> None:
        async with open_log(f"sqlite:///{self.folder}/snp.db") as log:
            await self.register(log)
            await self.ingest(log, 91 * HOUR, self.filed())
            await self.ingest(log, 40 * HOUR, self.held_and_released("1C", "1J"))
            await self.ingest(log, 9 * HOUR, self.held_and_released("1H", "7H", "5H"))
            await self.outage(log, 3 * HOUR)
            await self.phone(log, 2 * HOUR)
            await self.ingest(log, 50 * MINUTE, self.held_and_released("6H"))
            await self.ingest(log, 20 * MINUTE, [self.event(BILL, "6H", remarks="CARGO DESCRIPTION VAGUE")])
            await self.ingest(
                log, 15 * MINUTE, [self.event(f"NVXAODD{n:04}", code) for n, code in enumerate(("0?", "Z9"))]
            )
            await self.read(log)
            await self.route(log, 0)

    async def route(self, log: AdministeredLog, ago: int) -> None:
        self.now = self.morning - ago
        await Worker(log, Rules(), WORK, until_idle=True, clock=lambda: self.now).run()

    async def register(self, log: AdministeredLog) -> None:
        await set_up_registry(log, self.now)
        parties, sailings = self.folder / "parties.csv", self.folder / "sailings.csv"
        rows = [
            f"{scac},{name},{role},live,Night desk,+1-555-01{n}0,https://{scac.lower()}.example/notices"
            for n, (scac, name, role) in enumerate((
                ("OCNX", "Ocean Exemplar Line", "carrier"), ("SLTC", "Slot Carriers", "carrier"),
                ("HARX", "Harbour Express Line", "carrier"), ("NVXA", "Example Consolidators", "nvocc"),
            ))
        ]  # fmt: skip
        parties.write_text("id,name,roles,status,contact_name,contact_phone,webhook_url\n" + "\n".join(rows))
        lines = [
            f"{vessel.split()[-1]}-{voyage},{imo},{vessel},{self.day(days)},{scac},{role},{scac[0]}{voyage},{scope},{port}"
            for vessel, imo, voyage, days, port in SHIPS
            for scac, role, scope in (
                ("OCNX", "operator", "holds"),
                ("SLTC", "charterer", "own"),
                ("HARX", "charterer", "do-not-load"),
            )
        ]
        sailings.write_text(
            "sailing_id,imo_number,vessel_name,arrival_date,scac,role,voyage_number,scope,ports\n" + "\n".join(lines)
        )
        await import_parties(log, read_parties(InputFile(parties).chunks(), parties.name).values)
        await import_sailings(log, read_sailings(InputFile(sailings).chunks(), sailings.name).values)

    def day(self, days: int) -> str:
        return str(date.fromisoformat(eastern_day(self.morning)) + timedelta(days=days))

    def event(self, bill: str, code: str, number: int = 0, **more: Any) -> dict[str, Any]:
        vessel, imo, voyage, days, port = SHIPS[number % len(SHIPS)]
        serial = f"CSQU{number:06}" if number else BOX[:10]
        return {
            "scac": bill[:4], "bill_of_lading": bill[4:], "disposition_code": code, "quantity": 120,
            "vessel_name": vessel, "imo_number": imo, "voyage_number": f"S{voyage}", "carrier_scac": "SLTC",
            "port_of_unlading": port, "transaction_port": port, "arrival_date": self.day(days), "snps": ["SLTC"],
            "container_numbers": [f"{serial}{container_check_digit(serial)}"],
        } | more  # fmt: skip

    def bills(self) -> Iterator[tuple[int, str]]:
        return ((number, f"{('NVXA', 'NVXB')[number % 2]}HBL{number:09}") for number in range(1, BILLS))

    def filed(self) -> list[dict[str, Any]]:
        mine = [self.event(BILL, "55"), self.event("NVXBHBL000067890", "55")]
        waiting = [self.event(f"NVXAWAIT{n:04}", "1H", 9000 + n, snps=["ZZZZ"]) for n in range(4)]
        return mine + waiting + [self.event(bill, "55", number) for number, bill in self.bills()]

    def held_and_released(self, *codes: str) -> list[dict[str, Any]]:
        return [
            self.event(bill, code, number) for number, bill in self.bills() if (code := CODES.get(number % 43)) in codes
        ]

    async def ingest(self, log: AdministeredLog, ago: int, events: list[dict[str, Any]]) -> None:
        path = self.folder / f"cbp-{ago}.jsonl"
        posted = iso(self.morning - ago)
        path.write_text("".join(json.dumps(event | {"action_at": posted}) + "\n" for event in events))
        monitor = FeedMonitor(log, DEFAULT_FEED, Rules())
        await ingest_file(
            log, path, Rules(), source=path.name, received_at=self.morning - ago + MINUTE, monitor=monitor
        )
        await self.route(log, ago - MINUTE)

    async def outage(self, log: AdministeredLog, ago: int) -> None:
        self.now = self.morning - ago
        fields = {"reason": "ACE is down", "port": "2704", "ticket": "4711", "by": "J. Doe", "since": iso(self.now)}
        await declare(log, checked(OutageForm, fields), self.now)
        await self.route(log, ago)

    async def phone(self, log: AdministeredLog, ago: int) -> None:
        self.now = self.morning - ago
        fields = {
            "scac": "NVXA", "bill_of_lading": "HBL000000014", "action": "PLACE", "code": "6H", "said_at": self.now,
            "by": "J. Doe", "channel": "phone", "source": "CBP Los Angeles, Ms Smith", "ticket": "4711",
        }  # fmt: skip
        await relay(log, Rules(), checked(ManualForm, fields), self.now)
        await self.route(log, ago)

    async def read(self, log: AdministeredLog) -> None:
        """Let each party have read all but some notices."""
        for party, unread in UNREAD.items():
            offsets = [
                record.offset async for batch in log.read([party_topic(party)], until_end=True) for record in batch
            ]
            await log.append([state_output(WebhookState(party, taken_to=offsets[-1 - unread] + 1))])


if __name__ == "__main__":
    main()
