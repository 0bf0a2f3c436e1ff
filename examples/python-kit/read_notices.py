"""Reads a party's notices with the kit, for ever or the number given, and prints each as a line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from pathlib import Path

from router.client import Change, Hold, Notice, Release, notices
from router.errors import RouterError


def handle(notice: Notice) -> None:
    """What to do is safe to decide by the type alone. The same `notice_id` again is the same notice again."""
    match notice:
        case Hold():
            pass  # stop the box; with notice.do_not_load, take it off the loading list
        case Change():
            pass  # nothing that was stopped may go, unless notice.authorises names something
        case Release():
            pass  # the whole bill may be delivered at its place now
    fields = dataclasses.asdict(notice)
    print(json.dumps({"type": type(notice).__name__, "notice": fields}, default=str), flush=True)  # noqa: T201


async def read(options: argparse.Namespace) -> None:
    security = (
        {
            "sasl_username": f"snp.{options.party}",
            "sasl_password_file": options.password_file,
            "ssl_cafile": options.ca_file,
        }
        if options.password_file
        else {}
    )
    handled = 0
    async with notices(options.url, party=options.party, group=options.group, **security) as stream:
        async for notice in stream:
            handle(notice)
            handled += 1
            if handled == options.number:
                break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="kafka://host:port, or sqlite:///file.db for trying out")
    parser.add_argument("party", help="your SCAC")
    parser.add_argument("--group", help="begins with snp.<SCAC>.")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--ca-file", type=Path, help="PEM; given: TLS")
    parser.add_argument("--number", type=int, help="stop after so many")
    options = parser.parse_args()
    print(f"reading the notices of {options.party}; Ctrl-C stops", file=sys.stderr)  # noqa: T201
    try:
        asyncio.run(read(options))
    except RouterError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
