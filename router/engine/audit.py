"""What people do by hand, on `snp.audit`: written in one append with the deed itself, so that neither is alone."""

from __future__ import annotations

import getpass
from typing import NamedTuple

from router import codec, topics
from router.log.interface import Output

LONGEST_DETAIL = 2000
"""Characters. A ground is a sentence; what was changed stands in its own topic."""


class Deed(NamedTuple):
    """As in `schemas/audit-entry.avsc`."""

    at: int
    by: str
    action: str
    subject: str
    detail: str | None = None


def deed_output(deed: Deed) -> Output:
    detail = deed.detail[:LONGEST_DETAIL] if deed.detail else None
    return Output(
        topics.AUDIT, deed.subject.encode(), codec.encode("audit-entry", deed._replace(detail=detail)._asdict())
    )


def machine_user() -> str:
    """Who is logged in here, for commands that are not told who asks."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
