"""A night at a large installation. Everything in it is chosen here, so a test knows what the desk must answer."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import IO, Any, Final, NamedTuple

from router.clock import now_milliseconds
from router.desk.receipts import WebhookState, state_output
from router.engine.backlog import unrouted
from router.log.url import open_log
from router.model.eastern import DAY, HOUR, eastern_day, iso
from tests.cli.conftest import WAIT_SECONDS
from tests.console.installation import Installation

BILLS: Final = 20_000
ROUTING_SECONDS: Final = 300
PORT: Final = "2704"
LATER_PORT: Final = "2811"

BY_DAY: Final = "MADE"
"""Files all bills of the days before, and has read everything."""
UNREADABLE: Final = "LIVE"
"""Files the bills of the live feed. Nobody knows what it reads."""
OPERATOR: Final = "OCNX"
"""The operator of every sailing; it has read everything."""
NOT_TOLD: Final = "RIVL"
"""A charterer on `VESSEL` whose agreement shows it no bill but its own."""
PARTIES: Final = {
    # id: (name, telephone)
    BY_DAY: ("Made by Day Forwarding", "+1 555 0101"),
    UNREADABLE: ("Live Feed Forwarding", "+1 555 0102"),
    OPERATOR: ("Ocean Example Lines", "+1 555 0103"),
    "SLTC": ("Slot Charterer", "+1 555 0104"),
    "HARX": ("Harbor Express", "+1 555 0105"),
    NOT_TOLD: ("Rival Lines", "+1 555 0106"),
}
HAVE_READ: Final = (BY_DAY, OPERATOR)

VESSEL: Final = "NIGHT WATCH"
VESSELS: Final = 40
VOYAGE: Final = "031E"
BOX: Final = "CSQU 305438-3"

HELD_TOMORROW, STOPPED_TOMORROW, HELD_LATER, FREE_TOMORROW = 130, 8, 30, 40
"""Bills on `VESSEL`."""
UNREAD_OF_SLTC, UNREAD_OF_HARX = 9, 3
"""Do-not-loads of the days before that these have not read."""


@dataclass
class Night:
    """The truth about the installation."""

    tomorrow: str = ""
    unread: dict[str, list[str]] = field(default_factory=dict)
    """By party, bills with a do-not-load that it has not read."""
    held: list[str] = field(default_factory=list)
    """Held bills on `VESSEL` that arrive tomorrow; none has a do-not-load."""
    not_told_of: str = ""
    """One of them, of which `NOT_TOLD` was not notified."""
    in_box: dict[str, str] = field(default_factory=dict)
    """By bill with cargo in `BOX`, what that bill says of the box."""
    since: str = ""
    until: str = ""
    stopped: list[str] = field(default_factory=list)
    """Bills on which a do-not-load began between `since` and `until`."""
    allowed: list[str] = field(default_factory=list)
    """Bills of which one ended then."""
    released: list[str] = field(default_factory=list)


def bill(scac: str, kind: str, number: int) -> str:
    return f"{scac}{kind}{number:06}"


def event(bill: str, code: str, posted: int, **more: object) -> dict[str, object]:
    """A line of JSON Lines; `posted` in UTC milliseconds."""
    number = {"scac": bill[:4], "bill_of_lading": bill[4:], "disposition_code": code, "action_at": iso(posted)}
    return number | {"quantity": 10, "snps": [OPERATOR]} | more


def vessel(number: int) -> dict[str, object]:
    """A vessel and its voyage, as events name them; 0 is `VESSEL`, the last one is of the live feed."""
    serial = f"{907472 + number:06}"
    digit = sum(int(one) * (7 - place) for place, one in enumerate(serial)) % 10
    name = VESSEL if number == 0 else f"DAY BOAT {number}"
    operator = UNREADABLE if number == VESSELS else OPERATOR
    return {
        "imo_number": f"{serial}{digit}", "vessel_name": name, "voyage_number": VOYAGE, "carrier_scac": operator,
    }  # fmt: skip


def days_before(truth: Night, bills: int, now: int) -> Iterator[dict[str, object]]:
    """The bills that are there when the night begins, one event each."""
    posted = now - 2 * DAY
    tomorrow, later = truth.tomorrow, str(date.fromisoformat(truth.tomorrow) + timedelta(days=8))
    special = [
        ("HTOM", HELD_TOMORROW, "1H", tomorrow, PORT),
        ("STOM", STOPPED_TOMORROW, "6H", tomorrow, PORT),
        ("FTOM", FREE_TOMORROW, "55", tomorrow, PORT),
        ("HLAT", HELD_LATER, "1H", later, LATER_PORT),
    ]
    for kind, bills_of_it, code, arrival, port in special:
        for number in range(bills_of_it):
            where = {"arrival_date": arrival, "port_of_unlading": port}
            yield event(bill(BY_DAY, kind, number), code, posted, **vessel(0), **where)
    truth.held = [bill(BY_DAY, "HTOM", number) for number in range(HELD_TOMORROW)]
    truth.not_told_of = truth.held[5]
    for party, stops in (("SLTC", UNREAD_OF_SLTC), ("HARX", UNREAD_OF_HARX)):
        truth.unread[party] = [bill(BY_DAY, f"U{party}", number) for number in range(stops)]
        for stopped in truth.unread[party]:
            yield event(stopped, "6H", posted, snps=[party], arrival_date=later, port_of_unlading=PORT, **vessel(1))
    boxed = {"container_numbers": [BOX], "arrival_date": tomorrow, "port_of_unlading": PORT, **vessel(2)}
    first, second = bill(BY_DAY, "BOX", 1), bill(BY_DAY, "BOX", 2)
    yield event(first, "7H", posted, container_level=True, **boxed)
    yield event(second, "55", posted, **boxed)
    truth.in_box = {first: "stopped", second: "stopped"}
    made = sum(one[1] for one in special) + UNREAD_OF_SLTC + UNREAD_OF_HARX + 2
    for number in range(bills - made):
        code = "6H" if number % 20 == 1 else "1H" if number % 7 == 2 else "55"
        yield event(
            bill(BY_DAY, "DAY", number), code, posted, port_of_unlading=PORT,
            container_numbers=[f"MADU{number:06}"],
            arrival_date=later, **vessel(1 + number % (VESSELS - 1)),
        )  # fmt: skip


def of_the_night(truth: Night, now: int) -> Iterator[dict[str, object]]:
    posted = now - HOUR
    on_file, stopped = [0, 3], [1, 21]  # by the codes above
    new = bill(BY_DAY, "NEW", 0)
    later = {"arrival_date": str(date.fromisoformat(truth.tomorrow) + timedelta(days=8)), "port_of_unlading": PORT}
    for number in on_file:
        yield event(bill(BY_DAY, "DAY", number), "6H", posted, snps=["SLTC"], **later, **vessel(1 + number))
    yield event(new, "6H", posted, snps=["SLTC"], **later, **vessel(1))
    truth.stopped = [*(bill(BY_DAY, "DAY", number) for number in on_file), new]
    truth.unread["SLTC"] += truth.stopped
    for number in stopped:
        yield event(bill(BY_DAY, "DAY", number), "6I", posted, **later, **vessel(1 + number))
    truth.allowed = [bill(BY_DAY, "DAY", number) for number in stopped]
    for number in (4, 5, 6):
        yield event(bill(BY_DAY, "DAY", number), "1C", posted, entry_type="01", entry_number="AB100045215",
                    **later, **vessel(1 + number))  # fmt: skip
    truth.released = [bill(BY_DAY, "DAY", number) for number in (4, 5, 6)]


def prepare_night(installation: Installation, bills: int = BILLS) -> Night:
    """Feed in everything up to the morning, by the router's own commands, and leave a router running."""
    now = now_milliseconds()
    truth = Night(tomorrow=str(date.fromisoformat(eastern_day(now)) + timedelta(days=1)))
    write(installation, "parties.csv", parties())
    write(installation, "sailings.csv", sailings(truth.tomorrow))
    installation.command("import", "parties", "parties.csv")
    installation.command("import", "sailings", "sailings.csv")
    write_events(installation, "days.jsonl", days_before(truth, bills, now))
    installation.command("ingest", "days.jsonl", seconds=ROUTING_SECONDS)
    installation.start("run")
    in_a_thread(lambda: is_routed(installation))
    truth.since = next_second()
    write_events(installation, "night.jsonl", of_the_night(truth, now_milliseconds()))
    write(installation, "prices.txt", ["our own price list"])
    installation.command("ingest", "night.jsonl", "prices.txt")
    in_a_thread(lambda: is_routed(installation))
    in_a_thread(lambda: have_read(installation))
    truth.until = next_second()
    return truth


