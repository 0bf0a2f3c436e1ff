"""Operators' deeds: a hold or release that CBP relayed by hand, the end of a dead letter.

Each deed is written in one append with its entry on `snp.audit`; `snp-router run` applies it and sends the notices.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final, NamedTuple

from router import codec, topics
from router.clock import now_milliseconds
from router.decide.bill import decide
from router.decide.bill_state import assess_bill
from router.decide.codes import Effect
from router.decide.identity import keyed_id
from router.decide.registry import Context
from router.decide.rules import Rules
from router.desk.bill_views import NotFoundError, read_state
from router.engine.administration import AuditEntry, audit_output, read_registry
from router.engine.intake import event_outputs
from router.errors import UsageError
from router.feeds.bounded_input import ReadResult
from router.feeds.formats import read_dead_letter as read_again
from router.feeds.formats import read_events
from router.feeds.forms import ManualForm, check_moment, manual_event
from router.log.interface import Log
from router.model.identifiers import bill_key
from router.model.inputs import LIFT, PLACE, RELEASE, DeadLetter, Disposition, ManualEvent
from router.task.outputs import letter_output

# By hand: what CBP said by phone, by e-mail or on paper

EVENT_ID_BYTES: Final = 8
FITTING_EFFECTS: Final = {
    PLACE: (frozenset({Effect.PLACE, Effect.BLOCK}), "places no hold"),
    LIFT: (frozenset({Effect.PLACE, Effect.BLOCK, Effect.LIFT}), "neither places nor lifts a hold"),
    RELEASE: (frozenset({Effect.RELEASE}), "is not a release"),
}
"""Effects of the codes that fit an action, and the fault of the others. A lift may name the hold or its removal."""
ADD_THE_CODE: Final = "add it to the code table (setting rules.disposition_codes), then `snp-router rules apply`"
DEEDS: Final = {PLACE: "hold place", LIFT: "hold lift", RELEASE: "release"}


class ForeseenNotice(NamedTuple):
    """A notice that will be sent if nothing else comes first."""

    recipient: str
    kind: str
    """`hold`, `change` or `release`."""


class Relayed(NamedTuple):
    """An event entered by hand, with its consequences as of now."""

    event: ManualEvent
    bill: str
    status: str
    notices: tuple[ForeseenNotice, ...]
    is_known: bool
    """True if the bill was known before."""
    waiting: tuple[str, ...]
    """Reasons why somebody can't be notified, as in the bill's state."""
    lifts_nothing: bool
    """True for a lift that ends no hold now."""


async def relay(log: Log, rules: Rules, form: ManualForm, now: int) -> Relayed:
    """Enter an event that CBP relayed by hand. Raises UsageError if code, container and action do not fit."""
    check_moment("said-at", form.said_at, now)
    _check_code(form, rules)
    event = manual_event(form, secrets.token_hex(EVENT_ID_BYTES), now)
    relayed = await _foresee(log, rules, event)
    what = " on ".join(filter(None, (form.code, form.container)))
    detail = filter(None, (what, f"by {form.channel}", form.source, form.ticket and f"ticket {form.ticket}"))
    deed = AuditEntry(now, form.by, DEEDS[form.action], relayed.bill, ", ".join(detail))
    await log.append([*event_outputs(event, rules.codes.is_urgent), audit_output(deed)], atomic=True)
    return relayed


def _check_code(form: ManualForm, rules: Rules) -> None:
    if form.action == RELEASE and form.container is not None and form.quantity is None:
        raise UsageError(
            "a release of one container needs its quantity: give it, or leave out the container to release the bill"
        )
    if form.code is None:
        return
    code = rules.codes.get(form.code)
    if code is None:
        raise UsageError(f"code {form.code} is unknown: ask CBP again, or {ADD_THE_CODE}")
    fitting, fault = FITTING_EFFECTS[form.action]
    if code.effect not in fitting:
        raise UsageError(f"code {form.code} ({code.meaning}) {fault}: ask CBP which code it meant")


async def _foresee(log: Log, rules: Rules, event: ManualEvent) -> Relayed:
    key = bill_key(event.scac, event.bill_of_lading)
    try:
        bill = assess_bill(await read_state(log, key), rules)
    except NotFoundError:
        bill = None
    decision = decide(bill, event, Context(await read_registry(log), rules))
    notices = tuple(ForeseenNotice(notice.recipient.id, notice.kind) for notice in decision.notices)
    after = decision.bill or bill
    status, waiting = (after.status.status, after.state.waiting) if after is not None else ("", ())
    lifts_nothing = event.action == LIFT and (after is None or bill is None or after.status.holds == bill.status.holds)
    return Relayed(event, key, status, notices, bill is not None, waiting, lifts_nothing)


# Dead letters: each is resolved by a retry, a confirmation of its bill, or a dismissal

RETRIED: Final = "RETRIED"
CONFIRMED: Final = "CONFIRMED"
DISMISSED: Final = "DISMISSED"


async def read_dead_letters(log: Log) -> list[DeadLetter]:
    """Read all dead letters in the order received, without their content, which may be large."""
    letters = {letter.id: letter._replace(content=b"") async for letter in _letters(log)}
    return sorted(letters.values(), key=lambda letter: letter.received_at)


async def _letters(log: Log, key: str | None = None) -> AsyncIterator[DeadLetter]:
    async for batch in log.read([topics.DEAD_LETTERS], until_end=True, key=None if key is None else key.encode()):
        for record in batch:
            letter = codec.decode_value(record.value) if record.value is not None else None
            if isinstance(letter, DeadLetter):
                yield letter


async def read_dead_letter(log: Log, letter_id: str) -> DeadLetter:
    """Read the dead letter whose id begins with `letter_id`. Raises NotFoundError, UsageError if there are several."""
    if whole := [letter async for letter in _letters(log, letter_id)]:
        return whole[-1]
    ids = {letter.id for letter in await read_dead_letters(log) if letter.id.startswith(letter_id)}
    if len(ids) > 1:
        raise UsageError(f"{len(ids)} dead letters have an id that begins with {letter_id!r}: give more of it")
    if not ids:
        raise NotFoundError(f"dead letter {letter_id} is unknown: see `snp-router dead-letters list --all`")
    return await read_dead_letter(log, ids.pop())


class Retried(NamedTuple):
    """Result of a retry."""

    letter: DeadLetter
    events: int
    problem: str | None
    """Why the letter was not resolved; nothing was written then."""


async def retry(log: Log, rules: Rules, letter: DeadLetter, corrected: bytes | None = None, *, by: str) -> Retried:
    """Read a dead letter again, or `corrected` in its place.

    Its events and its resolution are written together; if any part is still unreadable, nothing is.
    """
    if letter.resolution is not None:
        return Retried(letter, 0, f"it is already resolved ({letter.resolution})")
    now = now_milliseconds()
    if corrected is None:
        read = list(read_again(letter, now, rules))
        detail = "as it was"
    else:
        read = [
            event._replace(retry_of=letter.id) if isinstance(event, Disposition) else event
            for event in read_events((corrected,), f"{letter.source} (corrected)", now, rules=rules)
        ]
        detail = f"corrected, {len(corrected)} bytes"
    events = [event for event in read if isinstance(event, Disposition)]
    problem = _problem(letter, read, events, rules)
    if problem is None:
        outputs = [output for event in events for output in event_outputs(event, rules.codes.is_urgent)]
        deed = AuditEntry(now, by, "dead-letters retry", letter.id, f"{len(events)} events, {detail}")
        await log.append(
            [*outputs, letter_output(letter._replace(resolution=RETRIED)), audit_output(deed)], atomic=True
        )
    return Retried(letter, len(events), problem)


def _problem(letter: DeadLetter, read: Sequence[ReadResult], events: Sequence[Disposition], rules: Rules) -> str | None:
    for event in read:
        if isinstance(event, DeadLetter):
            return event.reason
    if not events:
        return "it contains no event"
    for disposition in events:
        code = disposition.disposition_code
        if rules.codes.get(code) is None:
            return f"code {code} is unknown: {ADD_THE_CODE}"
    bill = (letter.scac, letter.bill_of_lading)
    if letter.bill_of_lading is not None and not any((event.scac, event.bill_of_lading) == bill for event in events):
        return f"none of its events is on the bill that it stops, {letter.bill_of_lading} of {letter.scac}"
    return None


async def dismiss(log: Log, letter: DeadLetter, *, by: str, reason: str) -> None:
    """Dismiss a dead letter that is not a message of CBP's, such as a file fed in by mistake.

    The same bytes fed in again become a waiting dead letter again. Raises UsageError for a letter that is resolved, or
    that stops a bill: `confirm` resolves it with the bill.
    """
    if letter.resolution is not None:
        raise UsageError(f"dead letter {letter.id[:12]} is resolved already ({letter.resolution})")
    if letter.scac is not None and letter.bill_of_lading is not None:
        key = bill_key(letter.scac, letter.bill_of_lading)
        raise UsageError(f"dead letter {letter.id[:12]} stops a bill: `snp-router bill confirm {key}` resolves both")
    deed = AuditEntry(now_milliseconds(), by, "dead-letters dismiss", letter.id, reason)
    await log.append([letter_output(letter._replace(resolution=DISMISSED)), audit_output(deed)], atomic=True)


async def letters_behind(log: Log, covers: Collection[str]) -> list[DeadLetter]:
    """The waiting dead letters behind unreadable events; a bill has their ids keyed."""
    secret = (await read_registry(log)).secret
    waiting = [letter.id for letter in await read_dead_letters(log) if letter.resolution is None]
    return [await read_dead_letter(log, one) for one in waiting if keyed_id(secret, one) in covers]
