"""How fast a backlog goes through one process, beside bare loops that only copy."""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_right
from statistics import median
from typing import Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from rich.table import Table

from benchmarks.kafka.scene import Feeder, Scene

CONTENDERS: Final = {
    "router": "snp-router",
    "aiokafka": "bare aiokafka loop",
    "confluent": "bare confluent-kafka loop",
}
BASE: Final = "aiokafka"
WARM: Final = 0.1
"""The first tenth of the notices is not counted: connecting, and the first transactions to each topic, fall into it."""


class Run(NamedTuple):
    events_a_second: float
    cpu_microseconds: float
    """An event's."""


async def measure(scene: Scene, events: int, rounds: int) -> Table:
    runs: dict[str, list[Run]] = {name: [] for name in CONTENDERS}
    async with scene.log() as log:
        await scene.begin(log)
        count = await Feeder(log).append_all(scene.trade.feed(events))
        for number in range(rounds):
            for name in CONTENDERS:
                await scene.begin_outputs(log)
                runs[name].append(await one_run(scene, name, count, number))
    return table(runs, count, scene.trade.fan_out)


async def one_run(scene: Scene, name: str, events: int, number: int) -> Run:
    sizes = (events, number, scene.trade.parties)
    command = ["-m", "benchmarks.kafka.contender", name, scene.address, *map(str, sizes)]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{CONTENDERS[name]} failed")
    written = await asyncio.to_thread(timestamps, scene)
    if len(written) != events * scene.trade.fan_out:
        raise SystemExit(f"{CONTENDERS[name]} wrote {len(written)} notices for {events} events")
    return Run(rate(written, scene.trade.fan_out), float(printed) / events * 1e6)


def rate(written: list[int], recipients: int) -> float:
    """Events a second by the notices' own time stamps, so that starting and waiting at the end don't count."""
    begins = written[int(len(written) * WARM)]
    later = len(written) - bisect_right(written, begins)
    return later / recipients / max(written[-1] - begins, 1) * 1000


def timestamps(scene: Scene) -> list[int]:
    """Of all notices, when they were written (UTC milliseconds), in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": scene.address,
            "group.id": "benchmark-timestamps",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(name, 0, OFFSET_BEGINNING) for name in scene.party_topics])
    found: list[int] = []
    ends = 0
    while ends < len(scene.party_topics):
        for message in consumer.consume(10_000, 0.1):
            error = message.error()
            if error is None:
                found.append(message.timestamp()[1])
            elif error.code() == KafkaError._PARTITION_EOF:
                ends += 1
    consumer.close()
    return sorted(found)


def table(runs: dict[str, list[Run]], events: int, recipients: int) -> Table:
    made = Table(
        *("contender", "events/s", "range", "of bare aiokafka", "CPU µs/event", "of bare aiokafka"),
        title=f"backlog of {events:,} events, {recipients} recipients each; medians of {len(runs[BASE])} rounds",
    )
    base_rate, base_cpu = medians(runs[BASE])
    for name, of_name in runs.items():
        speed, cpu = medians(of_name)
        speeds = sorted(run.events_a_second for run in of_name)
        made.add_row(
            CONTENDERS[name],
            f"{speed:,.0f}",
            f"{speeds[0]:,.0f}–{speeds[-1]:,.0f}",
            f"{speed / base_rate:.2f}",
            f"{cpu:.0f}",
            f"{cpu / base_cpu:.2f}",
        )
    return made


def medians(runs: list[Run]) -> tuple[float, float]:
    return median(run.events_a_second for run in runs), median(run.cpu_microseconds for run in runs)