def parties() -> Iterator[str]:
    yield "id,name,status,contact_name,contact_phone,webhook_url"
    for id, (name, phone) in PARTIES.items():
        webhook = "" if id == UNREADABLE else f"https://{id.lower()}.example/notices"
        yield f"{id},{name},live,Duty desk,{phone},{webhook}"


def sailings(tomorrow: str) -> Iterator[str]:
    yield "sailing_id,imo_number,vessel_name,arrival_date,ports,role,scac,voyage_number,scope"
    later = str(date.fromisoformat(tomorrow) + timedelta(days=8))
    for number in range(VESSELS + 1):
        ship = vessel(number)
        calls = [(tomorrow, PORT), (later, LATER_PORT)] if number == 0 else [(tomorrow if number == 2 else later, PORT)]
        for arrival, port in calls:
            row = f"{number:02}-{VOYAGE},{ship['imo_number']},{ship['vessel_name']},{arrival},{port}"
            yield f"{row},operator,{ship['carrier_scac']},{VOYAGE},holds"
            if number == 0:
                yield f"{row},charterer,{NOT_TOLD},R31,own"


async def is_routed(installation: Installation) -> None:
    """Wait until all that was fed in is routed."""
    async with open_log(installation.log_url) as log, asyncio.timeout(ROUTING_SECONDS):
        while await unrouted(log):
            await asyncio.sleep(1)


