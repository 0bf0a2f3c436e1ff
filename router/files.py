"""Files that only their owner may read: created, read, replaced in one step, and removed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Generic, TypeVar

from pydantic import TypeAdapter

from router.errors import UsageError

OWNER_ONLY: Final = 0o600
OTHERS: Final = 0o077

Entry = TypeVar("Entry")


def make_for_owner(path: str | Path) -> None:
    """Create an empty file unless one exists. Raises OSError.

    An existing file is not opened: closing it again would drop the locks that SQLite holds on it in this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))


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


class EntriesFile(Generic[Entry]):
    """Entries by name as JSON, such as the console's users. Each call reads the file anew, so that a removed one is
    refused from then on. Raises UsageError."""

    def __init__(self, path: Path, entries: TypeAdapter[dict[str, Entry]], noun: str, listing: str) -> None:
        """`noun` is the word for an entry, `listing` the command that lists them."""
        self._path, self._entries, self._noun, self._listing = path, entries, noun, listing

    def read(self) -> dict[str, Entry]:
        """Refuses a file that others may read. Without a file there are no entries."""
        try:
            if self._path.stat().st_mode & OTHERS:
                raise UsageError(f"other users of this machine may read {self._path}: run `chmod 600 {self._path}`")
            return self._entries.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"cannot read {self._path}: {error.strerror}") from error
        except ValueError as error:
            again = f"restore it, or delete it and add the {self._noun}s again"
            raise UsageError(f"{self._path} is damaged: {again}") from error

    def put(self, name: str, entry: Entry) -> None:
        self._write(self.read() | {name: entry})

    def remove(self, name: str) -> None:
        entries = self.read()
        if entries.pop(name, None) is None:
            raise UsageError(f"there is no {self._noun} {name} in {self._path}: see `{self._listing}`")
        self._write(entries)

    def _write(self, entries: dict[str, Entry]) -> None:
        try:
            replace_for_owner(self._path, self._entries.dump_json(entries, indent=1).decode())
        except OSError as error:
            raise UsageError(f"cannot write {self._path}: {error.strerror}") from error


def remove_database(path: Path) -> None:
    """Remove an SQLite file, if it exists, and the files that SQLite keeps beside it. Raises OSError."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
