"""The file systems of this machine, as Linux lists them, and those that are other machines'. Elsewhere none is known.

A network drive reports no changes, shows a file before it is whole, and lets two machines write to one SQLite file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

MOUNT_INFO: Final = Path("/proc/self/mountinfo")
"""Its format: proc_pid_mountinfo(5)."""
NETWORK_DRIVES: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs"})
"""Drives on which locks and shared memory do not hold between machines."""
SHARED_DRIVES: Final = frozenset({"9p", "virtiofs", "ceph", "lustre", "gpfs", "gfs2", "ocfs2", "fuse"})
"""Drives that may be another machine's, or not hold a lock; also any `fuse.` but that of containers' own layers."""

_MOUNT_POINT: Final = 4
_OCTAL: Final = re.compile(rb"\\([0-7]{3})")
_CONTAINERS_LAYERS: Final = "fuse.fuse-overlayfs"


class Mount(NamedTuple):
    point: str
    kind: str
    """The type of its file system, such as `ext4`."""

    @property
    def is_network_drive(self) -> bool:
        return self.kind in NETWORK_DRIVES

    @property
    def may_be_shared(self) -> bool:
        """True for what is or may be a network drive."""
        is_fuse = self.kind.startswith("fuse.") and self.kind != _CONTAINERS_LAYERS
        return self.is_network_drive or self.kind in SHARED_DRIVES or is_fuse


def mounts() -> list[Mount]:
    """All mounts, in the order they were made; none if they can't be told."""
    try:
        lines = MOUNT_INFO.read_bytes().splitlines()
    except OSError:
        return []
    return [mount for line in lines if (mount := _mount(line)) is not None]


def mount_of(path: Path) -> Mount | None:
    """The mount that a path is on, links followed; None if it can't be told."""
    real = os.path.realpath(path)
    around = [one for one in mounts() if os.path.commonpath((real, one.point)) == one.point]
    # Of two mounts at one point the later hides the other.
    return max(enumerate(around), key=lambda one: (len(one[1].point), one[0]))[1] if around else None


def _mount(line: bytes) -> Mount | None:
    head, _, tail = line.partition(b" - ")
    fields, kind = head.split(), tail.split()
    if len(fields) <= _MOUNT_POINT or not kind or not fields[_MOUNT_POINT].startswith(b"/"):
        return None
    point = _OCTAL.sub(lambda code: bytes([int(code[1], 8)]), fields[_MOUNT_POINT])
    return Mount(os.fsdecode(point), os.fsdecode(kind[0]))
