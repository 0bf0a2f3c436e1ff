"""Damaged messages, one edit at a time, for as long as asked: `python -m benchmarks.damage [--minutes N] [--seed N]`.

Each trial routes a valid message whole and damaged (`tests/checking/damage.py`). Ends with 1 if any damage freed cargo,
told a party more or lost a stop that is still readable. The seed of a fault makes the same trial again.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from rich.console import Console
from rich.table import Table

from benchmarks.options import Options
from tests.checking.damage import trial


def main() -> None:
    asked = Options(__doc__, minutes=(20.0, 0.02), seed=(0, 0)).asked()
    until, seed = time.monotonic() + 60 * asked.minutes, asked.seed
    counts: Counter[tuple[str, str]] = Counter()
    faults, out = 0, Console(width=160)
    while time.monotonic() < until:
        seed += 1
        tried = trial(seed)
        if tried is None:
            continue
        counts[tried.format, tried.damaged.edit.partition(" ")[0]] += 1
        if tried.faults:
            faults += 1
            out.print(f"seed {seed}, {tried.format}: {tried.damaged.edit}: {'; '.join(tried.faults)}", markup=False)
    table = Table("format", "edit", "trials", title=f"{counts.total():,} trials to seed {seed:,}, {faults:,} faults")
    for (name, edit), number in sorted(counts.items()):
        table.add_row(name, edit, f"{number:,}")
    out.print(table)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
