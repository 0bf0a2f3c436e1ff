"""The commands of one installation, each as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent.parent.parent / "router" / "demo"
OWN = ("notice_id", "event_id", "covers", "received_at")
"""Names and times that an installation makes by itself."""


class Commands:
    def __init__(self, url: str, folder: Path | None = None) -> None:
        self.url, self._folder = url, folder
        self._environment = os.environ | {"SNP_LOG": url, "SNP_PARTITIONS": "2", "SNP_KAFKA__REPLICATION_FACTOR": "1"}

    def done(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "router.cli", *words]
        return subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )

    def __call__(self, *words: str) -> str:
        done = self.done(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def objects(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self(*words, "--format", "json").splitlines()]

    def import_the_samples(self) -> None:
        for kind in ("parties", "sailings", "filings"):
            self("import", kind, str(SAMPLES / f"{kind}.csv"))

    def route_the_samples(self) -> None:
        self.import_the_samples()
        for feed in sorted(SAMPLES.glob("[1-7]*")):
            self("ingest", str(feed))
            self("run", "--until-idle")

    def notices(self, party: str) -> dict[str, list[dict[str, Any]]]:
        """Return the notices by bill, each bill's in order. There is no order between bills."""
        by_bill: dict[str, list[dict[str, Any]]] = {}
        for notice in self.objects("tail", "--party", party, "--from-start", "--until-end"):
            plain = {name: value for name, value in notice.items() if name not in OWN}
            by_bill.setdefault(str(notice["bill_of_lading"]), []).append(plain)
        return by_bill
