"""One posted body: its results within the token's scope, as log records, and an account of it for the answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

from router import topics
from router.decide.rules import Rules
from router.engine.feed_activity import FeedMonitor, FileActivity
from router.engine.intake import Batches, Intake, event_outputs
from router.feeds.bounded_input import OtherMessage, ReadResult, UnreadableInput
from router.feeds.disposition_files import JSONL
from router.feeds.formats import read_events
from router.listener.tokens import DISPOSITIONS, FILINGS, TokenHolder
from router.log.interface import Log, Output
from router.model.inputs import DeadLetter, Disposition, Filing, disposition_fields, filing_fields
from router.presentation import json_line

CHUNK_BYTES: Final = 1 << 16
SLICE: Final = 500
"""Results read at a time, so that a large body gives way to others."""
MOST_NAMED: Final = 100
"""Dead letters that an answer names; `snp-router dead-letters list` has all."""
ISSUERS_NAMED: Final = 10
OF_THE_POST: Final = frozenset({"received_at", "source"})
"""Fields that differ each time a body is posted."""


class PutAside(NamedTuple):
    """One dead letter of a body, as its sender sees it."""

    id: str
    place: str
    reason: str


@dataclass(slots=True)
class PostOutcome:
    """Account of one body whose records are on the log."""

    source: str
    intake: Intake = field(default_factory=lambda: Intake(files=1))
    put_aside: list[PutAside] = field(default_factory=list)
    """The first dead letters."""
    out_of_scope: int = 0
    """Records that the token does not cover."""

    @property
    def has_taken(self) -> bool:
        """True if anything in the body was understood and in scope."""
        return bool(self.intake.events or self.intake.filings or self.intake.others)

    @property
    def is_empty(self) -> bool:
        return not self.has_taken and not self.intake.dead_letters

    def add(self, event: ReadResult, *, urgent: bool = False) -> None:
        self.intake.count(event, urgent=urgent)
        if isinstance(event, DeadLetter) and event.times == 1 and len(self.put_aside) < MOST_NAMED:
            self.put_aside.append(PutAside(event.id, event.source, event.reason))

    def fields(self) -> dict[str, Any]:
        """The outcome as JSON fields."""
        intake = self.intake
        return {
            "source": self.source,
            "events": intake.events,
            "urgent": intake.urgent,
            "filings": intake.filings,
            "others": dict(intake.others),
            "dead_letters": intake.dead_letters,
            "put_aside": [one._asdict() for one in self.put_aside],
            "notes": intake.notes[:MOST_NAMED],
        }


async def store_body(
    log: Log, monitor: FeedMonitor, holder: TokenHolder, body: bytearray, source: str, received_at: int, pool: Executor
) -> PostOutcome:
    """Append the records of a body, and its feed's activity; durable on return. Raises LogError, OSError.

    After an error a part may be stored; the same body again completes it and stores nothing twice. The body is read in
    `pool`, in slices, so that one large body blocks neither the event loop nor other bodies.
    """
    activity = await monitor.begin_file(received_at)
    reading = _BodyReading(body, source, received_at, holder, monitor.rules, activity)
    batches = Batches(log)
    loop = asyncio.get_running_loop()
    while (outputs := await loop.run_in_executor(pool, reading.next_outputs)) is not None:
        if batches.add(outputs):
            await batches.flush()
    await batches.flush()
    await activity.end(received_at)
    return reading.outcome


class _BodyReading:
    """The reading of one body. One thread at a time uses it."""

    def __init__(
        self,
        body: bytearray,
        source: str,
        received_at: int,
        holder: TokenHolder,
        rules: Rules,
        activity: FileActivity,
    ) -> None:
        self.outcome = PostOutcome(source)
        self._rules = rules
        self._activity = activity
        self._received_at = received_at
        scope = _ScopeFilter(holder, self.outcome, received_at)
        activity.hash(body)
        chunks = (bytes(body[at : at + CHUNK_BYTES]) for at in range(0, len(body), CHUNK_BYTES))
        note = self.outcome.intake.notes.append
        self._events = scope.admitted(read_events(chunks, source, received_at, rules=rules, note=note))

    def next_outputs(self) -> list[Output] | None:
        """The log records of the next slice, None at the end. A slice of messages for others has none."""
        events = list(islice(self._events, SLICE))
        return [output for event in events for output in self._outputs(event)] if events else None

    def _outputs(self, event: ReadResult) -> list[Output]:
        if isinstance(event, OtherMessage):
            self.outcome.add(event)
            return []
        outputs = event_outputs(event, self._rules.codes.is_urgent)
        self.outcome.add(event, urgent=outputs[0].topic == topics.URGENT)
        if not isinstance(event, Filing):
            self._activity.add(event, self._received_at)
        return outputs


class _ScopeFilter:
    """The token's scope. Records beyond it become one dead letter of each kind, which names no bill: a sender without
    the right to send CBP's dispositions must not be able to stop one."""

    def __init__(self, holder: TokenHolder, outcome: PostOutcome, received_at: int) -> None:
        self._holder, self._outcome, self._received_at = holder, outcome, received_at
        self._dispositions, self._filings = UnreadableInput(), UnreadableInput()
        self._issuers: Counter[str] = Counter()
        """Issuers of the filings refused, with the number of each."""

    def admitted(self, events: Iterator[ReadResult]) -> Iterator[ReadResult]:
        may_stop = self._holder.scope.may_post(DISPOSITIONS)
        for event in events:
            if isinstance(event, Filing) and not self._holder.scope.may_file_for(event.scac):
                self._issuers[event.scac] += 1
                self._refuse(self._filings, _line(filing_fields(event)))
            elif isinstance(event, Disposition) and not may_stop:
                self._refuse(self._dispositions, _line(disposition_fields(event)))
            elif isinstance(event, DeadLetter) and not may_stop:
                yield event._replace(scac=None, bill_of_lading=None)
            else:
                yield event
        yield from self._letters()

    def _refuse(self, kept: UnreadableInput, line: bytes) -> None:
        self._outcome.out_of_scope += 1
        kept.add(line)

    def _letters(self) -> Iterator[DeadLetter]:
        name, source = self._holder.name, self._outcome.source
        if self._dispositions.size:
            reason = f"the token {name} may not post {DISPOSITIONS}: have them posted with a token for this kind"
            yield self._dispositions.dead_letter(reason, source, JSONL, self._received_at)
        if self._filings.size:
            counts = self._issuers.most_common()
            named = ", ".join(f"{issuer} ({count})" for issuer, count in counts[:ISSUERS_NAMED])
            more = f" and {len(counts) - ISSUERS_NAMED} more" if len(counts) > ISSUERS_NAMED else ""
            reason = (
                f"the token {name} may not file for {named}{more}: have these {FILINGS} posted with a token for the "
                "issuer, or import the content with `snp-router import filings -`"
            )
            yield self._filings.dead_letter(reason, source, JSONL, self._received_at)


def _line(fields: dict[str, Any]) -> bytes:
    """A record as JSON that can be fed in again, the same whenever the body comes. Times stay UTC milliseconds: a text
    would have seconds."""
    known = {name: value for name, value in fields.items() if value is not None and name not in OF_THE_POST}
    return json_line(known).encode() + b"\n"
