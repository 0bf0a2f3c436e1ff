"""Operators' deeds: a hold or release that CBP relayed by hand, the end of a dead letter.

Each deed is written in one append with its entry on `snp.audit`; `snp-router run` applies it and sends the notices.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Final, NamedTuple, TypeGuard

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
from router.engine.intake import checked, event_outputs
from router.errors import UsageError
from router.feeds.bounded_input import ReadOptions, ReadResult
from router.feeds.formats import read_dead_letter as read_again
from router.feeds.formats import read_events
from router.feeds.forms import ManualForm, check_moment, manual_event
from router.log.interface import Log
from router.model.identifiers import bill_key
from router.model.inputs import LIFT, PLACE, RELEASE, DeadLetter, Disposition, Filing, ManualEvent
from router.task.outputs import letter_output

# By hand: what CBP said by phone, by e-mail or on paper

EVENT_ID_BYTES: Final = 8
FITTING_EFFECTS: Final = {
    PLACE: (frozenset({Effect.PLACE, Effect.BLOCK}), "places no hold"),
    LIFT: (frozenset({Effect.PLACE, Effect.BLOCK, Effect.LIFT}), "neither places nor lifts a hold"),
    RELEASE: (frozenset({Effect.RELEASE}), "is not a release"),
}
"""Effects of the codes that fit an action, and the fault of the others. A lift may name the hold or its removal."""
FREEING_EFFECTS: Final = frozenset({Effect.LIFT, Effect.RELEASE, Effect.MOVE})
ADD_THE_CODE: Final = "add it to the code table (setting rules.disposition_codes), then `snp-router rules apply`"
DEEDS: Final = {PLACE: "hold place", LIFT: "hold lift", RELEASE: "release"}


class ForeseenNotice(NamedTuple):
    """A notice that will be sent if nothing else comes first."""

    recipient: str
    kind: str
    """`hold`, `change` or `release`."""


class ForeseenBill(NamedTuple):
    """Consequences of a deed for one of its bills, if nothing else comes first."""

    bill: str
    before: str
    """Its status now; empty for a bill that is not known."""
    after: str
    by: tuple[str, ...] = ()
    """Causes of the change: `ends box`, `1C`."""
    notices: tuple[ForeseenNotice, ...] = ()
    seen: str = ""
    """Its `fingerprint`, where the deed binds to that."""
    refusal: str | None = None
    """Why the deed can't be done on it. None: it can."""


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


async def relay(log: Log, rules: Rules, form: ManualForm, now: int, *, preview: bool = False) -> Relayed:
    """Enter an event that CBP relayed by hand; with `preview` only find out what that would do.

    Raises UsageError if code, container and action do not fit.
    """
    check_moment("said-at", form.said_at, now)
    _check_code(form, rules)
    event = manual_event(form, secrets.token_hex(EVENT_ID_BYTES), now)
    relayed = await _foresee(log, rules, event)
    if preview:
        return relayed
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


# Dead letters: each is resolved by a retry, an acceptance, a confirmation of its bill, or a dismissal

RETRIED: Final = "RETRIED"
ACCEPTED: Final = "ACCEPTED"
CONFIRMED: Final = "CONFIRMED"
DISMISSED: Final = "DISMISSED"


async def read_dead_letters(log: Log, unread: list[str] | None = None) -> list[DeadLetter]:
    """Read all dead letters in the order received, without their content, which may be large. `unread` as in
    `Log.read`."""
    letters = {letter.id: letter._replace(content=b"") async for letter in _letters(log, unread=unread)}
    return sorted(letters.values(), key=lambda letter: letter.received_at)


async def _letters(log: Log, key: str | None = None, unread: list[str] | None = None) -> AsyncIterator[DeadLetter]:
    wanted = None if key is None else key.encode()
    async for batch in log.read([topics.DEAD_LETTERS], until_end=True, key=wanted, unread=unread):
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


IN_DOUBT: Final = (
    "its message is in doubt, and read again it would be as uncertain: ingest the message once it comes whole, or "
    "accept it (`snp-router dead-letters accept {}`) if CBP meant it so"
)
ID_SHOWN: Final = 12


