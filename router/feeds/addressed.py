"""Where on the log an event goes. Pure; run again, the same events give the same records, and identity absorbs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from router import topics
from router.codec import encode_value
from router.decide.ledger.identity import event_key
from router.log.interface import Headers, Output
from router.model.bill import bill_key
from router.model.inputs import PLACE, DeadLetter, Disposition, ManualEvent

URGENT_HEADERS: Final[Headers] = (("urgent", b"1"),)
"""On both copies of an urgent event, so that the second isn't counted as a repetition by CBP."""


def addressed(event: Disposition | DeadLetter | ManualEvent, urgent: Callable[[Disposition], bool]) -> list[Output]:
    """The records for one event, the urgent copy first.

    `urgent` says whether a disposition places, blocks, takes back or is unknown: such events, and those that can't be
    read, go past a backlog; so do holds relayed by hand. What can't even be told which bill it is about goes to the
    dead letters alone.
    """
    value = encode_value(event)
    if isinstance(event, Disposition):
        key = event_key(event).encode()
        if not urgent(event):
            return [Output(topics.DISPOSITIONS, key, value)]
    elif isinstance(event, ManualEvent):
        key = bill_key(event.scac, event.bill_of_lading).encode()
        if event.action != PLACE:
            return [Output(topics.DISPOSITIONS, key, value)]
    elif event.scac is None or event.bill_of_lading is None:
        return [Output(topics.DEAD_LETTERS, event.id.encode(), value)]
    else:
        key = bill_key(event.scac, event.bill_of_lading).encode()
    return [Output(topic, key, value, URGENT_HEADERS) for topic in (topics.URGENT, topics.DISPOSITIONS)]
