"""Parts that all commands use: shared arguments and options, settings, the log, exit codes, log lines.

Every start loads this module, `snp-router --help` too. So it imports a large library or a package of the router's only
in the function that uses it."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO, TypeVar, cast

import typer

from router.cli.loading import loading
from router.cli.printing import OutputFormat, number_of, say
from router.errors import AddressTaken, InputError, InstanceIdTaken, LogError, RouterError, TaskRetry, UsageError

if TYPE_CHECKING:
    from router.decide.rules import Rules
    from router.log.interface import AdministeredLog
    from router.settings import Settings

T = TypeVar("T")


def argument(metavar: str, help: str) -> Any:
    return typer.Argument(metavar=metavar, help=help)


def option(metavar: str | None, help: str, *names: str, **rules: Any) -> Any:
    """An option, named like its parameter unless `names` are given."""
    return typer.Option(*names, metavar=metavar, help=help, **rules)


def flag(name: str, help: str) -> Any:
    """A switch without a `--no-` form."""
    return typer.Option(name, help=help)


def own_name() -> str:
    """The user of the operating system that runs this command."""
    from router.engine.administration import os_user

    return os_user()


def _refuse_csv(form: OutputFormat) -> OutputFormat:
    if form is OutputFormat.CSV:
        raise UsageError("this command prints no table: give --format table or --format json")
    return form


FormatOption = Annotated[
    OutputFormat,
    option(
        "table|json",
        "table for people; json: one object a line.",
        "--format",
        callback=_refuse_csv,
        autocompletion=lambda: ["table", "json"],
    ),
]
"""The option of a command with one result."""
RowsFormatOption = Annotated[
    OutputFormat, option("table|json|csv", "table for people; json: one object a line; csv: all rows.", "--format")
]
"""The option of a command that prints a table."""
BILL_HELP: Final = "NVXAHBL000012345, or SCAC and number as two words."
BillArgument = Annotated[list[str], argument("BILL", BILL_HELP)]
CarrierOption = Annotated[str | None, option("SCAC", "Manifest carrier.")]
ImoOption = Annotated[str | None, option("NUMBER", "IMO number of the ship.")]
VoyageOption = Annotated[str | None, option("NUMBER", "The carrier's voyage number.")]
ArrivalOption = Annotated[str | None, option("DATE", "First arrival in the U.S.")]
UnladingOption = Annotated[str | None, option("PORT", "Port of unlading, Schedule D.")]
SnpOption = Annotated[list[str] | None, option("ID", "Second notify party; may be repeated.")]
PartyArgument = Annotated[str, argument("ID", "The party's id or one of its aliases.")]
ByOption = Annotated[
    str,
    option(
        "NAME",
        "Your name. Default: your user on this machine, which is recorded in any case.",
        default_factory=own_name,
        show_default=False,
    ),
]
TicketOption = Annotated[str | None, option("NUMBER", "CBP's ticket number.")]
HtmlOption = Annotated[Path | None, option("FILE", "Write a page to print to this file.", "--html")]
PortOption = Annotated[str, option("PORT", "Schedule D port, such as 2704.")]
READ_REQUESTS: Final = "read-requests"
"""A hidden command: `run` starts it, and nobody else has a use for it."""
MOMENT: Final = "ISO 8601, 22:00, yesterday 22:00 or 2h; Eastern time without an offset."


def exit_if(problems: object) -> None:
    """End with the code for problems if there are any."""
    if problems:
        raise typer.Exit(ExitCode.PROBLEMS)


def port_code(value: str) -> str:
    """The Schedule D code itself. Raises UsageError unless it has four digits."""
    if len(value) != 4 or not value.isascii() or not value.isdigit():
        raise UsageError(f"{value!r} is not a port: give the four digits of Schedule D, such as 2704 for Los Angeles")
    return value


class ExitCode(IntEnum):
    """Scripts may rely on these."""

    OK = 0
    """Also of `ingest` with dead letters: storing them is its job, and its summary counts them."""
    PROBLEMS = 1
    USAGE = 2
    NOT_FOUND = 3
    LOG_FAILED = 4
    """Permanent: the same command would fail again."""
    TRY_AGAIN = 5
    """Temporary: a locked file, a full disk, brokers that do not answer, another router with this one's instance id,
    an address that another program listens on."""
    STOPPED = 130


EPILOG: Final = (
    "[bold]Exit codes[/bold]  0 done (also `ingest` with dead letters) · 1 problems found, input refused, or not all "
    "input routed of which something was asked · "
    "2 wrong usage or settings · 3 not found · 4 the log failed · 5 the log failed for now, try again · "
    "130 stopped by Ctrl-C\n\n"
    "[bold]Settings[/bold]  Options override SNP_… environment variables, which override snp-router.toml (or the file "
    "of --config). --log, --config and --verbose may stand anywhere on the line."
)


def exit_code_of(error: RouterError) -> ExitCode:
    from router.desk.bill_views import NotFoundError

    if isinstance(error, NotFoundError):
        return ExitCode.NOT_FOUND
    if isinstance(error, InputError):
        return ExitCode.PROBLEMS
    if isinstance(error, AddressTaken):
        return ExitCode.TRY_AGAIN
    if isinstance(error, LogError):
        return ExitCode.TRY_AGAIN if isinstance(error, TaskRetry | InstanceIdTaken) else ExitCode.LOG_FAILED
    return ExitCode.USAGE


@dataclass(frozen=True)
class GlobalOptions:
    """The global options. Settings are loaded on first use: `--help` and `demo` work without them."""

    log_url: str | None = None
    config: Path | None = None
    verbose: bool = False

    @cached_property
    def settings(self) -> Settings:
        with loading():
            from router.settings import load_settings

        return load_settings(self.config, log=self.log_url)


def global_options_of(context: typer.Context) -> GlobalOptions:
    options = context.find_object(GlobalOptions)
    assert options is not None
    return options


def settings_of(context: typer.Context) -> Settings:
    return global_options_of(context).settings


def must_exist(url: str) -> None:
    """Raises NotFoundError if a SQLite log has no file. Opening it would create an empty one."""
    from router.desk.bill_views import NotFoundError
    from router.log.url import SQLITE

    path = Path(url.removeprefix(SQLITE))
    if url.startswith(SQLITE) and not (path.is_file() and path.stat().st_size):
        raise NotFoundError(
            f"there is no log {path}: create it with `snp-router import parties FILE`, name another with --log, or "
            "restore it if there was one"
        )


READ_SECONDS: Final = 5.0
"""Commands that look give up a broker after so long: people shall have an answer within ten seconds."""
WRITE_SECONDS: Final = 8.0
"""Commands that write wait longer, since another broker takes over meanwhile."""


def read_log(
    context: typer.Context,
    work: Callable[[AdministeredLog], Awaitable[T]],
    *,
    warns_if_behind: bool = False,
    unread: Sequence[str] = (),
    is_service: bool = False,
) -> T:
    """Result of `work` on the log as it is. Raises NotFoundError if there is no log, or no topic on it.

    If `work` names in `unread` what it could not read, nothing more is asked. A service waits for brokers as long as
    the settings say."""
    from router import topics
    from router.desk.bill_views import NotFoundError
    from router.log.url import open_log
    from router.schema_registry.schema_publication import publish_under_external_ids

    settings = settings_of(context)
    must_exist(settings.log)
    deadline = None if is_service else READ_SECONDS

    async def opened() -> T:
        async with open_log(settings.log, settings.log_settings(), deadline_seconds=deadline) as log:
            if topics.BILLS not in await log.topics():
                raise NotFoundError(f"{settings.log} {NO_OWN_TOPICS if log.makes_own_topics else NO_TOPICS}")
            await publish_under_external_ids(settings.registry)
            result = await work(log)
            if warns_if_behind and not unread and await warn_if_behind(log):
                context.call_on_close(_end_as_incomplete)
            return result

    return run(opened())


NO_OWN_TOPICS: Final = "is empty: begin with `snp-router import parties FILE`"
NO_TOPICS: Final = (
    "has no topics that this user may see: create them with `snp-router topics create`, or check the user's rights "
    "(docs/access.md)"
)


def exit_if_unread(unread: Sequence[str]) -> None:
    """End with the code for another try if something could not be read, after naming it."""
    for text in unread:
        say(f"not read: {text}")
    if unread:
        say("what is shown is incomplete: try again in a few seconds")
        raise typer.Exit(ExitCode.TRY_AGAIN)


def write_log(
    context: typer.Context,
    work: Callable[[AdministeredLog], Awaitable[T]],
    *,
    creates: bool = False,
    is_service: bool = False,
) -> T:
    """Result of `work` on the log, with missing topics created. Only a command that `creates` logs may create the file:
    otherwise an unmounted volume or a file moved away would silently start an empty log. A service waits for brokers as
    long as the settings say. Raises NotFoundError."""
    from router.engine.administration import prepare
    from router.log.url import open_log

    settings = settings_of(context)
    if not creates:
        must_exist(settings.log)
    deadline = None if is_service else WRITE_SECONDS

    async def opened() -> T:
        async with open_log(settings.log, settings.log_settings(), deadline_seconds=deadline) as log:
            await prepare(log, settings.partitions)
            return await work(log)

    return run(opened())


def with_rules(
    context: typer.Context, work: Callable[[AdministeredLog, Rules], Awaitable[T]]
) -> Callable[[AdministeredLog], Awaitable[T]]:
    """The work with the rules in force on the log. Until the first router has run there, those of the settings."""
    from router.engine.administration import read_rules

    first = settings_of(context).rules_after(None)

    async def work_with_rules(log: AdministeredLog) -> T:
        return await work(log, await read_rules(log, first))

    return work_with_rules


def _end_as_incomplete() -> None:
    """End a command that would end well with the code for problems: what it has printed may not be all."""
    if isinstance(ending := sys.exc_info()[1], typer.Exit) and ending.exit_code:
        return
    if ending is None or isinstance(ending, typer.Exit):
        raise typer.Exit(ExitCode.PROBLEMS)


async def warn_if_behind(log: AdministeredLog) -> bool:
    """Warn that what was read may be out of date: some input is not routed yet, or it is unknown whether some is.
    Returns whether it warned."""
    from router.engine.backlog import unrouted

    try:
        waiting = await unrouted(log)
    except TaskRetry as error:
        say(f"it is unknown whether all input is routed: {error}")
        return True
    if waiting:
        say(f"{number_of(waiting, 'record')} not routed yet: start `snp-router run`")
    return waiting > 0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end. Ctrl-C and SIGTERM cancel it; after its clean-up KeyboardInterrupt is raised."""
    import asyncio

    return asyncio.run(_stoppable(work))


