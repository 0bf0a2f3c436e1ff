"""The entry point. It does as little as possible before Ctrl-C is handled: the imports behind it take a second."""

from __future__ import annotations

import io
import signal
import sys
from typing import Final

STOPPED: Final = 128 + signal.SIGINT


def main() -> None:
    """Run `snp-router`. Ctrl-C ends it without a traceback, even while it is loading."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        # The default action: an exception raised within an import shows a traceback, or is taken for another one.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without `→` shows `\u2192`
    from router.cli.main import main as run_command

    signal.signal(signal.SIGINT, before)
    try:
        run_command()
    except KeyboardInterrupt:
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
