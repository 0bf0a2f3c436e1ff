"""One posted body: its results within the token's scope, as log records, and an account of it for the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

from router.decide.identity import content_hash
from router.engine.feed_activity import FeedMonitor
from router.engine.intake import Intake, ingest_chunks, record_line
from router.feeds.bounded_input import ReadResult, UnreadableInput
from router.feeds.disposition_files import JSONL
from router.feeds.input_files import CHUNK_BYTES
from router.listener.tokens import DISPOSITIONS, TokenHolder
from router.log.interface import Log
from router.model.inputs import DeadLetter, Disposition, Filing, disposition_fields, filing_fields

MOST_NAMED: Final = 100
"""Dead letters that an answer names; `snp-router dead-letters list` has all."""
ISSUERS_NAMED: Final = 10


class PutAside(NamedTuple):
    """One dead letter of a body, as its sender sees it."""

    id: str
    place: str
    reason: str


@dataclass(slots=True)
class PostOutcome:
    """Account of one body whose records are on the log."""

    source: str
    intake: Intake
    put_aside: list[PutAside]
    """The first dead letters."""
    is_out_of_scope: bool
    """True if the token did not cover all of it."""

    @property
    def has_taken(self) -> bool:
        """True if anything in the body was understood and in scope."""
        return bool(self.intake.events or self.intake.filings or self.intake.others)

    @property
    def is_empty(self) -> bool:
        return not self.has_taken and not self.intake.dead_letters

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
            "in_doubt": intake.in_doubt,
            "put_aside": [one._asdict() for one in self.put_aside],
            "notes": intake.notes[:MOST_NAMED],
        }


async def store_body(
    log: Log, monitor: FeedMonitor, holder: TokenHolder, body: bytearray, source: str, received_at: int
) -> PostOutcome:
    """Append the records of a body, and its feed's activity; durable on return. Raises LogError, OSError.

    After an error a part may be stored; the same body again completes it and stores nothing twice.
    """
    scope = _ScopeFilter(holder, source, received_at)
    chunks = (bytes(body[at : at + CHUNK_BYTES]) for at in range(0, len(body), CHUNK_BYTES))
    intake = await ingest_chunks(
        *(log, chunks, source, monitor.rules), received_at=received_at, monitor=monitor, admit=scope.admitted
    )
    return PostOutcome(source, intake, scope.put_aside, scope.is_exceeded)


class _ScopeFilter:
    """The token's scope. Records beyond it become one dead letter of each kind, which names no bill: a sender without
    the right to send CBP's dispositions must not be able to stop one."""

    def __init__(self, holder: TokenHolder, source: str, received_at: int) -> None:
        self.put_aside: list[PutAside] = []
        self._name, self._scope = holder
        self._source, self._received_at = source, received_at
        self._dispositions, self._filings = UnreadableInput(), UnreadableInput()
        self._issuers: Counter[str] = Counter()
        """Issuers of the filings refused, with the number of each."""

    @property
    def is_exceeded(self) -> bool:
        return bool(self._dispositions.size or self._filings.size)

    def admitted(self, events: Iterator[ReadResult]) -> Iterator[ReadResult]:
        for event in chain(map(self._restricted, events), self._letters()):
            if isinstance(event, DeadLetter) and event.times == 1 and len(self.put_aside) < MOST_NAMED:
                self.put_aside.append(PutAside(event.id, event.source, event.reason))
            if event is not None:
                yield event

    def _restricted(self, event: ReadResult) -> ReadResult | None:
        """The event as far as the token covers it."""
        may_stop = self._scope.may_post(DISPOSITIONS)
        if isinstance(event, Filing) and not self._scope.may_file_for(event.scac):
            self._issuers[event.scac] += 1
            self._filings.add(record_line(filing_fields(event)))
            return None
        if isinstance(event, Disposition) and not may_stop:
            uncertain = event._replace(uncertain=event.uncertain or "MESSAGE")  # a retry of it must free nothing
            self._dispositions.add(record_line(disposition_fields(uncertain)))
            return None
        if isinstance(event, DeadLetter) and event.bill_of_lading is not None and not may_stop:
            # an id of its own: it must not replace the letter of a sender who may stop the bill
            return event._replace(id=content_hash(f"{event.id} {self._name}"), scac=None, bill_of_lading=None)
        return event

    def _letters(self) -> Iterator[DeadLetter]:
        name, source = self._name, self._source
        if self._dispositions.size:
            reason = f"the token {name} may not post {DISPOSITIONS}: have them posted with a token for this kind"
            yield self._dispositions.dead_letter(reason, source, JSONL, self._received_at)
        if self._filings.size:
            counts = self._issuers.most_common()
            named = ", ".join(f"{issuer} ({count})" for issuer, count in counts[:ISSUERS_NAMED])
            more = f" and {len(counts) - ISSUERS_NAMED} more" if len(counts) > ISSUERS_NAMED else ""
            reason = f"the token {name} may not file for {named}{more}: have them posted with a token for their issuer"
            yield self._filings.dead_letter(reason, source, JSONL, self._received_at)
