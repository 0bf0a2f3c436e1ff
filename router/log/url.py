"""Opening the log that a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from pydantic import ValidationError

from router.errors import UsageError
from router.log.interface import AdministeredLog
from router.log.sqlite import SqliteSettings, open_sqlite_log

SQLITE: Final = "sqlite:///"
KAFKA: Final = "kafka://"


@asynccontextmanager
async def open_log(
    url: str, settings: Mapping[str, object] | None = None, *, deadline_seconds: float | None = None
) -> AsyncIterator[AdministeredLog]:
    """Open `sqlite:///relative.db`, `sqlite:////absolute/path.db` or `kafka://host:port[,host:port]`. `settings` are
    those of the log named (`SqliteSettings`, `KafkaSettings`). Brokers that do not answer are given up after
    `deadline_seconds`, if that is less than the settings say. Raises UsageError, FatalLogError, TaskRetry."""
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        async with open_sqlite_log(url.removeprefix(SQLITE), _sqlite_settings(settings or {})) as sqlite_log:
            yield sqlite_log
    elif url.startswith(KAFKA) and len(url) > len(KAFKA):
        from router.log.kafka import open_kafka_log

        async with open_kafka_log(url, settings, deadline_seconds) as kafka_log:
            yield kafka_log
    else:
        raise UsageError(
            f"{url!r} names no log. Write sqlite:///file.db (a fourth slash for an absolute path) "
            "or kafka://host:port[,host:port]"
        )


def _sqlite_settings(given: Mapping[str, object]) -> SqliteSettings:
    try:
        return SqliteSettings.model_validate(dict(given))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        known = ", ".join(SqliteSettings.model_fields)
        raise UsageError(f"settings of the SQLite log: {wrong}. There are {known}") from error
