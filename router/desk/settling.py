"""An operator's word: a bill is confirmed, a dead letter is read again, or put away because it is nothing of CBP's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from router import topics
from router.clock import now_milliseconds
from router.codec import encode_value
from router.decide.identity import keyed_id
from router.decide.rules import Rules
from router.decide.status import MANUAL_HOLD
from router.desk.views import NotFoundError, read_dead_letter, read_dead_letters, read_state
from router.engine.administration import AuditEntry, audit_output, read_registry
from router.engine.intake import addressed
from router.errors import UsageError
from router.feeds.formats import read_dead_letter as read_again
from router.feeds.formats import read_events
from router.log.interface import Log, Output
from router.model.identifiers import bill_key, split_bill_key
from router.model.inputs import Confirmation, DeadLetter, Disposition
from router.task.outputs import letter_output

RETRIED = "RETRIED"
CONFIRMED = "CONFIRMED"
DISMISSED = "DISMISSED"


class Confirmed(NamedTuple):
    """What a confirmation covers."""

    covers: tuple[str, ...]
    doubts: tuple[str, ...]
    holds: tuple[str, ...]
    """Kinds of the unread and unknown holds it ends."""
    letters: tuple[str, ...]
    """Ids of the dead letters it settles."""
    contradictions: tuple[str, ...]
    """Between what was said by hand and what CBP sent: ids of what it settles."""


async def confirm(log: Log, rules: Rules, key: str, *, by: str, reason: str, events: Sequence[str] = ()) -> Confirmed:
    """Record an operator's word on a bill: it covers `events`, or else all that is on the bill as of now.

    Raises NotFoundError, UsageError where there is nothing to settle.
    """
    state = await read_state(log, rules, key)
    after = state.assess(rules)[1]
    unread = {hold.id: hold for hold in after.holds if hold.id is not None and hold.kind != MANUAL_HOLD}
    contradictions = state.by_hand.contradictions if state.by_hand is not None else ()
    if not after.doubts and not unread and not contradictions:
        raise UsageError(
            f"there is nothing to settle on {key}: its status is {after.status}, without doubts or contradictions, and "
            "no hold on it stands for an event that can't be read or is unknown"
        )
    known = state.coverable(rules)
    if unknown := [event for event in events if event not in known]:
        raise NotFoundError(f"{key} has no event {', '.join(unknown)}: see `snp-router bill show`")
    covers = tuple(sorted(set(events) or known))
    scac, number = split_bill_key(key)
    word = Confirmation(scac, number, covers, by, reason, now_milliseconds())
    letters = await _letters_of(log, covers)
    outputs = [Output(topics.DISPOSITIONS, key.encode(), encode_value(word))]
    outputs += [letter_output(letter._replace(settled=CONFIRMED)) for letter in letters]
    deed = AuditEntry(word.received_at, by, "bill confirm", key, f"{reason} (covers {len(covers)} events)")
    await log.append_atomic([*outputs, audit_output(deed)])
    ended = tuple(hold.kind for event, hold in unread.items() if event in covers)
    disputed = tuple(event for event in contradictions if event in covers)
    return Confirmed(covers, after.doubts, ended, tuple(letter.id for letter in letters), disputed)


async def _letters_of(log: Log, covers: Iterable[str]) -> list[DeadLetter]:
    """The dead letters behind unread events: ids on a bill are keyed, those of letters are not."""
    secret, covered = (await read_registry(log)).secret, set(covers)
    open_letters = [letter.id for letter in await read_dead_letters(log) if letter.settled is None]
    return [await read_dead_letter(log, one) for one in open_letters if keyed_id(secret, one) in covered]


class Retried(NamedTuple):
    letter: DeadLetter
    events: int
    problem: str | None
    """Why it can't be read even now; then nothing was written."""


async def retry(log: Log, rules: Rules, letter: DeadLetter, corrected: bytes | None = None, *, by: str) -> Retried:
    """Read a dead letter again, or `corrected` in its place. What comes of it and that the letter is settled are
    written together; if anything still can't be read, nothing is."""
    now = now_milliseconds()
    if corrected is None:
        read = list(read_again(letter, now))
    else:
        source = f"{letter.source} (corrected)"
        read = [event._replace(retry_of=letter.id) if isinstance(event, Disposition) else event
                for event in read_events((corrected,), source, now)]  # fmt: skip
    events = [event for event in read if isinstance(event, Disposition)]
    problem = _problem(letter, read, events, rules)
    if problem is None:
        outputs = [output for event in events for output in addressed(event, lambda event: _urgent(event, rules))]
        detail = "as it was" if corrected is None else f"corrected, {len(corrected)} bytes"
        deed = AuditEntry(now, by, "dead-letters retry", letter.id, f"{len(events)} events, {detail}")
        await log.append_atomic([*outputs, letter_output(letter._replace(settled=RETRIED)), audit_output(deed)])
    return Retried(letter, len(events), problem)


async def dismiss(log: Log, letter: DeadLetter, *, by: str, reason: str) -> None:
    """Put away a dead letter that is no message of CBP's: a file fed in by mistake. The same bytes fed in again wait
    again. Raises UsageError for one that is settled, or that stops a bill: `confirm` settles that, with the bill."""
    if letter.settled is not None:
        raise UsageError(f"the dead letter {letter.id[:12]} is settled already ({letter.settled})")
    if letter.scac is not None and letter.bill_of_lading is not None:
        key = bill_key(letter.scac, letter.bill_of_lading)
        raise UsageError(f"the dead letter {letter.id[:12]} stops a bill: `snp-router bill confirm {key}` settles both")
    deed = AuditEntry(now_milliseconds(), by, "dead-letters dismiss", letter.id, reason)
    await log.append_atomic([letter_output(letter._replace(settled=DISMISSED)), audit_output(deed)])


def _urgent(event: Disposition, rules: Rules) -> bool:
    return rules.codes.is_urgent(event.disposition_code, event.reversal)


def _problem(
    letter: DeadLetter, read: Sequence[Disposition | DeadLetter], events: Sequence[Disposition], rules: Rules
) -> str | None:
    for event in read:
        if isinstance(event, DeadLetter):
            return event.reason
    if not events:
        return "there is no event in it"
    for disposition in events:
        code = disposition.disposition_code
        if rules.codes.get(code) is None:
            return f"disposition code {code} is still not in the code table (setting `rules.disposition_codes`)"
    if letter.bill_of_lading is not None and not any(_same_bill(event, letter) for event in events):
        return f"no event in it is of the bill it stops, {letter.bill_of_lading} of {letter.scac}"
    return None


def _same_bill(event: Disposition, letter: DeadLetter) -> bool:
    return (event.scac, event.bill_of_lading) == (letter.scac, letter.bill_of_lading)
