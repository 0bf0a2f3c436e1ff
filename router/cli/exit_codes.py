"""What the command's exit codes mean; scripts may rely on them."""

from __future__ import annotations

from enum import IntEnum

from router.desk.bill_views import NotFoundError
from router.errors import InputError, LogError, RouterError, TaskRetry


class ExitCode(IntEnum):
    OK = 0
    PROBLEMS = 1
    """Something in the input could not be read, or `check` found problems. (`ingest` puts what it can't read among the
    dead letters and ends with 0: that is its job done, and its summary says so.)"""
    USAGE = 2
    NOT_FOUND = 3
    LOG_FAILED = 4
    """For good: the same again would fail again."""
    TRY_AGAIN = 5
    """The log failed for now: locked, a full disk, brokers that don't answer."""
    STOPPED = 130


EPILOG = (
    "[bold]Exit codes[/bold]  0 done (`ingest` also with dead letters) · 1 problems were found, or input was refused · "
    "2 wrong usage or settings · 3 not found · 4 the log failed · 5 it failed for now: try again · "
    "130 stopped by Ctrl-C\n\n"
    "[bold]Settings[/bold]  snp-router.toml or --config, over it SNP_… in the environment, over that the options. "
    "--log, --config and --verbose may stand anywhere."
)


def exit_code_of(error: RouterError) -> ExitCode:
    if isinstance(error, NotFoundError):
        return ExitCode.NOT_FOUND
    if isinstance(error, InputError):
        return ExitCode.PROBLEMS
    if isinstance(error, TaskRetry):
        return ExitCode.TRY_AGAIN
    if isinstance(error, LogError):
        return ExitCode.LOG_FAILED
    return ExitCode.USAGE
