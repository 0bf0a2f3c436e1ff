"""Routine trade: the lives of bills as CBP's messages tell them when nothing goes wrong, and a year of them.

Each flow is one shipment's story, made for one voyage. Its bills all end in `Release` unless a person is needed; the
master bills beside them only leave the terminal. Shares and delays are assumptions of ours, not CBP's statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

from router.model.eastern import DAY, MINUTE, iso
from router.model.identifiers import container_check_digit, entry_check_digit
from router.model.inputs import Disposition, Filing, disposition_of, filing_of
from router.model.registry_values import Line, Party, PortCall, Sailing
from tests.checking.samples import START

HOUR: Final = 60 * MINUTE
OPERATOR, CHARTERER, THIRD = "OCNX", "SLTC", "THRD"
LINES: Final = (OPERATOR, OPERATOR, CHARTERER)
ISSUERS: Final = ("NVXA", "NVXB", "NVXC")
PARTIES: Final = (
    *(Party(scac, roles=("carrier",)) for scac in (OPERATOR, CHARTERER, THIRD)),
    *(Party(scac, roles=("nvocc",)) for scac in ISSUERS),
)
UNLADING: Final = "2704"
INLAND: Final = "3901"
PIECES: Final = 120


VESSELS: Final = ("9074729", "9321483", "9461867", "9399002", "9454436", "9632064", "9778791", "9839179")
"""IMO numbers. Each vessel makes a rotation of eight weeks."""


class Voyage(NamedTuple):
    """One weekly departure: lading abroad, then three weeks later Los Angeles."""

    number: int

    @property
    def imo_number(self) -> str:
        return VESSELS[self.number % len(VESSELS)]

    @property
    def vessel_name(self) -> str:
        return f"OCEAN {self.imo_number}"

    @property
    def first_lading(self) -> int:
        """UTC milliseconds."""
        return START + self.number * 7 * DAY

    @property
    def arrival(self) -> int:
        return self.first_lading + 21 * DAY

    @property
    def arrival_date(self) -> str:
        return iso(self.arrival)[:10]

    def voyage_number(self, line: str) -> str:
        return f"{self.number + 1:03}{line[0]}"

    def sailing(self) -> Sailing:
        lines = (
            Line(OPERATOR, "operator", self.voyage_number(OPERATOR), "holds"),
            Line(CHARTERER, "charterer", self.voyage_number(CHARTERER), "own"),
            Line(THIRD, "charterer", self.voyage_number(THIRD), "do-not-load"),
        )
        calls = (PortCall(UNLADING, self.arrival_date),)
        lading = iso(self.first_lading)[:10]
        return Sailing(f"S{self.number:03}", self.imo_number, self.vessel_name, calls, lines, lading)


@dataclass
class Shipment:
    """One shipment's messages in the making."""

    random: Random
    voyage: Voyage
    number: int
    carrier: str
    records: list[Disposition | Filing] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    """Bills that end in `Release`."""

    def house(self, index: int = 0) -> str:
        issuer = ISSUERS[(self.number + index) % len(ISSUERS)]
        return self._named(f"{issuer}H{self.number:07}{index}")

    def master(self) -> str:
        return f"{self.carrier}M{self.number:08}"

    def regular(self) -> str:
        return self._named(f"{self.carrier}R{self.number:08}")

    def _named(self, bill: str) -> str:
        if bill not in self.freed:
            self.freed.append(bill)
        return bill

    def box(self, index: int = 0) -> str:
        serial = f"CSQU{(self.number * 8 + index) % 1_000_000:06}"
        return f"{serial}{container_check_digit(serial)}"

    def entry(self, index: int = 0) -> dict[str, str]:
        number = f"AB1{(self.number * 8 + index) % 10_000_000:07}"
        return {"entry_type": "01", "entry_number": f"{number}{entry_check_digit(number)}"}

    def file(self, bill: str, **more: Any) -> None:
        """The filer's own table, as imported the day before CBP's first word."""
        usual = {"manifested_quantity": PIECES, "container_numbers": (self.box(),)}
        names = {"scac": bill[:4], "bill_of_lading": bill[4:], "received_at": self.voyage.first_lading - 4 * DAY}
        self.records.append(filing_of(self._aboard() | usual | names | more))

    def say(self, bill: str, code: str, at: int, quantity: int | None = PIECES, **more: Any) -> None:
        """A message of CBP's, received soon after it was posted, to the minute. `at`: UTC milliseconds."""
        posted = at - at % MINUTE
        names = {"scac": bill[:4], "bill_of_lading": bill[4:], "disposition_code": code, "quantity": quantity}
        when = {"action_at": posted, "received_at": posted + self.random.randint(1, 10) * MINUTE}
        usual = {"container_numbers": (self.box(),), "transaction_port": UNLADING}
        self.records.append(disposition_of(self._aboard() | usual | names | when | more))

    def nominate(self, bill: str, **more: Any) -> None:
        """Code 69, which came with the house bill: the carrier is its only second notify party."""
        before = self.voyage.first_lading - self.random.randint(36, 96) * HOUR
        self.say(bill, "69", before, snps=(self.carrier,), master_bill=self.master(), **more)

    def release(self, bill: str, at: int, index: int = 0, **more: Any) -> None:
        self.say(bill, "1C", at, **{**self.entry(index), **more})

    def _aboard(self) -> dict[str, Any]:
        return {
            "carrier_scac": self.carrier,
            "imo_number": self.voyage.imo_number,
            "vessel_name": self.voyage.vessel_name,
            "voyage_number": self.voyage.voyage_number(self.carrier),
            "arrival_date": self.voyage.arrival_date,
            "port_of_unlading": UNLADING,
        }

    def begin(self, bill: str, **more: Any) -> None:
        """A house's first word: from its filer's table, or, for a carrier that is only notified, from CBP's 69."""
        if self.random.random() < 0.5:
            names = {"bill_type": "30", "snps": (self.carrier,), "master_bill": self.master()}
            self.file(bill, **{**names, **more})
        else:
            self.nominate(bill, **{key: value for key, value in more.items() if key == "container_numbers"})