class Retried(NamedTuple):
    """Result of a retry."""

    letter: DeadLetter
    events: int
    problem: str | None
    """Why the letter was not resolved; nothing was written then."""
    read: tuple[Disposition | Filing, ...] = ()
    """The events."""


async def retry(
    log: Log, rules: Rules, letter: DeadLetter, corrected: bytes | None = None, *, by: str, preview: bool = False
) -> Retried:
    """Read a dead letter again, or `corrected` in its place; with `preview` write nothing.

    Its events and its resolution are written together; if any part is still unreadable, nothing is.
    """
    if letter.resolution is not None:
        return Retried(letter, 0, f"it is already resolved ({letter.resolution})")
    if corrected is None and letter.in_doubt:
        return Retried(letter, 0, IN_DOUBT.format(letter.id[:ID_SHOWN]))
    now = now_milliseconds()
    if corrected is None:
        read = list(read_again(letter, now, rules))
        detail = "as it was"
    else:
        read = [
            event._replace(retry_of=letter.id) if isinstance(event, Disposition) else event
            for event in read_events((corrected,), f"{letter.source} (corrected)", now, ReadOptions(rules))
        ]
        detail = f"corrected, {len(corrected)} bytes"
    read = await _checked(log, read)
    events = [event for event in read if isinstance(event, Disposition | Filing)]
    problem = _problem(letter, read, events, rules)
    if problem is None and not preview:
        outputs = [output for event in events for output in event_outputs(event, rules.codes.is_urgent)]
        deed = AuditEntry(now, by, "dead-letters retry", letter.id, f"{len(events)} events, {detail}")
        await log.append(
            [*outputs, letter_output(letter._replace(resolution=RETRIED)), audit_output(deed)], atomic=True
        )
    return Retried(letter, len(events), problem, tuple(events))


async def _checked(log: Log, read: Iterable[ReadResult]) -> list[ReadResult]:
    registry = await read_registry(log)
    return [checked(one, registry) for one in read]


def _problem(
    letter: DeadLetter, read: Sequence[ReadResult], events: Sequence[Disposition | Filing], rules: Rules
) -> str | None:
    for event in read:
        if isinstance(event, DeadLetter):
            return event.reason
    if not events:
        return "it contains no event"
    dispositions = [event for event in events if isinstance(event, Disposition)]
    for code in (event.disposition_code for event in dispositions):
        if rules.codes.get(code) is None:
            return f"code {code} is unknown: {ADD_THE_CODE}"
    bill = (letter.scac, letter.bill_of_lading)
    if letter.bill_of_lading is not None and not any(
        (event.scac, event.bill_of_lading) == bill for event in dispositions
    ):
        return f"none of its events is on the bill that it stops, {letter.bill_of_lading} of {letter.scac}"
    return None


class Accepted(NamedTuple):
    """Result of an acceptance."""

    letter: DeadLetter
    events: int
    frees: tuple[str, ...]
    """Bills with an event among them that may free."""
    unreadable: tuple[str, ...]
    """Place and reason of each part that is a dead letter still."""
    read: tuple[Disposition | Filing, ...] = ()
    """The events."""


async def accept(
    log: Log,
    rules: Rules,
    letter: DeadLetter,
    whole: bytes | None = None,
    *,
    by: str,
    reason: str,
    preview: bool = False,
) -> Accepted:
    """Have a message in doubt read as certain, on the word of an operator; with `preview` write nothing.

    `whole` is the file that it came in, needed if only its head was kept. Events and resolution are written together.
    Raises UsageError for any other dead letter, and for a file with another message in doubt.
    """
    _check_acceptable(letter, by, reason)
    now = now_milliseconds()
    content = _message_of(letter, whole, rules, now)
    read = list(read_again(letter._replace(content=content, content_size=len(content)), now, rules, accepted=True))
    read = await _checked(log, read)
    if doubts := [one.reason for one in read if _is_in_doubt(one)]:
        raise UsageError(f"the message is still in doubt: {doubts[0]}")
    events = [one for one in read if isinstance(one, Disposition | Filing)]
    letters = [one for one in read if isinstance(one, DeadLetter)]
    unreadable = tuple(f"{one.source}: {one.reason}" for one in letters)
    accepted = Accepted(letter, len(events), _freed(events, rules), unreadable, tuple(events))
    if preview:
        return accepted
    known = {one.id for one in await read_dead_letters(log)}
    written = (*events, *(one for one in letters if one.id not in known))
    outputs = [output for one in written for output in event_outputs(one, rules.codes.is_urgent)]
    deed = AuditEntry(now, by, "dead-letters accept", letter.id, f"{len(events)} events; {reason}")
    await log.append([*outputs, letter_output(letter._replace(resolution=ACCEPTED)), audit_output(deed)], atomic=True)
    return accepted


