"""How far a long file is read, for whoever waits at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from router.cli.session import console
from router.engine.intake import STANDARD_INPUT

LONG_BYTES: Final = 5_000_000
"""From here on a progress bar is worth its lines."""


@contextmanager
def reading(paths: Sequence[Path]) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error, to be told how many bytes were read since; None if that is no terminal, or if there is
    not much to read."""
    total = sum(path.stat().st_size for path in paths if path != STANDARD_INPUT)
    err = console(stderr=True)
    if not err.is_terminal or total < LONG_BYTES:
        yield None
        return
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)
