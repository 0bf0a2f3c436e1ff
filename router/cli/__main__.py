"""The entry point. It does as little as possible before Ctrl-C is handled: the imports behind it take time."""

from __future__ import annotations

import io
import signal
import sys
from typing import Final

from router.cli.loading import loading

STOPPED: Final = 128 + signal.SIGINT


def main() -> None:
    """Run `snp-router`. Ctrl-C ends it without a traceback, even while it is loading."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without `→` shows `\u2192`
    with loading():
        from router.cli.main import main as run_command
    try:
        run_command()
    except KeyboardInterrupt:
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
