"""The broker that is measured against: one node, started here unless SNP_TEST_KAFKA names one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kafka.broker import Cluster

FULL_COMPILER = "-XX:TieredStopAtLevel=4 -Xmx1g"
"""Over the flags that tests start brokers with: those are for a quick start, these for speed."""


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """The bootstrap address."""
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
