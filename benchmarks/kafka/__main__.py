"""The router on Kafka, measured: `python -m benchmarks.kafka`, from the top of a checkout.

* backlog: events a second and CPU of one process, beside two bare loops that only copy, in interleaved rounds;
* workers: the same backlog by one worker process and by two;
* takeover: how long notices wait when one of two routers is killed, or stopped in the middle of a transaction;
* restore: how fast a task takes its state in, and the memory of a bill.

Starts a broker of its own (Java 17, Maven for its jars), or uses the one at SNP_TEST_KAFKA, whose `cbp.` and `snp.`
topics are DELETED. Waits: `python -m benchmarks.latency --log kafka`.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.cargo import Trade
from benchmarks.kafka import backlog, restore, takeover, workers
from benchmarks.kafka.brokers import broker
from benchmarks.kafka.scene import Scene
from benchmarks.options import Options

MEASUREMENTS: Final[dict[str, Callable[[Scene, argparse.Namespace], Coroutine[Any, Any, Table]]]] = {
    "backlog": lambda scene, sizes: backlog.measure(scene, sizes.events, sizes.rounds),
    "workers": lambda scene, sizes: workers.measure(scene, sizes.events, sizes.rounds),
    "takeover": lambda scene, sizes: takeover.measure(scene, sizes.rate, sizes.sessions, sizes.rounds),
    "restore": lambda scene, sizes: restore.measure(scene, sizes.bills, sizes.rounds),
}


def main() -> None:
    options = Options(
        __doc__, parties=(100, 8), events=(50_000, 1_000), rounds=(3, 1), rate=(200, 50),
        sessions=([10_000, 3_000], [1_500]), bills=(200_000, 2_000),
    )  # fmt: skip
    options.add_argument("--only", action="append", choices=MEASUREMENTS, help="again for one more; else all")
    sizes = options.asked()
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as address:
        scene = Scene(address, Path(folder), Trade(sizes.parties))
        for name in sizes.only or MEASUREMENTS:
            Console().print(asyncio.run(MEASUREMENTS[name](scene, sizes)))


if __name__ == "__main__":
    main()
