"""The router on Kafka, measured: `python -m benchmarks.kafka`, from the top of a checkout.

* backlog: events a second and CPU of one process, beside two bare loops that only copy, in interleaved rounds;
* latency: from CBP's event written to its notice readable, at a steady load;
* takeover: how long notices wait when one of two routers is killed, or stopped in the middle of a transaction;
* restore: how fast a task takes its state in, and the memory of a bill.

Starts a broker of its own (Java 17, Maven for its jars), or uses the one at SNP_TEST_KAFKA, whose `cbp.` and `snp.`
topics are DELETED. `--toy` makes everything tiny, to see that it works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.kafka import backlog, latency, restore, takeover
from benchmarks.kafka.brokers import broker
from benchmarks.kafka.scene import Scene, quiet
from router.cli.session import console

MEASUREMENTS = ("backlog", "latency", "takeover", "restore")


def main() -> None:
    arguments = parsed()
    quiet()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # or the broker would outlive us
    output = console()
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as address:
        scene = Scene(address, Path(folder))
        for name in arguments.only or MEASUREMENTS:
            asyncio.run(measure(name, scene, arguments, output))


async def measure(name: str, scene: Scene, arguments: argparse.Namespace, output: Console) -> None:
    if name == "backlog":
        output.print(await backlog.measure(scene, arguments.events, arguments.rounds))
    elif name == "latency":
        output.print(await latency.measure(scene, arguments.rate, arguments.seconds, arguments.rounds))
    elif name == "takeover":
        output.print(await takeover.measure(scene, arguments.rate, arguments.sessions, arguments.rounds))
    else:
        output.print(await restore.measure(scene, arguments.bills, arguments.rounds))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--only", action="append", choices=MEASUREMENTS, help="this measurement; again for one more; else all")
    add("--toy", action="store_true", help="tiny sizes, to see that it works")
    add("--events", type=int, help="of the backlog")
    add("--rounds", type=int, help="of each measurement")
    add("--rate", type=int, help="steady load, events a second")
    add("--seconds", type=int, help="of steady load")
    add("--sessions", type=int, nargs="+", metavar="MS", help="session time-outs to take over at")
    add("--bills", type=int, help="to restore")
    arguments = parser.parse_args()
    full = {"events": 50_000, "rounds": 3, "rate": 200, "seconds": 20, "sessions": [10_000, 3_000], "bills": 200_000}
    toy = {"events": 1_000, "rounds": 1, "rate": 50, "seconds": 2, "sessions": [1_500], "bills": 2_000}
    for option, size in (toy if arguments.toy else full).items():
        if getattr(arguments, option) is None:
            setattr(arguments, option, size)
    return arguments


if __name__ == "__main__":
    main()
