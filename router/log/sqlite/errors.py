"""What SQLite's result codes mean to us, as a table. Translated here, once, and nowhere else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from router.errors import FatalLogError, TaskRetry

_PRIMARY: Final = 0xFF
"""The low byte of an extended result code is the primary one (https://www.sqlite.org/rescode.html)."""

_DAMAGED: Final = (
    "is damaged. Stop every program that uses it, keep it as it is, and restore a backup; feeds may be run again"
)
_UNKNOWN: Final = "could not do what was asked. It is damaged, or this is a fault of the router's: report it"
_NO_RIGHT: Final = "can't be opened: this user has no right to it"

_ADVICE: Final[dict[int, str]] = {
    sqlite3.SQLITE_READONLY: "can't be written to. Give this user the right to write to it and its folder",
    sqlite3.SQLITE_PERM: _NO_RIGHT,
    sqlite3.SQLITE_AUTH: _NO_RIGHT,
    sqlite3.SQLITE_CANTOPEN: (
        "can't be opened. It must be there, this user must have the right to read and write it and its folder, and "
        "may not have too many files open (ulimit -n)"
    ),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: (
        "is not a SQLite database, or its first page is damaged. Name another file with --log, or restore a backup"
    ),
    sqlite3.SQLITE_CONSTRAINT: _DAMAGED,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: "takes no records any more: it was moved to another log. Start again on that",
    sqlite3.SQLITE_IOERR: (
        "can't be read or written: the disk reports an error, or a quota or limit (ulimit -f) is reached. Look at the "
        "system's log"
    ),
}

_FULL: Final = "has no room: the disk is full. Nothing was half written. Make room"
_LOCKED: Final = "is locked by another program. Nothing was written; try again"

_FOR_NOW: Final[dict[int, str]] = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
}
"""What may well be over when it is tried again."""


class DamagedError(Exception):
    """What was read is not what was written. Says where; never leaves this package."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Any SQLite error inside becomes `TaskRetry` (the file is locked for too long, or the disk is full) or
    `FatalLogError`."""
    try:
        yield
    except sqlite3.Error as error:
        # Without a code, it is Python that could not make a text of a damaged column.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if for_now := _FOR_NOW.get(code) or _FOR_NOW.get(code & _PRIMARY):
            raise TaskRetry(f"{path} {for_now} (SQLite says: {error})") from error
        advice = _ADVICE.get(code) or _ADVICE.get(code & _PRIMARY, _UNKNOWN)
        raise FatalLogError(f"{path} {advice} (SQLite says: {error})") from error
    except MemoryError as error:  # also where a damaged length is beyond all bounds
        raise FatalLogError(
            f"{path} can't be read: there is not memory enough (ulimit -v), or it is damaged: `snp-router topics check`"
        ) from error
    except (DamagedError, UnicodeDecodeError) as error:  # a damaged schema, SQLite quotes in that schema's own bytes
        raise FatalLogError(f"{path} {_DAMAGED} ({error})") from error