async def have_read(installation: Installation) -> None:
    """Note what `snp-router webhooks` notes once it has delivered every notice."""
    async with open_log(installation.log_url) as log:
        ends = {party: await log.end_offsets(f"snp.party.{party}") for party in HAVE_READ}
        await log.append([state_output(WebhookState(party, taken_to=end[0])) for party, end in ends.items()])


class LiveFeed(NamedTuple):
    fed: list[dict[str, object]]
    """The events so far."""
    pause: threading.Event


@contextmanager
def live_feed(installation: Installation, events_a_second: int = 8) -> Iterator[LiveFeed]:
    """Feed new bills while the block runs."""
    fed, pause = list[dict[str, object]](), threading.Event()
    feed = installation.start("ingest", "-", "--feed", "live", stdin=subprocess.PIPE)
    assert feed.stdin is not None
    stop, now = threading.Event(), now_milliseconds()
    later = str(date.fromisoformat(eastern_day(now)) + timedelta(days=9))

    def write_lines(pipe: IO[str]) -> None:
        for number in count():
            if stop.wait(1 / events_a_second):
                return
            if pause.is_set():
                continue
            code = ("55", "1H", "6H")[number % 3]
            fed.append(
                event(
                    bill(UNREADABLE, "FEED", number), code, now_milliseconds(), port_of_unlading=PORT,
                    arrival_date=later, snps=[UNREADABLE], **vessel(VESSELS),
                )
            )  # fmt: skip
            pipe.write(json.dumps(fed[-1]) + "\n")
            pipe.flush()

    writing = threading.Thread(target=write_lines, args=(feed.stdin,))
    writing.start()
    yield LiveFeed(fed, pause)
    stop.set()
    writing.join()
    feed.stdin.close()
    assert feed.wait(WAIT_SECONDS) == 0


def write(installation: Installation, name: str, lines: Iterable[str]) -> None:
    (installation.folder / name).write_text("".join(f"{line}\n" for line in lines))


def write_events(installation: Installation, name: str, events: Iterable[dict[str, object]]) -> None:
    write(installation, name, map(json.dumps, events))


def next_second() -> str:
    """Wait for the next whole second and name it, so that everything before it is before it in the log, too."""
    time.sleep(1 - time.time() % 1)
    return iso(int(time.time()) * 1000)


def in_a_thread(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine: a browser's event loop is running in this thread."""
    with ThreadPoolExecutor() as elsewhere:
        elsewhere.submit(lambda: asyncio.run(work())).result()
