"""Valid CBP messages to damage: a few bills' events as X12 350, CAMIR status notifications, JSON Lines or Avro.

All formats say the same, so that one oracle judges all of them.
"""

from __future__ import annotations

import json
from io import BytesIO
from random import Random
from typing import Any, Final, NamedTuple

import fastavro

from router.codec.published import raw_schema
from router.feeds.forms import DispositionForm
from router.model.inputs import disposition_fields
from tests.checking.samples import START

STOPS: Final = ("1H", "7H", "5H", "6H", "2Q")
REMOVALS: Final = ("1I", "7I", "5I", "6I", "4Q")
FREEING: Final = ("1C", "1J", "1W", *REMOVALS)
PARTIES: Final = ("SLTC", "THRD", "FRTH", "FFTH")
"""Second notify parties that no sailing and no bill's number names."""


class BillEvent(NamedTuple):
    """One event of a message."""

    scac: str
    number: str
    code: str
    minute: int
    """Minute of 14 July 2026, Eastern."""
    quantity: int
    entry: str = ""
    master: str = ""
    remark: str = ""
    snps: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.scac + self.number

    @property
    def clock(self) -> str:
        return f"{self.minute // 60:02}{self.minute % 60:02}"


PIECES: Final = 120
BILLS: Final = (
    ("NVXA", "HBL000012345", "OCNXMB7781234"),
    ("NVXB", "HBL000067890", "OCNXMB7781234"),
    ("OCNX", "MB7781234", ""),
    ("NVXC", "ABCD1234", "HARXM0000077"),
    ("HARX", "M0000077", ""),
)
BOXES: Final = ("CSQU3054383", "MSKU9070323", "TGHU7654327", "HLXU1234563")


def whole_bills() -> list[BillEvent]:
    """Each bill begun with its quantity, the hold that most messages remove, and an earlier release."""
    return [
        BillEvent(scac, number, code, minute, PIECES, "01AB100045215" if code == "1C" else "", master)
        for scac, number, master in BILLS
        for code, minute in (("55", 10), ("1C", 20), ("1H", 30))
    ]


def some_events(random: Random) -> list[BillEvent]:
    """A few events, each bill's with its own parties, remark and box."""
    events = []
    for minute in range(random.randint(3, 7)):
        index = random.randrange(len(BILLS))
        scac, number, master = BILLS[index]
        code = random.choice((*STOPS, *FREEING, "1I", "1C", "1C"))
        events.append(
            BillEvent(
                *(scac, number, code, 60 + minute, PIECES),
                "01AB100045215" if code == "1C" and random.random() < 0.7 else "",
                master,
                f"REMARK OF {number}" if random.random() < 0.6 else "",
                tuple(random.sample(PARTIES, random.randint(0, 2))) if master else (),
                (BOXES[index % len(BOXES)],) if random.random() < 0.6 else (),
            )
        )
    return events


ISA: Final = "ISA*00*          *00*          *ZZ*CBPEXAMPLE     *02*OCNX           *260714*0412*U*00605*000000703*0*P*>"
HEADERS: Final = ("M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000204***L", "P4*2704*20260728")


OLD_VERSION: Final = "004010"


def x12_segments(events: list[BillEvent], sets: int, version: str = "006050") -> list[str]:
    """The segments of one interchange, its events spread over some sets.

    In 004010 an event's references come before it, so each event has a port of its own.
    """
    is_old = version == OLD_VERSION
    segments = [ISA, f"GS*SO*CBPEXAMPLE*OCNX*20260714*0412*703*X*{version}"]
    size = -(-len(events) // sets)
    groups = [events[place : place + size] for place in range(0, len(events), size)]
    for number, group in enumerate(groups, 1):
        body = [f"ST*350*{number:04}", *(HEADERS[:1] if is_old else HEADERS)]
        for event in group:
            x4, details, boxes = _x12_loop(event)
            body += [HEADERS[1], *reversed(details), x4, *boxes] if is_old else [x4, *details, *boxes]
        segments += [*body, f"SE*{len(body) + 1}*{number:04}"]
    return [*segments, f"GE*{len(groups)}*703", "IEA*1*000000703"]


def _x12_loop(event: BillEvent) -> tuple[str, list[str], list[str]]:
    """Its X4, its remark and references, and its containers."""
    entry = (event.entry[:2], event.entry[2:])
    master = f"OB*{event.master}" if event.master else "*"
    x4 = (
        f"X4*{event.number}*{event.quantity}*{entry[0]}*{entry[1]}*20260714*{event.clock}*{event.code}**{event.scac}"
        f"****2704*Z999*{master}*ET"
    )
    boxes = [f"N7*{box[:4]}*{box[4:]}" for box in event.containers]
    remark = [f"K1*{event.remark}"] if event.remark else []
    return x4, [*remark, *(f"N9*SNP*{snp}" for snp in event.snps)], boxes


def camir_records(events: list[BillEvent]) -> list[str]:
    """The records of one transmission, each of 80 places."""
    records = [
        "M01OCNX11PAOCEAN EXEMPLAR         026E      000204 9074729",
        "R01OCNX2704OCEAN EXEMPLAR         026E 000204260728",
    ]
    issuer = ""
    for event in events:
        records += [f"J01{event.scac}"] if event.scac != issuer else []
        issuer = event.scac
        master = f"OB {event.master}" if event.master else ""
        records += [
            f"R02{event.number:<12}{event.code}{event.quantity:010}{event.entry:<17}260714{event.clock}{'':13}1",
            f"R022704Z999{'':26}{master}",
            *(f"B04SNP{snp}" for snp in event.snps),
            *([f"R03{event.remark}"] if event.remark else []),
            *(f"R05{box}" for box in event.containers),
        ]
    records = ["ACROCNX      RC26071404120500031", *records, f"ZCROCNX      RC{'':19}{len(records):05}"]
    return [record.ljust(80) for record in records]


def json_lines(events: list[BillEvent]) -> list[str]:
    return [json.dumps(_fields(event)) for event in events]


def avro_file(events: list[BillEvent], codec: str) -> str:
    """An object container file by the published schema, its bytes as characters."""
    forms = [DispositionForm.model_validate(_fields(event)).disposition(START, "AVRO") for event in events]
    file = BytesIO()
    records = [disposition_fields(one) for one in forms]
    fastavro.writer(file, fastavro.parse_schema(raw_schema("disposition")), records, codec, sync_interval=400)
    return file.getvalue().decode("latin-1")


def _fields(event: BillEvent) -> dict[str, Any]:
    return {
        "scac": event.scac,
        "bill_of_lading": event.number,
        "disposition_code": event.code,
        "action_at": f"2026-07-14T{event.clock[:2]}:{event.clock[2:]}",
        "quantity": event.quantity,
        "entry_type": event.entry[:2],
        "entry_number": event.entry[2:],
        "transaction_port": "2704",
        "firms": "Z999",
        "remarks": event.remark,
        "snps": event.snps,
        "carrier_scac": "OCNX",
        "imo_number": "9074729",
        "voyage_number": "026E",
        "vessel_name": "OCEAN EXEMPLAR",
        "port_of_unlading": "2704",
        "arrival_date": "2026-07-28",
        **({"master_bill": event.master} if event.master else {}),
        "container_numbers": event.containers,
    }
