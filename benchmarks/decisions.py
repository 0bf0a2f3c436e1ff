"""Decisions a second of the pure core, and where each microsecond goes: `python -m benchmarks.decisions`.

The job: a bill's life of five events (55, 69, 1H, 1I, 1C), four recipients an event, everything encoded. Figures are
CPU time of this process; the machine's speed is its own, so compare ratios.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console
from rich.table import Table

from router import codec, topics
from router.decide.bill import decide
from router.decide.context import Context
from router.decide.ledger.identity import event_key
from router.decide.ledger.rules import Rules
from router.decide.ledger.state import BillState
from router.decide.task.outputs import Origin, outputs_of
from router.decide.task.shard import Shard
from router.decide.task.stored import decode_state, encode_state
from router.engine.worker import COLLECTOR_THRESHOLDS
from router.log.interface import Record
from router.model.inputs import Disposition
from router.model.registry import Line, Party, RegistryNote, Sailing

POSTED: Final = 1_784_031_120_000
MINUTE: Final = 60_000
LIFE: Final = ("55", "69", "1H", "1I", "1C")
TRANSACTION: Final = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--toy", action="store_true", help="tiny sizes, to see that it works")
    arguments = parser.parse_args()
    if arguments.toy:
        arguments.events = 500
    gc.set_threshold(*COLLECTOR_THRESHOLDS)  # as the router does
    records = [as_record(number, event) for number, event in enumerate(events(arguments.events // len(LIFE)))]
    seconds, done = route(records)
    console = Console()
    console.print(
        f"{len(records):,} events, {sum(done[kind] for kind in codec.NOTICE_KINDS):,} notices: "
        f"[bold]{len(records) / seconds:,.0f} decisions a second[/], {seconds / len(records) * 1e6:.0f} µs each"
    )
    console.print(stages())


def events(bills: int) -> Iterator[Disposition]:
    """Each bill's events in order, the bills side by side as in a day's feed."""
    for minute, code in enumerate(LIFE):
        for bill in range(bills):
            yield event(bill, code, minute)


def event(bill: int, code: str, minute: int) -> Disposition:
    return Disposition(
        scac="NVXA",
        bill_of_lading=f"HBL{bill:09d}",
        disposition_code=code,
        action_at=POSTED + minute * MINUTE,
        quantity=120,
        entry_type="01" if code == "1C" else None,
        entry_number="AB100045215" if code == "1C" else None,
        container_numbers=(f"CSQU{bill % 1_000_000:06d}",),
        transaction_port="2704",
        snps=("OCNX", "SLTC"),
        master_bill="OCNXMB7781234",
        carrier_scac="OCNX",
        imo_number="9074729",
        vessel_name="OCEAN EXEMPLAR",
        voyage_number="026E",
        manifest_sequence_number="000001",
        port_of_unlading="2704",
        arrival_date="2026-07-28",
        received_at=POSTED + minute * MINUTE,
        source="benchmark",
    )


def as_record(offset: int, disposition: Disposition) -> Record:
    key = event_key(disposition).encode()
    return Record(topics.DISPOSITIONS, 0, offset, key, codec.encode_value(disposition), (), 0)


def new_shard() -> Shard:
    shard = Shard(Rules(), 0, 1)
    lines = (
        Line("OCNX", "operator", "026E", "holds"),
        Line("SLTC", "charterer", "SL26", "own"),
        Line("HARX", "charterer", "H26", "all"),
    )
    registered = [
        RegistryNote("installation", "secret", 0, "00" * 32),
        RegistryNote("tick", "tick", POSTED),
        *(Party(scac) for scac in ("OCNX", "SLTC", "HARX", "NVXA")),
        Sailing("EXEMPLAR-026E", "9074729", "OCEAN EXEMPLAR", "2026-07-28", lines),
    ]
    for offset, value in enumerate(registered):
        shard.load_registry(Record(topics.REGISTRY, 0, offset, b"", codec.encode_value(value), (), 0))
    return shard


def route(records: list[Record]) -> tuple[float, Counter[str]]:
    """The CPU seconds, and what was done in them."""
    shard, done = new_shard(), Counter[str]()
    started = time.process_time()
    for start in range(0, len(records), TRANSACTION):
        for record in records[start : start + TRANSACTION]:
            shard.process(record)
        shard.take_outputs()
        done.update(shard.tally)
        shard.committed()
    return time.process_time() - started, done


def stages() -> Table:
    """What one decision is made of, each stage by itself, on the last event of a bill's life."""
    shard = new_shard()
    context = Context(shard.registry, shard.rules)
    life = [event(1, code, minute) for minute, code in enumerate(LIFE)]
    state: BillState | None = None
    for disposition in life[:-1]:
        state = decide(state, disposition, context).state
    assert state is not None
    before = state
    encoded = codec.encode_value(life[-1])
    decision = decide(before, life[-1], context)
    origin = Origin(topics.DISPOSITIONS, 1, encoded, POSTED, 1, "benchmark")
    written = encode_state(before)
    table = Table("stage", "µs", title="one decision (1C on a bill with four events, four recipients)")
    timed: tuple[tuple[str, Callable[[], object]], ...] = (
        ("decode the event", lambda: codec.decode_value(encoded)),
        ("decide", lambda: decide(before, life[-1], context)),
        (
            "decode the bill's state and decide (when it is not at hand)",
            lambda: decide(decode_state(written), life[-1], context),
        ),
        ("encode notices, facts, timeline", lambda: list(outputs_of(before.key, decision, origin, shard.rules))),
        ("encode the bill's state (once a transaction)", lambda: encode_state(before)),
        ("decode the bill's state (only when not at hand)", lambda: decode_state(written)),
    )
    for name, stage in timed:
        table.add_row(name, f"{microseconds(stage):.1f}")
    table.add_row("size of the bill's state", f"{len(written)} bytes")
    return table


def microseconds(stage: Callable[[], object], times: int = 3000) -> float:
    started = time.process_time()
    for _ in range(times):
        stage()
    return (time.process_time() - started) / times * 1e6


if __name__ == "__main__":
    main()
