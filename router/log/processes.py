"""Processes as leases and members of a group name them, the state of each as far as it can be told from here, and the
tie of a process to its parent."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Final

START_TIME_FIELD: Final = 19
"""Field of /proc/<pid>/stat, counted from behind the command's closing bracket (proc_pid_stat(5), field 22)."""
GONE: Final = "ZX"
FROZEN: Final = "Tt"
"""States of a process in its first field: ended, and stopped by a signal."""


PR_SET_PDEATHSIG: Final = 1


def end_with_parent(number: signal.Signals) -> None:
    """Get this signal when the parent ends, on Linux. A parent that has ended before is not noticed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def this_process() -> str:
    """Return `<machine>/<pid>@<start time>`, which stays unique when the process number is used again."""
    pid = os.getpid()
    return f"{_machine()}/{pid}@{_start_time(_status(str(pid)))}"


def process_lives(process: str) -> bool:
    """Return False only if it is certain that the process is gone: it ran on this machine, in this container."""
    machine, pid, started = _parts(process)
    if machine != _machine() or not pid.isdigit():
        return True
    return _start_time(_status(pid)) == started


def described(process: str) -> str:
    """Name the process for people: its number, and what to do if it is frozen."""
    machine, pid, _ = _parts(process)
    if machine != _machine():
        return f"process {pid} of another machine or container"
    if not process_lives(process):
        return f"process {pid}, which is gone"
    if _status(pid)[:1] and _status(pid)[0] in FROZEN:
        return (
            f"process {pid}, which is frozen: `kill -CONT {pid}` lets it go on, `kill -KILL {pid}` ends it; neither "
            "loses anything"
        )
    return f"process {pid}"


def _parts(process: str) -> tuple[str, str, str]:
    """Return machine, process number and start time."""
    machine, _, rest = process.rpartition("/")
    pid, _, started = rest.partition("@")
    return machine, pid, started


def _machine() -> str:
    """Return this boot of the machine and this container, since process numbers mean nothing outside them."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _status(pid: str) -> list[str]:
    """Return the process's fields in /proc from its state on; none if it is gone or there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _start_time(status: list[str]) -> str:
    """Return the process's start in the kernel's count; empty if it is gone or a zombie, or if there is no /proc."""
    return "" if not status or status[0] in GONE else status[START_TIME_FIELD]
