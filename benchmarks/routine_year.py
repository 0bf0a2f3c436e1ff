"""Cost of routine trade in people and notices: `python -m benchmarks.routine_year [--shipments N]`.

A generated year of shipments in which nothing goes wrong (`tests/checking/routine.py`), decided in memory by both rules
for a release that is older than a hold. A bill needed a person if it ends in anything but `RELEASED`. Nothing here
depends on the machine.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Final

from rich.console import Console
from rich.table import Table

from router.decide.rules import FRESH, PREVIOUS, Rules
from router.decide.status import RELEASED
from router.model.eastern import DAY
from tests.checking.harness import Harness
from tests.checking.routine import PARTIES, Voyage, year
from tests.checking.samples import START

SHIPMENTS: Final = 5_000
TOY_SHIPMENTS: Final = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shipments", type=int, default=SHIPMENTS)
    parser.add_argument("--toy", action="store_true")
    options = parser.parse_args()
    shipments = TOY_SHIPMENTS if options.toy else options.shipments
    table = Table("flow", "bills", f"needed a person, {FRESH}", PREVIOUS, f"notices a bill, {FRESH}", PREVIOUS)
    for row in _rows(_lived(shipments, FRESH), _lived(shipments, PREVIOUS)):
        table.add_row(*row)
    Console(width=120).print(table)


Figures = dict[str, Counter[str]]
"""Bills, stuck bills and notices by flow, and of all."""


def _lived(shipments: int, release_after_hold: str) -> Figures:
    """Figures of a year under one rule."""
    harness = Harness(1, Rules(release_after_hold=release_after_hold), now=START - 10 * DAY)
    harness.roster(*PARTIES, *(Voyage(number).sailing() for number in range(52)))
    trade = list(year(shipments))
    records = [record for _, one in trade for record in one.records]
    records.sort(key=lambda record: record.received_at)
    for first in range(0, len(records), 500):
        harness.feed(*records[first : first + 500])
        harness.pump()
    notices = Counter(record.key.decode() for record in harness.party_records())
    figures: Figures = {}
    for flow, one in trade:
        for counter in (figures.setdefault(flow.__name__, Counter()), figures.setdefault("all", Counter())):
            counter["bills"] += len(one.freed)
            counter["stuck"] += sum(harness.status(bill) != RELEASED for bill in one.freed)
            counter["notices"] += sum(notices[bill] for bill in one.freed)
    return figures


def _rows(fresh: Figures, previous: Figures) -> list[tuple[str, ...]]:
    rows = []
    for name in sorted(fresh, key=lambda name: (name == "all", name)):
        one, other = fresh[name], previous[name]
        bills = one["bills"]
        shares = (f"{figures['stuck'] / bills:.1%}" for figures in (one, other))
        notices = (f"{figures['notices'] / bills:.2f}" for figures in (one, other))
        rows.append((name.replace("_", " "), f"{bills:,}", *shares, *notices))
    return rows


if __name__ == "__main__":
    main()
