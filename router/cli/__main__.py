"""The entry point: as little as can be before Ctrl-C is understood, since importing the rest takes a second."""

from __future__ import annotations

import io
import signal
import sys
from typing import Final

STOPPED: Final = 128 + signal.SIGINT


def main() -> None:
    """The command `snp-router`. Ctrl-C ends it without a traceback, also while it is being loaded."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        # The system's own way: an exception raised within an import shows as a traceback, or is taken for another one.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no `→` shows `\u2192`, and goes on
    from router.cli.main import main as run_command

    signal.signal(signal.SIGINT, before)
    try:
        run_command()
    except KeyboardInterrupt:
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
