"""Prints a party's notices, read with the kit, as lines of JSON: without end, or as many as asked for."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from pathlib import Path

from router.client import Change, Hold, ReceivedNotice, Release, notices
from router.errors import RouterError


def handle(notice: ReceivedNotice) -> None:
    """Handle one notice. Its type alone is enough to act on safely; a `notice_id` seen before is a duplicate."""
    is_test = "TEST" in notice.flags
    match notice:
        case _ if is_test:
            pass  # a sample, or a notice of a test installation: real cargo must not follow it
        case Hold():
            pass  # stop the cargo; if notice.do_not_load, take it off the loading list
        case Change():
            pass  # stopped cargo stays stopped, except for what notice.authorises allows
        case Release():
            pass  # the whole bill may be delivered now
    for _container in () if is_test else notice.containers:
        pass  # a gate lets out containers: see their stopped, released and authorises
    line = {"type": type(notice).__name__, "test": is_test, "notice": dataclasses.asdict(notice)}
    print(json.dumps(line, default=str), flush=True)  # noqa: T201


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
    parser.add_argument("url", help="kafka://host:port, or sqlite:///file.db to try it out")
    parser.add_argument("party", help="your SCAC")
    parser.add_argument("--group", help="consumer group; begins with snp.<SCAC>.")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--ca-file", type=Path, help="PEM; turns TLS on")
    parser.add_argument("--number", type=int, help="stop after this number of notices")
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
