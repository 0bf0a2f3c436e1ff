"""Files that only their owner may read: created, read, replaced in one step, and removed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from router.errors import UsageError

OWNER_ONLY: Final = 0o600
OTHERS: Final = 0o077


def make_for_owner(path: str | Path) -> None:
    """Create an empty file unless one exists. Raises OSError.

    An existing file is not opened: closing it again would drop the locks that SQLite holds on it in this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))


def read_for_owner(path: Path) -> bytes | None:
    """The content of a file, None if there is none. Raises UsageError, also if others may read it."""
    try:
        if path.stat().st_mode & OTHERS:
            raise UsageError(f"other users of this machine may read {path}: run `chmod 600 {path}`")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def replace_for_owner(path: Path, text: str) -> None:
    """Replace a file's text atomically: after a crash or power cut it holds the old text or the new. Raises OSError."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def remove_database(path: Path) -> None:
    """Remove an SQLite file, if it exists, and the files that SQLite keeps beside it. Raises OSError."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
