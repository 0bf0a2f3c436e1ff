"""What SQLite's result codes mean to us, as a table. Translated here, once, and nowhere else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from router.errors import FatalLogError, TaskRetry

_PRIMARY: Final = 0xFF
"""The low byte of an extended result code is the primary one (https://www.sqlite.org/rescode.html)."""

_DAMAGED: Final = "is damaged. Stop every router, keep the file as it is, and restore a backup; feeds may be run again"

_ADVICE: Final[dict[int, str]] = {
    sqlite3.SQLITE_FULL: "has no room: the disk is full. Make room and start again; nothing was half written",
    sqlite3.SQLITE_READONLY: "can't be written to. Give this user the right to write to it and its directory",
    sqlite3.SQLITE_PERM: "can't be opened: this user has no right to it",
    sqlite3.SQLITE_AUTH: "can't be opened: this user has no right to it",
    sqlite3.SQLITE_CANTOPEN: "can't be opened. Its directory must exist, and this user must own the file",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: "is not a SQLite database. Name another file, or move this one away",
    sqlite3.SQLITE_CONSTRAINT: "takes no records any more: it was moved to another log. Start again on that one",
    sqlite3.SQLITE_IOERR: "can't be read or written: the disk reports an error. Look at the system's log",
}

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Any SQLite error inside becomes `TaskRetry` (the file is locked for too long) or `FatalLogError`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
        if code in _BUSY:
            raise TaskRetry(f"{path} is locked by another program ({error}). Nothing was written; try again") from error
        advice = _ADVICE.get(code, "could not do what was asked. This is a fault of the router's: report it")
        raise FatalLogError(f"{path} {advice} (SQLite says: {error})") from error
    except UnicodeDecodeError as error:  # what SQLite says of a damaged schema is that schema's own bytes
        raise FatalLogError(f"{path} {_DAMAGED} ({error})") from error
