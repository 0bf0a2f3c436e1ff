"""The deeds that an operator can do on the console, each with its preview."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console import outage_pages, pages
from router.console.deeds import Deed, FormFields, Preview, operators_fields
from router.console.rendering import address_of, backend_of, session_of
from router.decide.standing_holds import CBP_HOLD, StandingHold
from router.desk.bill_query import BillQuery
from router.desk.bill_views import key_from
from router.desk.clearances import clear
from router.desk.confirmations import Operator, confirm, foresee_confirmation
from router.desk.downtime import declare, end, find_open
from router.desk.operator_deeds import Relayed, accept, dismiss, read_dead_letter, relay, retry
from router.desk.registered_parties import ask_resync
from router.desk.stop_records import CALLED
from router.engine.administration import AuditEntry, acting_from, audit_output
from router.errors import UsageError
from router.feeds.forms import ClearanceForm, ManualForm, OutageForm, checked
from router.model.identifiers import bill_key, split_bill_key
from router.model.inputs import LIFT, PLACE, RELEASE

LONGEST_ANSWER: Final = 200

# Dead letters


async def _preview_retry(request: Request, fields: FormFields) -> Preview:
    backend = backend_of(request)
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    corrected = fields.get("corrected", "").encode() or None
    tried = await retry(backend.log, backend.rules, letter, corrected, by=_name(request), preview=True)
    if tried.problem is not None:
        raise UsageError(f"the dead letter is not resolved: {tried.problem}")
    return Preview("Read the dead letter again", _some(tried.found, "event"))


async def _retry(request: Request, fields: FormFields) -> str:
    """Read a dead letter again, or the corrected content."""
    backend = backend_of(request)
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    corrected = fields.get("corrected", "").encode() or None
    tried = await retry(backend.log, backend.rules, letter, corrected, by=_name(request))
    if tried.problem is not None:
        raise UsageError(f"the dead letter is not resolved: {tried.problem}")
    return f"/dead-letters/{letter.id}"


async def _preview_accept(request: Request, fields: FormFields) -> Preview:
    backend, reason = backend_of(request), _required(fields, "reason")
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    found = await accept(backend.log, backend.rules, letter, by=_name(request), reason=reason, preview=True)
    facts = (f"{found.events} events count as certain from then on.", *_some(found.frees, "bill it may free"))
    return Preview("Take the message as right", facts, warnings=_some(found.unreadable, "part still unreadable"))


async def _accept(request: Request, fields: FormFields) -> str:
    """Have a message in doubt read as certain."""
    backend = backend_of(request)
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    await accept(backend.log, backend.rules, letter, by=_name(request), reason=_required(fields, "reason"))
    return f"/dead-letters/{letter.id}"


async def _preview_dismiss(request: Request, fields: FormFields) -> Preview:
    backend, reason = backend_of(request), _required(fields, "reason")
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    await dismiss(backend.log, letter, by=_name(request), reason=reason, preview=True)
    return Preview("Put the dead letter away", (f"From {letter.source}: {letter.reason}", "Nobody is notified."))


async def _dismiss(request: Request, fields: FormFields) -> str:
    """Dismiss a dead letter that is not a message of CBP's."""
    log = backend_of(request).log
    letter = await read_dead_letter(log, request.path_params["letter"])
    await dismiss(log, letter, by=_name(request), reason=_required(fields, "reason"))
    return f"/dead-letters/{letter.id}"


# Bills


def _operator(request: Request, fields: FormFields) -> Operator:
    return Operator(_name(request), _account(request), _required(fields, "reason"))


async def _preview_confirm(request: Request, fields: FormFields) -> Preview:
    backend, key = backend_of(request), request.path_params["bill"]
    found = await foresee_confirmation(backend.log, backend.rules, key, _operator(request, fields))
    facts = (f"It ends: {_words(found.doubts)}.", f"The status then is {_words([found.after.status])}.")
    return Preview(f"Confirm {key}", (*facts, f"On what is known now ({found.seen[:8]})."), found.notices)


async def _confirm(request: Request, fields: FormFields) -> str:
    """Confirm a bill's status despite its doubts."""
    backend, key = backend_of(request), request.path_params["bill"]
    operator = _operator(request, fields)
    found = await foresee_confirmation(backend.log, backend.rules, key, operator)
    await confirm(backend.log, backend.rules, key, operator, seen=found.seen)
    return f"/bills/{key}"


async def _clearance(request: Request, fields: FormFields) -> ClearanceForm:
    bill = (await backend_of(request).bill(request.path_params["bill"])).bill
    given = _given(fields, "source", "reason", "ticket") | {"by": _name(request)} | _chosen(bill.status.holds, fields)
    return checked(ClearanceForm, given)