def simple(one: Shipment) -> None:
    """A carrier's own bill: filed, released after arrival."""
    bill = one.regular()
    one.file(bill, bill_type="00")
    one.say(bill, "3Z", one.voyage.first_lading - 2 * DAY, None)
    one.release(bill, one.voyage.arrival - 2 * DAY)


def house(one: Shipment) -> None:
    """An NVOCC's house under a carrier's master, which leaves the terminal by 1Z."""
    bill = one.house()
    one.file(one.master(), bill_type="28")
    one.begin(bill)
    one.release(bill, one.voyage.arrival + 6 * HOUR, master_bill=one.master())
    one.say(one.master(), "1Z", one.voyage.arrival + 8 * HOUR)


def in_bond(one: Shipment) -> None:
    """Unladen at Los Angeles, moved in bond, arrived and released at Chicago."""
    bill = one.house()
    one.begin(bill)
    bond = {"entry_type": "61", "entry_number": f"V{one.number:08}", "master_bill": one.master()}
    one.say(bill, "1J", one.voyage.arrival + 3 * HOUR, **bond)
    there = one.voyage.arrival + 5 * DAY
    one.say(bill, "12", there, **{**bond, "transaction_port": INLAND})
    one.release(bill, there + 4 * HOUR, transaction_port=INLAND)


def in_bond_released_on_the_way(one: Shipment) -> None:
    """The same, with the importer's entry released before the cargo arrives."""
    bill = one.house()
    one.begin(bill)
    one.say(bill, "1J", one.voyage.arrival + 3 * HOUR)
    one.release(bill, one.voyage.arrival + 2 * DAY, transaction_port=INLAND)
    one.say(bill, "12", one.voyage.arrival + 5 * DAY, transaction_port=INLAND)


def permits_by_box(one: Shipment) -> None:
    """Two boxes, each with its own permit to transfer, then released together."""
    bill = one.regular()
    boxes = (one.box(0), one.box(1))
    one.file(bill, bill_type="00", container_numbers=boxes)
    for index, box in enumerate(boxes):
        named = {"container_numbers": (box,), "container_level": True}
        one.say(bill, "1W", one.voyage.arrival + (2 + index) * HOUR, None, **named)
    one.release(bill, one.voyage.arrival + DAY, container_numbers=boxes)


