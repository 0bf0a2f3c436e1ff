"""A URL picks the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from router.errors import UsageError
from router.log.interface import Log
from router.log.sqlite import SqliteSettings, open_sqlite_log

SQLITE: Final = "sqlite:///"
KAFKA: Final = "kafka://"


@asynccontextmanager
async def open_log(url: str, settings: Mapping[str, object] | None = None) -> AsyncIterator[Log]:
    """The log behind `sqlite:///relative.db`, `sqlite:////absolute/path.db` or `kafka://host:port[,host:port]`.

    `settings` are those of the log named (`SqliteSettings`; for Kafka see `router.log.kafka`). Raises
    UsageError, and what opening raises: FatalLogError, TaskRetry.
    """
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        async with open_sqlite_log(url.removeprefix(SQLITE), _sqlite_settings(settings or {})) as sqlite_log:
            yield sqlite_log
    elif url.startswith(KAFKA) and len(url) > len(KAFKA):
        from router.log.kafka import open_kafka_log  # Only who uses Kafka pays for loading its client.

        async with open_kafka_log(url, settings) as kafka_log:
            yield kafka_log
    else:
        raise UsageError(
            f"{url!r} names no log. Write sqlite:///file.db (a fourth slash for an absolute path) "
            "or kafka://host:port[,host:port]"
        )


def _sqlite_settings(given: Mapping[str, object]) -> SqliteSettings:
    unknown = given.keys() - set(SqliteSettings._fields)
    if unknown:
        known = ", ".join(SqliteSettings._fields)
        raise UsageError(f"a SQLite log has no setting {', '.join(sorted(unknown))}; it has {known}")
    seconds: dict[str, float] = {}
    for name, value in given.items():
        if not isinstance(value, int | float) or value <= 0:
            raise UsageError(f"{name} must be a number of seconds above 0, not {value!r}")
        seconds[name] = value
    return SqliteSettings(**seconds)
