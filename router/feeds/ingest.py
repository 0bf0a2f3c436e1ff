"""Where on the log an event goes. Pure; run again, the same events give the same records, and identity
absorbs them."""

from __future__ import annotations

from collections.abc import Callable

from router import topics
from router.codec import encode_value
from router.log.interface import Output
from router.model.bill import bill_key
from router.model.inputs import DeadLetter, Disposition

VESSEL_PREFIX = "vessel:"


def outputs_of(event: Disposition | DeadLetter, urgent: Callable[[Disposition], bool]) -> list[Output]:
    """The records for one event, the urgent copy first.

    `urgent` says whether a disposition places, blocks, takes back or is unknown: such events, and those
    that can't be read, go past a backlog. What can't even be told which bill it is about goes to the dead
    letters alone.
    """
    value = encode_value(event)
    if isinstance(event, DeadLetter) and (event.scac is None or event.bill_of_lading is None):
        return [Output(topics.DEAD_LETTERS, event.id.encode(), value)]
    key = event_key(event).encode()
    output = Output(topics.DISPOSITIONS, key, value)
    if isinstance(event, DeadLetter) or urgent(event):
        return [Output(topics.URGENT, key, value), output]
    return [output]


def event_key(event: Disposition | DeadLetter) -> str:
    """The bill's key; of a vessel event `vessel:` and its IMO number, or its name where it has none."""
    if event.scac is not None and event.bill_of_lading is not None:
        return bill_key(event.scac, event.bill_of_lading)
    if isinstance(event, DeadLetter):
        return event.id
    return VESSEL_PREFIX + (event.imo_number or event.vessel_name or "")
