"""The log that is measured on: a SQLite file, or one broker, started here unless SNP_TEST_KAFKA names one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.log.url import KAFKA, SQLITE
from tests.kafka.broker import Cluster

FULL_COMPILER = "-XX:TieredStopAtLevel=4 -Xmx1g"
"""Over the flags that tests start brokers with: those are for a quick start, these for speed."""


@contextmanager
def log_of(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a log of that kind."""
    if kind == "sqlite":
        yield f"{SQLITE}{folder}/benchmark.db"
        return
    with broker(folder) as address:
        yield f"{KAFKA}{address}"


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """The bootstrap address."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # or the broker would outlive us
    if address := os.environ.get("SNP_TEST_KAFKA"):
        yield address
        return
    cluster = Cluster(folder / "kafka")
    before = os.environ.get("_JAVA_OPTIONS")
    os.environ["_JAVA_OPTIONS"] = FULL_COMPILER  # the one variable that goes over the command line
    try:
        cluster.start()
    finally:
        os.environ.pop("_JAVA_OPTIONS")
        if before is not None:
            os.environ["_JAVA_OPTIONS"] = before
    try:
        yield cluster.bootstrap
    finally:
        cluster.stop()