async def _preview_clear(request: Request, fields: FormFields) -> Preview:
    backend, key = backend_of(request), request.path_params["bill"]
    form = await _clearance(request, fields)
    found = await clear(backend.log, backend.rules, key, form, user=_account(request), preview=True)
    ends = tuple(f"It ends: {_named_hold(hold)}." for hold in found.holds)
    facts = (*ends, f"The status then is {_words([found.after.status])}.")
    if found.letters:
        facts += (f"It resolves {len(found.letters)} dead letters.",)
    second = ("Another person has to confirm it before it counts.",) if found.needs_second_person else ()
    return Preview(f"Clear holds of {key}", facts, found.notices, second)


async def _clear(request: Request, fields: FormFields) -> str:
    """End one hold, or all of a kind, where CBP said outside its messages that it has ended."""
    backend, key = backend_of(request), request.path_params["bill"]
    form = await _clearance(request, fields)
    await clear(backend.log, backend.rules, key, form, user=_account(request))
    return f"/bills/{key}"


def _named_hold(hold: StandingHold) -> str:
    return f"{hold.code or _words([hold.kind])} on {hold.container_number or 'the whole bill'}"


def _chosen(holds: Sequence[StandingHold], fields: FormFields) -> dict[str, Any]:
    """The hold that the form names, or all of a kind."""
    chosen = _required(fields, "hold")
    if "|" not in chosen:
        return {"kind": chosen}
    hold = next((one for one in holds if pages.hold_choice(one) == chosen), None)
    if hold is None:
        raise UsageError("that hold does not stand any more: look at the bill again")
    events = hold.events[-1:] if hold.kind == CBP_HOLD else hold.events
    return {"kind": hold.kind, "container": hold.container_number, "events": events}


BY_HAND: Final = {
    PLACE: "Place a hold on {}",
    LIFT: "Lift what was placed by hand on {}",
    RELEASE: "Release {} by hand",
}


def _by_hand(request: Request, key: str, fields: FormFields, now: int) -> ManualForm:
    """An event as CBP told it by phone, by e-mail or on paper, with the operator's facts of a new bill."""
    scac, number = split_bill_key(key)
    _required(fields, "source")
    ours = {"scac": scac, "bill_of_lading": number, "said_at": now, "by": _name(request)}
    given = _given(
        fields, "action", "code", "container", "quantity", "channel", "source", "ticket",
        "carrier_scac", "imo_number", "voyage_number", "port_of_unlading", "master_bill", "snps",
    )  # fmt: skip
    return checked(ManualForm, given | ours)


async def _foresee_by_hand(request: Request, key: str, fields: FormFields) -> Preview:
    backend, now = backend_of(request), now_milliseconds()
    form = _by_hand(request, key, fields, now)
    found: Relayed = await relay(backend.log, backend.rules, form, now, preview=True)
    facts = [f"The status then is {_words([found.status])}."] if found.status else []
    facts += [f"On the word of {form.source}, by {form.channel}{f', ticket {form.ticket}' if form.ticket else ''}."]
    warnings = [] if found.is_known else ["This bill is not known yet: check its number."]
    warnings += ["It lifts nothing: no hold by hand stands there."] if found.lifts_nothing else []
    warnings += [f"Somebody can't be notified yet: {_words(found.waiting)}."] if found.waiting else []
    return Preview(BY_HAND[form.action].format(key), tuple(facts), found.notices, tuple(warnings))


async def _preview_relay(request: Request, fields: FormFields) -> Preview:
    return await _foresee_by_hand(request, request.path_params["bill"], fields)


async def _relay(request: Request, fields: FormFields) -> str:
    """Enter a hold, its removal or a release that CBP gave by phone, by e-mail or on paper."""
    backend, key, now = backend_of(request), request.path_params["bill"], now_milliseconds()
    await relay(backend.log, backend.rules, _by_hand(request, key, fields, now), now)
    return f"/bills/{key}"


def _new_bill(fields: FormFields) -> str:
    return key_from(_required(fields, "bill").split())


async def _preview_place(request: Request, fields: FormFields) -> Preview:
    return await _foresee_by_hand(request, _new_bill(fields), {**fields, "action": PLACE})


async def _place(request: Request, fields: FormFields) -> str:
    """Place a hold that CBP announced on a bill that is not known yet."""
    backend, key, now = backend_of(request), _new_bill(fields), now_milliseconds()
    await relay(backend.log, backend.rules, _by_hand(request, key, {**fields, "action": PLACE}, now), now)
    return f"/bills/{bill_key(*split_bill_key(key))}"


# Outages


def _outage(request: Request, fields: FormFields, now: int) -> OutageForm:
    given = _given(fields, "mode", "port", "feed", "carrier", "reason", "until", "ticket")
    return checked(OutageForm, given | {"by": _name(request), "since": now})


def _readers(request: Request) -> str:
    live = sum(party.status == "live" for party in backend_of(request).registry.parties.values())
    return f"{live} live parties read of it on snp.feed-status: no news is not clearance."