def _check_acceptable(letter: DeadLetter, by: str, reason: str) -> None:
    if letter.resolution is not None:
        raise UsageError(f"dead letter {letter.id[:ID_SHOWN]} is resolved already ({letter.resolution})")
    if not letter.in_doubt:
        raise UsageError(f"dead letter {letter.id[:ID_SHOWN]} is no message in doubt: correct it, then retry it")
    if not (by.strip() and reason.strip()):
        raise UsageError("an acceptance needs a name and a reason")


def _message_of(letter: DeadLetter, whole: bytes | None, rules: Rules, now: int) -> bytes:
    """The whole message, from the letter or the file that it came in."""
    if whole is not None:
        in_file = [one.id for one in read_events((whole,), letter.source, now, ReadOptions(rules)) if _is_in_doubt(one)]
        if letter.id not in in_file:
            raise UsageError("the file has another content: name the file that the message came in, unchanged")
        if len(in_file) > 1:
            raise UsageError(f"the file has {len(in_file)} messages in doubt: name a file with this one alone")
        return whole
    if len(letter.content) < letter.content_size:
        raise UsageError(
            f"only the head of its {letter.content_size:,} bytes was kept: name the file that it came in, "
            f"{letter.source}, with --with FILE"
        )
    return letter.content


def _freed(events: Sequence[Disposition | Filing], rules: Rules) -> tuple[str, ...]:
    """Bills that events may free, each once, in their order."""
    freed: dict[str, None] = {}
    for event in events:
        if isinstance(event, Disposition) and event.scac is not None and event.bill_of_lading is not None:
            code = rules.codes.get(event.disposition_code)
            if event.uncertain is None and code is not None and code.effect in FREEING_EFFECTS:
                freed[bill_key(event.scac, event.bill_of_lading)] = None
    return tuple(freed)


def _is_in_doubt(read: ReadResult) -> TypeGuard[DeadLetter]:
    return isinstance(read, DeadLetter) and read.in_doubt


async def dismiss(log: Log, letter: DeadLetter, *, by: str, reason: str, preview: bool = False) -> None:
    """Dismiss a dead letter that is not a message of CBP's, such as a file fed in by mistake.

    The same bytes fed in again become a waiting dead letter again. With `preview` nothing is written. Raises UsageError
    for a letter that is resolved, or that stops a bill: `confirm` resolves it with the bill.
    """
    if letter.resolution is not None:
        raise UsageError(f"dead letter {letter.id[:ID_SHOWN]} is resolved already ({letter.resolution})")
    if letter.scac is not None and letter.bill_of_lading is not None:
        key = bill_key(letter.scac, letter.bill_of_lading)
        raise UsageError(
            f"dead letter {letter.id[:ID_SHOWN]} stops a bill: `snp-router bill confirm {key}` resolves both"
        )
    if preview:
        return
    deed = AuditEntry(now_milliseconds(), by, "dead-letters dismiss", letter.id, reason)
    await log.append([letter_output(letter._replace(resolution=DISMISSED)), audit_output(deed)], atomic=True)


async def letters_behind(log: Log, covers: Collection[str]) -> dict[str, DeadLetter]:
    """The waiting dead letters behind unreadable events, by the event, which is the letter's keyed id."""
    found: dict[str, DeadLetter] = {}
    if not covers:
        return found
    secret = (await read_registry(log)).secret
    async for letter in _letters(log):
        if (event := keyed_id(secret, letter.id)) in covers:
            found[event] = letter
    return {event: letter for event, letter in found.items() if letter.resolution is None}
