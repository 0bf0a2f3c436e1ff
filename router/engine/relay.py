"""What parties ask for on their own topics (`snp.request.<SCAC>`), taken up into the registry, not too often.

Pure. Whatever a party writes there, nothing but its own party is concerned and nothing stops: the name of its topic
says who asks.
"""

from __future__ import annotations

from typing import NamedTuple

from router import codec, topics
from router.clock import MINUTE, iso
from router.decide.recipients.registry import Registry
from router.errors import InputError
from router.log.interface import Record
from router.model.registry import RESYNC, Request


class Refused(NamedTuple):
    """A request that is not taken up."""

    scac: str
    reason: str


def request_of(
    record: Record, registry: Registry, asked: int | None, now: int, minutes_between: int
) -> Request | Refused:
    """What a record asks for. `asked` is when the party's last request was taken up."""
    scac = record.topic.removeprefix(topics.REQUEST_PREFIX)
    party = registry.parties.get(scac)
    if party is None or party.status != "live":
        return Refused(scac, "it is not a live party")
    if record.value is None:
        return Refused(scac, "it is empty, or the last of too many at once")
    try:
        value = codec.decode_value(record.value)
    except InputError as error:
        return Refused(scac, f"it can't be read: {error}")
    if not isinstance(value, Request) or value.kind != RESYNC:
        return Refused(scac, f"it is no request for a {RESYNC}")
    if asked is not None and 0 <= now - asked < minutes_between * MINUTE:
        return Refused(scac, f"its last one was taken up at {iso(asked)}, less than {minutes_between} minutes ago")
    return Request(f"{scac}-{record.offset}", RESYNC, scac, scac, now)
