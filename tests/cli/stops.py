"""SIGTERM for a running command, and what must be true of its end."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

BACKLOG = 6_000
"""Events: seconds of work."""
STOP_SECONDS = 10
"""Generous for a busy machine; three are promised on a quiet one."""
STOPPED = 130

UNOWNED = ("Traceback", "never retrieved", "was destroyed", "never awaited", "Exception ignored")
"""Nothing of these may be said about a stop."""


def events(count: int) -> str:
    """Holds and releases of a thousand bills, as lines of JSON."""
    return "".join(
        json.dumps(
            {
                "scac": "NVXA",
                "bill_of_lading": f"HBL{number % 1000:06d}",
                "disposition_code": ("1H", "1I", "1C", "6H")[number % 4],
                "action_at": f"2026-{1 + number // 40_000 % 12:02d}-{1 + number // 1440 % 28:02d}"
                f"T{number // 60 % 24:02d}:{number % 60:02d}",
                "quantity": 1,
                "snps": ["SLTC"],
            }
        )
        + "\n"
        for number in range(count)
    )


def read_until(stream: IO[str] | None, text: str) -> str:
    """Read lines up to the one with this text, and return it."""
    assert stream is not None
    for line in stream:
        if text in line:
            return line
    raise AssertionError(f"it ended without {text!r}")


def processes_of(pid: int) -> set[int]:
    """The process with all those that it started, and they."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {pid}.union(*(processes_of(int(child)) for child in children))


def stop(process: subprocess.Popen[str]) -> float:
    """Send SIGTERM. Returns the seconds until it has ended, as every process that it started has."""
    assert process.poll() is None, process.communicate()
    processes = processes_of(process.pid)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=STOP_SECONDS)
    seconds = time.monotonic() - began
    assert process.returncode == STOPPED, said
    assert [word for word in UNOWNED if word in said] == [], said
    assert {pid for pid in processes if Path(f"/proc/{pid}").exists()} == set()
    return seconds
