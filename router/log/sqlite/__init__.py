"""The log for one machine: one SQLite file."""

from router.log.sqlite.connection import SqliteSettings
from router.log.sqlite.log import SqliteLog, open_sqlite_log

__all__ = ["SqliteLog", "SqliteSettings", "open_sqlite_log"]
