"""What every benchmark can be asked: its sizes, each by an option of its own, and `--toy`, which makes all tiny."""

from __future__ import annotations

import argparse
import logging
from typing import Any

import structlog


class Options(argparse.ArgumentParser):
    def __init__(self, text: str | None, **sizes: tuple[Any, Any]) -> None:
        """Each size in full, and as a toy: an int, a float, or a list of ints."""
        super().__init__(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        self._sizes = sizes
        for name, (full, _) in sizes.items():
            one, many = (full[0], "+") if isinstance(full, list) else (full, None)
            self.add_argument(f"--{name}", type=type(one), nargs=many, help=f"in full: {full}")
        self.add_argument("--toy", action="store_true", help="tiny sizes, to see that it works")

    def asked(self) -> argparse.Namespace:
        """All sizes set, and the process quiet."""
        arguments = self.parse_args()
        for name, sizes in self._sizes.items():
            if getattr(arguments, name) is None:
                setattr(arguments, name, sizes[arguments.toy])
        quiet()
        return arguments


def quiet() -> None:
    """A benchmark prints its table; what a client says while a new broker wakes up is no news."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