def released_by_box(one: Shipment) -> None:
    """Two boxes, each released on its own; one was held for an exam meanwhile."""
    bill = one.regular()
    boxes = (one.box(0), one.box(1))
    one.file(bill, bill_type="00", container_numbers=boxes)
    first, second = ({"container_numbers": (box,), "container_level": True} for box in boxes)
    arrival = one.voyage.arrival
    one.say(bill, "7H", arrival, PIECES // 2, **second)
    one.release(bill, arrival + HOUR, quantity=PIECES // 2, **first)
    one.say(bill, "7I", arrival + 20 * HOUR, PIECES // 2, **second)
    one.release(bill, arrival + 21 * HOUR, quantity=PIECES // 2, **second)


def empty(one: Shipment) -> None:
    """An empty container's bill: closed by a 1C when the vessel arrives."""
    bill = one.regular()
    one.file(bill, bill_type="12", manifested_quantity=None)
    one.say(bill, "1C", one.voyage.arrival, None)


def split(one: Shipment) -> None:
    """Part of the cargo is sold afloat: a second bill takes 40 pieces, the first keeps the rest."""
    bill, part = one.regular(), one._named(f"{one.carrier}S{one.number:08}")
    one.file(bill, bill_type="00")
    sold = one.voyage.first_lading + 9 * DAY
    one.say(bill, "56", sold, PIECES - 40)
    one.say(part, "55", sold, 40, original_bill=bill)
    one.release(bill, one.voyage.arrival, quantity=PIECES - 40)
    one.release(part, one.voyage.arrival + HOUR, 1, quantity=40, original_bill=bill)


def do_not_load_lifted(one: Shipment) -> None:
    """A poor description stops the box abroad until the filer amends it."""
    bill = one.house()
    one.begin(bill)
    stopped = one.voyage.first_lading - 26 * HOUR
    one.say(bill, "6H", stopped, master_bill=one.master(), snps=(one.carrier,))
    one.say(bill, "6I", stopped + 5 * HOUR, master_bill=one.master(), snps=(one.carrier,))
    one.release(bill, one.voyage.arrival)


def isf_hold(one: Shipment) -> None:
    """No security filing: a do-not-load that ends when it is filed."""
    bill = one.house()
    one.begin(bill)
    one.say(bill, "2Q", one.voyage.first_lading - 25 * HOUR, snps=(one.carrier,))
    one.say(bill, "3Z", one.voyage.first_lading - 20 * HOUR, None)
    one.say(bill, "4Q", one.voyage.first_lading - 20 * HOUR + MINUTE, snps=(one.carrier,))
    one.release(bill, one.voyage.arrival)


def held_on_arrival(one: Shipment) -> None:
    """Examined before its entry is released."""
    bill = one.house()
    one.begin(bill)
    one.say(bill, "1H", one.voyage.arrival - DAY)
    one.say(bill, "1I", one.voyage.arrival + DAY)
    one.release(bill, one.voyage.arrival + DAY + 2 * HOUR)


def agriculture(one: Shipment) -> None:
    """A hold of Agriculture's on part of the cargo, and a quantity corrected while it stands."""
    bill = one.house()
    one.begin(bill)
    one.say(bill, "71", one.voyage.arrival, 40)
    one.say(bill, "56", one.voyage.arrival + 3 * HOUR, PIECES - 2)
    one.say(bill, "74", one.voyage.arrival + 10 * HOUR, 40)
    one.release(bill, one.voyage.arrival + DAY, quantity=PIECES - 2)


def entry_replaced(one: Shipment) -> None:
    """The broker withdraws an entry and files another."""
    bill = one.house()
    one.begin(bill)
    one.release(bill, one.voyage.arrival - DAY, 0)
    one.say(bill, "4E", one.voyage.arrival, **one.entry(0))
    one.release(bill, one.voyage.arrival, 1)


def co_loaded(one: Shipment) -> None:
    """Three NVOCCs' houses in one box; a do-not-load on one stops them all for a day."""
    bills = [one.house(index) for index in range(3)]
    for bill in bills:
        one.begin(bill)
    stopped = one.voyage.first_lading - 28 * HOUR
    one.say(bills[1], "6H", stopped, snps=(one.carrier,))
    one.say(bills[1], "6I", stopped + 10 * HOUR, snps=(one.carrier,))
    for index, bill in enumerate(bills):
        one.release(bill, one.voyage.arrival + index * HOUR, index)


def examined_after_release(one: Shipment) -> None:
    """Selected for a scan after its 1C, and found in order."""
    bill = one.house()
    one.begin(bill)
    one.release(bill, one.voyage.arrival - 2 * DAY)
    one.say(bill, "7H", one.voyage.arrival)
    one.say(bill, "7I", one.voyage.arrival + DAY)


Flow = Callable[[Shipment], None]

ROUTINE: Final[dict[Flow, int]] = {
    simple: 24, house: 24, in_bond: 8, in_bond_released_on_the_way: 3, permits_by_box: 4, released_by_box: 2, empty: 6,
    split: 1, do_not_load_lifted: 2, isf_hold: 2, held_on_arrival: 6, agriculture: 2, entry_replaced: 2, co_loaded: 8,
}  # fmt: skip
"""Flows that end in `Release` without a person under either rule, with their shares, in percent."""

AFTER_RELEASE: Final[dict[Flow, int]] = {examined_after_release: 6}
"""Flows that do so only where a release from before the hold counts again (rule `previous`)."""

FLOWS: Final = ROUTINE | AFTER_RELEASE


def shipment(flow: Flow, number: int, seed: int = 0) -> Shipment:
    """One shipment by this flow. Its number decides its voyage, names and carrier."""
    random = Random(f"{seed} {number}")
    one = Shipment(random, Voyage(number % 52), number, random.choice(LINES))
    flow(one)
    return one


def year(shipments: int, seed: int = 0) -> Iterator[tuple[Flow, Shipment]]:
    """A year of shipments in the shares of `FLOWS`."""
    random = Random(seed)
    flows = random.choices(list(FLOWS), list(FLOWS.values()), k=shipments)
    for number, flow in enumerate(flows):
        yield flow, shipment(flow, number, seed)
