"""Which schemas are published, under what subjects and versions.

A subject is a record's full name (`snp.Hold`), as the record name strategy of stock serializers has it; its versions
are all the schemas of that record in `schemas/ids.json`, in the order of their ids. Ids are fixed there for good, so
they are the same on both logs and after every restart.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Final, NamedTuple

from router.codec import raw_schema, schema_ids

PUBLISHED_RECORDS: Final = frozenset({"Hold", "Change", "Release", "FeedStatus", "Request"})
"""What a party reads or writes. All other records are the router's own affair."""


class Published(NamedTuple):
    """One version of one subject."""

    subject: str
    version: int
    id: int
    name: str
    """The file's, without `.avsc`."""
    schema: str
    """As JSON text, docs and logical types included."""


@cache
def published() -> tuple[Published, ...]:
    """Every version of every subject that parties need, in the order of ids."""
    versions: dict[str, int] = {}
    found = []
    for name, number in sorted(schema_ids().items(), key=lambda item: item[1]):
        schema = raw_schema(name)
        if schema["name"] in PUBLISHED_RECORDS:
            subject = f"{schema['namespace']}.{schema['name']}"
            versions[subject] = versions.get(subject, 0) + 1
            found.append(Published(subject, versions[subject], number, name, json.dumps(schema, ensure_ascii=False)))
    return tuple(found)
