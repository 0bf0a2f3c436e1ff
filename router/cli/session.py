"""What all commands share: settings, the log opened and ready, output, and how a command ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import structlog
import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from router import topics
from router.desk.views import NotFoundError
from router.engine.administration import prepare
from router.engine.backlog import unrouted
from router.errors import InputError
from router.harmless import harmless
from router.log.interface import AdministeredLog, Log
from router.log.url import SQLITE, open_log
from router.plain import json_line
from router.schema_registry.external import publish_under_external_ids
from router.settings import Settings, load_settings

PLAIN_WIDTH: Final = 120
"""Columns where the output is no terminal."""


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


FormatOption = Annotated[
    Format, typer.Option("--format", help="For people, or one JSON object a line and nothing else on standard output.")
]
BillArgument = Annotated[
    list[str], typer.Argument(metavar="BILL", help="As NVXAHBL000012345, or SCAC and number as two words.")
]
ScacArgument = Annotated[str, typer.Argument(metavar="SCAC", help="The party; an alias will do.")]


class PlainConsole(Console):
    """Shows names, remarks and paths as they are: no markup in them, and nothing that steers the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


def console(*, stderr: bool = False) -> Console:
    """Made anew each time, so that it writes to what is standard output then."""
    made = PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PLAIN_WIDTH
    return made


def emit(fields: dict[str, Any]) -> None:
    """One JSON object as one line on standard output."""
    typer.echo(json_line(fields))


def problem_fields(problems: Iterable[InputError]) -> list[dict[str, str]]:
    """What could not be read, for `emit`."""
    return [{"place": problem.place, "reason": problem.reason} for problem in problems]


def say(text: str) -> None:
    """A line for the person at the keyboard, never mixed with results."""
    console(stderr=True).print(text, soft_wrap=True)


def greet(text: str) -> None:
    """The first line of a command that shows log lines: on a terminal only, elsewhere each line is to be JSON."""
    if sys.stderr.isatty():
        say(f"{text}; Ctrl-C stops")


@contextmanager
def waiting(words: str, out: Console | None = None) -> Iterator[None]:
    """Of a command that goes on until it is stopped: what it does meanwhile. Where `out` is a terminal a moving line
    under all that is printed on it, so that silence is seen to be silence; else said once."""
    if out is not None and out.is_terminal:
        with out.status(Text(f"{words}; Ctrl-C stops", "dim"), spinner="line"):
            yield
    else:
        say(f"{words}; Ctrl-C stops")
        yield


@dataclass(frozen=True)
class Session:
    """The global options. Settings are read when first needed, so that `--help` and `demo` need none."""

    log_url: str | None = None
    config: Path | None = None
    verbose: bool = False

    @cached_property
    def settings(self) -> Settings:
        return load_settings(self.config, log=self.log_url)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AdministeredLog]:
        """Raises NotFoundError where there is no log yet."""
        url = self.settings.log
        must_exist(url)
        async with open_log(url, self.settings.log_settings()) as log:
            if topics.BILLS not in await log.topics():
                if log.makes_own_topics:
                    raise NotFoundError(f"{url} is empty: begin with `snp-router import parties FILE`")
                raise NotFoundError(
                    f"{url} is empty, or this user may not see what is there (docs/access.md): "
                    "begin with `snp-router topics create`"
                )
            await publish_under_external_ids(self.settings.registry)
            yield log

    @asynccontextmanager
    async def writing(self, *, begins: bool = False) -> AsyncIterator[AdministeredLog]:
        """With its topics made where they are missing. A file that is missing is made only by what `begins` a log: else
        a volume that isn't mounted, or a file that was taken away, would silently be a new beginning."""
        if not begins:
            must_exist(self.settings.log)
        async with open_log(self.settings.log, self.settings.log_settings()) as log:
            await prepare(log, self.settings.partitions)
            yield log


def must_exist(url: str) -> None:
    """Opening a file makes it: whoever only reads would leave an empty one behind. Raises NotFoundError."""
    path = Path(url.removeprefix(SQLITE))
    if url.startswith(SQLITE) and not (path.is_file() and path.stat().st_size):
        raise NotFoundError(
            f"there is no log {path} yet: `snp-router import parties FILE` begins one, or name another with --log. If "
            "there was one, restore it"
        )


def session_of(context: typer.Context) -> Session:
    session = context.find_object(Session)
    assert session is not None
    return session


async def hint_if_behind(log: Log) -> None:
    """What is read may be old: some input has not been routed yet."""
    if waiting := await unrouted(log):
        say(f"{waiting} records are fed in but not routed yet; `snp-router run` routes them")


T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end. Ctrl-C and SIGTERM cancel it; it cleans up, then KeyboardInterrupt is raised."""
    return asyncio.run(_stoppable(work))


async def _stoppable(work: Awaitable[T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError, ValueError):  # Windows; not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@contextmanager
def interruptible() -> Iterator[None]:
    """While standard input is read, which blocks: let Ctrl-C break in at once instead of waiting for the next line."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def configure_log_lines(level: int) -> None:
    """Our own log lines go to standard error: for people on a terminal, else one JSON object a line."""
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _configure_libraries(level, before_rendering, render)


def _configure_libraries(level: int, before_rendering: list[Any], render: Callable[..., Any]) -> None:
    """Lines of libraries look like ours. What aiokafka calls errors are attempts that it repeats by itself, or faults
    that it raises too and that we report in our own words: only --verbose shows them."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=before_rendering)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.ERROR, force=True)
    logging.getLogger("aiokafka").setLevel(logging.ERROR if level <= logging.DEBUG else logging.CRITICAL)


def level_of(session: Session, *, talks: bool = False) -> int:
    """Short commands only warn; `run` shows its lines."""
    return logging.DEBUG if session.verbose else logging.INFO if talks else logging.WARNING
