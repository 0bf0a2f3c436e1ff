"""`snp-router move`: from a file to Kafka."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.session import Session, console, must_exist, run, say, session_of
from router.clock import now_milliseconds
from router.errors import UsageError
from router.log.url import KAFKA, SQLITE, open_log

FROM_HELP = "The file: sqlite:///snp.db"
TO_HELP = "Where to: kafka://host:port[,host:port]. Its topics are made, or must be empty."


def move(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help=FROM_HELP)],
    target: Annotated[str, typer.Argument(metavar="TO", help=TO_HELP)],
) -> None:
    """Take a log along from SQLite to Kafka: every record, with its time, and every bill's state.

    Example:  [bold]snp-router move sqlite:///snp.db kafka://broker:9092[/bold]

    Stop the router first, after `run --until-idle`, and start none on Kafka until this is done. If it is cut, run it
    again: it goes on where it was. At the end the file is marked and takes no records any more; until then nothing of
    it is changed.
    """
    if not source.startswith(SQLITE) or not target.startswith(KAFKA):
        raise UsageError(f"move goes from {SQLITE}file.db to {KAFKA}host:port, not from {source} to {target}")
    run(_move(session_of(context), source, target))


async def _move(session: Session, source: str, target: str) -> None:
    from router.engine.migration import move as move_log
    from router.log.kafka import KafkaLog
    from router.log.sqlite.file import open_migration_source

    path = source.removeprefix(SQLITE)
    must_exist(source)
    async with (
        open_migration_source(path, session.settings.sqlite) as file,
        open_log(target, session.settings.kafka) as log,
    ):
        assert isinstance(log, KafkaLog)
        moved = await move_log(file, log, now_milliseconds(), lambda name, count: say(f"{name}: {count:,} records"))
    if moved.already:
        console().print(f"{path} was moved to {target} before; nothing was left to do")
        return
    console().print(
        f"moved {moved.records:,} records to {target}, read back and found the same. {path} takes no records any more: "
        f"run on with --log {target}",
    )
    if session.settings.partitions != moved.partitions:
        say(f"set partitions = {moved.partitions} in the settings: the log has so many, for good")
