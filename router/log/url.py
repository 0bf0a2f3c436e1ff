"""A URL picks the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from router.errors import UsageError
from router.log.interface import AdministeredLog
from router.log.sqlite import SqliteSettings, open_sqlite_log

SQLITE: Final = "sqlite:///"
KAFKA: Final = "kafka://"

Settings = TypeVar("Settings", bound=BaseModel)


@asynccontextmanager
async def open_log(url: str, settings: Mapping[str, object] | None = None) -> AsyncIterator[AdministeredLog]:
    """The log behind `sqlite:///relative.db`, `sqlite:////absolute/path.db` or `kafka://host:port[,host:port]`.

    `settings` are those of the log named (`SqliteSettings`, `KafkaSettings`). Raises
    UsageError, and what opening raises: FatalLogError, TaskRetry.
    """
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        async with open_sqlite_log(url.removeprefix(SQLITE), _checked(SqliteSettings, settings)) as sqlite_log:
            yield sqlite_log
    elif url.startswith(KAFKA) and len(url) > len(KAFKA):
        from router.log.kafka import KafkaSettings, open_kafka_log

        async with open_kafka_log(url, _checked(KafkaSettings, settings)) as kafka_log:
            yield kafka_log
    else:
        raise UsageError(
            f"{url!r} names no log. Write sqlite:///file.db (a fourth slash for an absolute path) "
            "or kafka://host:port[,host:port]"
        )


def _checked(model: type[Settings], given: Mapping[str, object] | None) -> Settings:
    try:
        return model.model_validate(dict(given or {}))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'together'}: {one['msg']}" for one in error.errors())
        known = ", ".join(model.model_fields)
        raise UsageError(f"the log's settings are wrong: {wrong}. There are {known}") from error