async def _stoppable(work: Awaitable[T]) -> T:
    import asyncio
    import signal

    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError, ValueError):  # Windows; not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


class _StandardError(io.TextIOBase):
    """Writes to the standard error of the moment: a progress bar puts its own in place, to keep lines above it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def log_as_service(context: typer.Context) -> None:
    """Show what this command does (INFO): it runs until it is stopped, and nobody watches it."""
    configure_log_lines(global_options_of(context), logging.INFO)


def configure_log_lines(options: GlobalOptions, usual_level: int = logging.WARNING) -> None:
    """Write log lines to standard error: readable ones on a terminal, else one JSON object a line.

    Short commands show warnings only; --verbose shows everything."""
    import structlog

    level = logging.DEBUG if options.verbose else usual_level
    human = sys.stderr.isatty()
    render: Callable[..., Any] = structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer()
    before_rendering: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*before_rendering, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=False,
    )
    _configure_libraries(level, before_rendering, render)


def _configure_libraries(level: int, before_rendering: list[Any], render: Callable[..., Any]) -> None:
    """Give lines of libraries the same form. aiokafka logs as errors what it retries by itself, and what it also raises
    and we report: only --verbose shows those."""
    import structlog

    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=before_rendering)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.ERROR, force=True)
    logging.getLogger("aiokafka").setLevel(logging.ERROR if level <= logging.DEBUG else logging.CRITICAL)