async def _preview_declare(request: Request, fields: FormFields) -> Preview:
    form = _outage(request, fields, now_milliseconds())
    where = "".join((f", port {form.port}" if form.port else "", f", line {form.carrier}" if form.carrier else ""))
    facts = [f"{'All modes' if form.mode == 'all' else form.mode.capitalize()}{where}: {form.reason}."]
    facts += [_readers(request)]
    if form.carrier:
        facts += [f"The parties of {form.carrier}'s sailings and filers of its open bills get a notice each."]
    return Preview("Declare an outage", tuple(facts))


async def _declare(request: Request, fields: FormFields) -> str:
    """Declare an outage of a feed, a port or a line."""
    now = now_milliseconds()
    await declare(backend_of(request).log, _outage(request, fields, now), now)
    return "/feeds"


async def _preview_end(request: Request, _fields: FormFields) -> Preview:
    outage = await find_open(backend_of(request).log, request.path_params["outage"])
    return Preview("End the outage", (f"{outage.reason or 'silence'}: it is over from now on.", _readers(request)))


async def _end_outage(request: Request, _fields: FormFields) -> str:
    now = now_milliseconds()
    await end(backend_of(request).log, request.path_params["outage"], _name(request), now, now)
    return "/feeds"


# Parties


async def _preview_resync(request: Request, _fields: FormFields) -> Preview:
    backend, name = backend_of(request), request.path_params["party"]
    party = backend.registry.party(name.upper())
    if party is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such party")
    if party.status != "live":
        raise UsageError(f"party {party.id} is {party.status} and gets no notices; make it live before a resync")
    bills = await backend.index.count(BillQuery(party=party.id), backend.registry, now_milliseconds())
    facts = (f"{party.id} gets one notice for each of its open bills: at most {bills}, those that concern it.",)
    return Preview(f"Send {party.id} the status now of all its open bills", facts)


async def _resync(request: Request, _fields: FormFields) -> str:
    """Send a party the present status of all its open bills."""
    party = request.path_params["party"]
    await ask_resync(backend_of(request).log, party, _name(request), now_milliseconds())
    return f"/parties/{party}"


async def _called(request: Request) -> Response:
    """Note that a party was called about its unread do-not-loads. A later one rings again."""
    backend, fields = backend_of(request), await operators_fields(request)
    party = backend.registry.party(request.path_params["party"].upper())
    if party is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such party")
    answered = fields.get("answered", "")[:LONGEST_ANSWER] or None
    entry = AuditEntry(now_milliseconds(), _name(request), CALLED, party.id, answered)
    with acting_from(address_of(request)):
        await backend.log.append([audit_output(entry)])
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


def _name(request: Request) -> str:
    return session_of(request).user.name


def _account(request: Request) -> str:
    """The operator's account, as deeds name it."""
    return f"console:{_name(request)}"


def _given(fields: FormFields, *names: str) -> dict[str, Any]:
    """The named fields; empty ones are None."""
    return {name: fields.get(name) or None for name in names}


def _required(fields: FormFields, name: str) -> str:
    if not fields.get(name):
        raise UsageError(f"the field {FIELD_NAMES.get(name, name)} is empty: fill it in")
    return fields[name]


FIELD_NAMES: Final = {"source": "Who at CBP", "bill": "Bill", "hold": "Hold", "reason": "ground"}


def _words(codes: Sequence[str]) -> str:
    return ", ".join(codes).replace("_", " ").lower()


def _some(items: Sequence[str], noun: str, most: int = 20) -> tuple[str, ...]:
    """A line with the count, then the first items."""
    if not items:
        return ()
    more = (f"and {len(items) - most} more",) if len(items) > most else ()
    return (f"{len(items)} {noun}{'' if len(items) == 1 else 's'}:", *items[:most], *more)


DEEDS: Final = (
    Deed("/dead-letters/{letter}/retry", "retry", pages.dead_letter, _preview_retry, _retry),
    Deed("/dead-letters/{letter}/accept", "accept", pages.dead_letter, _preview_accept, _accept),
    Deed("/dead-letters/{letter}/dismiss", "dismiss", pages.dead_letter, _preview_dismiss, _dismiss),
    Deed("/bills/{bill}/confirm", "confirm", pages.bill, _preview_confirm, _confirm),
    Deed("/bills/{bill}/clear", "clear", pages.bill, _preview_clear, _clear),
    Deed("/bills/{bill}/by-hand", "by-hand", pages.bill, _preview_relay, _relay),
    Deed("/holds", "place", pages.new_hold, _preview_place, _place),
    Deed("/outages", "declare", outage_pages.feeds, _preview_declare, _declare),
    Deed("/outages/{outage}/end", "end", outage_pages.feeds, _preview_end, _end_outage),
    Deed("/parties/{party}/resync", "resync", pages.party, _preview_resync, _resync),
)
ACTIONS: Final[list[Any]] = [
    *(deed.route for deed in DEEDS),
    Route("/parties/{party}/called", _called, methods=["POST"]),
]
