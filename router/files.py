"""Files that only their owner reads: made, and replaced in one step."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

OWNER_ONLY: Final = 0o600


def make_for_owner(path: str | Path) -> None:
    """Make an empty file where there is none. One that is there is not even opened: closing it again would take away
    the locks that SQLite has on it in this process. Raises OSError."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))


def replace_for_owner(path: Path, text: str) -> None:
    """Whatever happens, also a power cut: the file holds all of the old text or all of the new. Raises OSError."""
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
