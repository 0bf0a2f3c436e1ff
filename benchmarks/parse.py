"""How fast the feeds read: `python -m benchmarks.parse`. One core, everything in memory; medians of interleaved
rounds, CPU time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.options import Options
from router.feeds.camir import read_camir
from router.feeds.disposition_files import read_jsonl
from router.feeds.x12 import read_x12

CHUNK = 1 << 17
ISA = "ISA*00*          *00*          *ZZ*CBPTEST        *02*OCNX           *260714*1412*U*00605*000000101*0*P*>~"


def x12(events: int) -> bytes:
    """One set with a hold on each of many bills: master, remark, two parties and a container, some 170
    bytes."""
    loops = "".join(
        f"X4*HBL{bill:09}*{bill % 900 + 1}***20260714*{bill // 60 % 24:02}{bill % 60:02}*1H**NVXA****2704*Z999"
        f"*OB*OCNXMB{bill // 9:07}*ET~K1*CET INTENSIVE EXAM AT PIER~N9*SNP*OCNX~N9*SNP*SLTC~N7*CSQU*{bill:07}~"
        for bill in range(events)
    )
    head = f"{ISA}GS*SO*CBPTEST*OCNX*20260714*141205*101*X*006050~ST*350*0001~"
    port = "M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~P4*2704*20260728~"
    return f"{head}{port}{loops}SE*{events * 5 + 4}*0001~GE*1*101~IEA*1*000000101~".encode()


TRANSMISSION = 10_000
"""Events of one CAMIR transmission, whose trailer counts at most 99,999 records."""


def camir(events: int) -> bytes:
    """The same as 80-byte records without separation: six records an event, in as many transmissions as it takes."""
    starts = range(0, events, TRANSMISSION)
    return b"".join(_transmission(range(start, min(start + TRANSMISSION, events))) for start in starts)


def _transmission(bills: range) -> bytes:
    records = [
        "ACROCNX      RC26071414120500031",
        "M01OCNX11PAOCEAN EXEMPLAR         026E      000001 9074729",
        "R01OCNX2704OCEAN EXEMPLAR         026E 000001260728",
        "J01NVXA",
    ]
    for bill in bills:
        time_of_day = f"{bill // 60 % 24:02}{bill % 60:02}"
        records += [
            f"R02HBL{bill:09}1H{bill % 900 + 1:010}{'':17}260714{time_of_day}{'':13}1",
            f"R022704Z999{'':26}OB OCNXMB{bill // 9:07}",
            "B04SNPOCNX",
            "B04SNPSLTC",
            "R03CET INTENSIVE EXAM AT PIER",
            f"R05CSQU{bill:07}",
        ]
    records.append(f"ZCROCNX      RC{'':19}{len(records) - 1:05}")
    return "".join(record.ljust(80) for record in records).encode()


def jsonl(events: int) -> bytes:
    event = {
        "scac": "NVXA",
        "disposition_code": "1H",
        "remarks": "CET INTENSIVE EXAM AT PIER",
        "snps": ["OCNX", "SLTC"],
        "transaction_port": "2704",
    }
    rows = (
        event
        | {
            "bill_of_lading": f"HBL{bill:09}",
            "quantity": bill % 900 + 1,
            "action_at": f"2026-07-14T{bill // 60 % 24:02}:{bill % 60:02}",
            "master_bill": f"OCNXMB{bill // 9:07}",
            "container_numbers": [f"CSQU{bill:07}"],
        }
        for bill in range(events)
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def chunks(content: bytes) -> Iterator[bytes]:
    for place in range(0, len(content), CHUNK):
        yield content[place : place + CHUNK]


Read = Callable[[Iterable[bytes], str, int], Iterable[object]]


def seconds(read: Read, content: bytes, events: int) -> float:
    start = time.process_time()
    count = sum(1 for _ in read(chunks(content), "FILE", 0))
    taken = time.process_time() - start
    assert count >= events
    return taken


def main() -> None:
    sizes = Options(__doc__, events=(60_000, 500), rounds=(3, 1)).asked()
    events, rounds = sizes.events, sizes.rounds
    formats: dict[str, tuple[bytes, Read]] = {
        "X12 350": (x12(events), read_x12),
        "CAMIR": (camir(events), read_camir),
        "JSON Lines": (jsonl(events), read_jsonl),
    }
    runs: dict[str, list[float]] = {name: [] for name in formats}
    for _ in range(rounds):
        for name, (content, read) in formats.items():
            runs[name].append(seconds(read, content, events))
    table = Table(
        *("format", "MB/s", "events/s", "µs an event", "bytes an event"),
        title=f"{Path(__file__).name}: one core, {events:,} events; medians of {rounds} rounds",
    )
    for name, (content, _) in formats.items():
        taken = median(runs[name])
        table.add_row(
            name,
            f"{len(content) / taken / 1e6:.1f}",
            f"{events / taken:,.0f}",
            f"{taken / events * 1e6:.1f}",
            f"{len(content) // events}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
