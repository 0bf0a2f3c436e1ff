"""Everything that an operator can do on the console: deeds on dead letters and parties here, and all others' table."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console import bill_deeds, outage_deeds, pages, user_pages
from router.console.backend import Backend
from router.console.deeds import Deed, FormFields, Preview, counted, fields_from, name_of, required, some
from router.console.rendering import address_of, backend_of
from router.console.sessions import ADMIN, OPERATOR
from router.desk.bill_index import waiting
from router.desk.bill_query import BillQuery
from router.desk.bulk_deeds import MOST_AT_ONCE, foresee_records
from router.desk.operator_deeds import accept, dismiss, read_dead_letter, retry
from router.desk.registered_parties import ask_resync, change_status, find_party, read_certification
from router.desk.stop_records import CALLED
from router.engine.administration import AuditEntry, acting_from, audit_output
from router.errors import UsageError
from router.model.inputs import Disposition, Filing
from router.model.registry_values import Party

LONGEST_ANSWER: Final = 200

# Dead letters


async def _preview_retry(request: Request, fields: FormFields) -> Preview:
    backend = backend_of(request)
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    corrected = fields.get("corrected", "").encode() or None
    tried = await retry(backend.log, backend.rules, letter, corrected, by=name_of(request), preview=True)
    if tried.problem is not None:
        raise UsageError(f"the dead letter is not resolved: {tried.problem}")
    return await _with_bills(backend, Preview("Read the dead letter again"), tried.read)


async def _with_bills(backend: Backend, preview: Preview, events: Sequence[Disposition | Filing]) -> Preview:
    """The preview with each bill of the events, up to `MOST_AT_ONCE`, and all notices of them."""
    named = [one for one in events if one.scac is not None and one.bill_of_lading is not None]
    keys = dict.fromkeys((one.scac, one.bill_of_lading) for one in named)
    shown = set(islice(keys, MOST_AT_ONCE))
    chosen = [one for one in named if (one.scac, one.bill_of_lading) in shown]
    bills = await foresee_records(backend.index, backend.registry, backend.rules, chosen)
    facts = [f"{counted(len(events), 'event')} of {counted(len(keys), 'bill')}."]
    if len(named) < len(events):
        facts.append(f"{counted(len(events) - len(named), 'event')} of a vessel, without a bill.")
    if len(shown) < len(keys):
        facts.append(f"Foreseen are the first {len(shown):,} bills only.")
    notices = tuple(notice for one in bills for notice in one.notices)
    return preview._replace(facts=(*facts, *preview.facts), notices=notices, bills=tuple(bills))


async def _retry(request: Request, fields: FormFields) -> str:
    """Read a dead letter again, or the corrected content."""
    backend = backend_of(request)
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    corrected = fields.get("corrected", "").encode() or None
    tried = await retry(backend.log, backend.rules, letter, corrected, by=name_of(request))
    if tried.problem is not None:
        raise UsageError(f"the dead letter is not resolved: {tried.problem}")
    return f"/dead-letters/{letter.id}"


async def _preview_accept(request: Request, fields: FormFields) -> Preview:
    backend, reason = backend_of(request), required(fields, "reason")
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    found = await accept(backend.log, backend.rules, letter, by=name_of(request), reason=reason, preview=True)
    facts = (f"{found.events} events count as certain from then on.", *some(found.frees, "bill it may free"))
    preview = Preview("Take the message as right", facts, warnings=some(found.unreadable, "part still unreadable"))
    return await _with_bills(backend, preview, found.read)


async def _accept(request: Request, fields: FormFields) -> str:
    """Have a message in doubt read as certain."""
    backend = backend_of(request)
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    await accept(backend.log, backend.rules, letter, by=name_of(request), reason=required(fields, "reason"))
    return f"/dead-letters/{letter.id}"


async def _preview_dismiss(request: Request, fields: FormFields) -> Preview:
    backend, reason = backend_of(request), required(fields, "reason")
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    await dismiss(backend.log, letter, by=name_of(request), reason=reason, preview=True)
    return Preview("Put the dead letter away", (f"From {letter.source}: {letter.reason}", "Nobody is notified."))


async def _dismiss(request: Request, fields: FormFields) -> str:
    """Dismiss a dead letter that is not a message of CBP's."""
    log = backend_of(request).log
    letter = await read_dead_letter(log, request.path_params["letter"])
    await dismiss(log, letter, by=name_of(request), reason=required(fields, "reason"))
    return f"/dead-letters/{letter.id}"


# Parties


async def _preview_resync(request: Request, _fields: FormFields) -> Preview:
    backend, name = backend_of(request), request.path_params["party"]
    party = _registered(backend, name)
    if party.status != "live":
        raise UsageError(f"party {party.id} is {party.status} and gets no notices; make it live before a resync")
    bills = await backend.index.count(BillQuery(party=party.id), backend.registry, now_milliseconds())
    counts = (f"{party.id} gets one notice for each of its open bills: at most {bills:,}, those that concern it.",)
    return Preview(f"Send {party.id} the status now of all its open bills", estimates=counts)


async def _resync(request: Request, _fields: FormFields) -> str:
    """Send a party the present status of all its open bills."""
    party = request.path_params["party"]
    await ask_resync(backend_of(request).log, party, name_of(request), now_milliseconds())
    return f"/parties/{party}"


async def _preview_live(request: Request, _fields: FormFields) -> Preview:
    backend, now = backend_of(request), now_milliseconds()
    party = _registered(backend, request.path_params["party"])
    if party.status not in ("certifying", "suspended"):
        raise UsageError(f"party {party.id} is {party.status}, so it can't be made live")
    query = BillQuery(party=party.id)
    bills = await backend.index.count(query, backend.registry, now)
    stopped = await backend.index.count(query._replace(do_not_load="yes"), backend.registry, now)
    waits = (await backend.index.page(waiting(party.id), size=1)).total
    counts = (
        f"It gets one notice for each of its open bills: at most {bills:,}, {stopped:,} of them must not be loaded.",
        f"{counted(waits, 'waiting bill')} with its name.",
    )
    facts = (f"From then on every notice for {party.id} is written to {party.topic}, which it reads.",)
    return Preview(f"Make {party.id} live", facts, warnings=await _unready(backend, party), estimates=counts)


async def _unready(backend: Backend, party: Party) -> tuple[str, ...]:
    """Reasons to wait before a certifying party is made live."""
    if party.status != "certifying":
        return ()
    progress = await read_certification(backend.log, party)
    if progress.is_complete:
        return ()
    if not progress.samples:
        return (f"No sample notice was written for {party.id} yet.",)
    if progress.read is None:
        return (f"It is unknown whether {party.id} has read its samples: {progress.receipt.unknown}.",)
    return (f"{party.id} has read {progress.read} of {len(progress.samples)} sample notices.",)


async def _preview_suspend(request: Request, _fields: FormFields) -> Preview:
    backend = backend_of(request)
    party = _registered(backend, request.path_params["party"])
    if party.status not in ("certifying", "live"):
        raise UsageError(f"party {party.id} is {party.status}, so it can't be suspended")
    bills = await backend.index.count(BillQuery(party=party.id), backend.registry, now_milliseconds())
    facts = (
        f"{party.id} gets no more notices. Its bills wait until it is live again.",
        "What was written to its topic it may still read: `snp-router provision revoke` ends that.",
    )
    return Preview(f"Suspend {party.id}", facts, estimates=(f"{counted(bills, 'bill')} of it in all.",))


async def _change_status(request: Request, status: str) -> str:
    backend = backend_of(request)
    party = await find_party(backend.log, request.path_params["party"])
    await change_status(backend.log, party, status, by=name_of(request))
    return f"/parties/{party.id}"


async def _live(request: Request, _fields: FormFields) -> str:
    """Start a party's notices."""
    return await _change_status(request, "live")


async def _suspend(request: Request, _fields: FormFields) -> str:
    """Stop a party's notices."""
    return await _change_status(request, "suspended")


def _registered(backend: Backend, name: str) -> Party:
    party = backend.registry.party(name.upper())
    if party is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such party")
    return party


async def _called(request: Request) -> Response:
    """Note that a party was called about its unread do-not-loads. A later one rings again."""
    backend, fields = backend_of(request), await fields_from(request, OPERATOR)
    party = _registered(backend, request.path_params["party"])
    answered = fields.get("answered", "")[:LONGEST_ANSWER] or None
    entry = AuditEntry(now_milliseconds(), name_of(request), CALLED, party.id, answered)
    with acting_from(address_of(request)):
        await backend.log.append([audit_output(entry)])
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


_PARTY: Final = "/parties/{party}"
_LETTER: Final = "/dead-letters/{letter}"
DEEDS: Final = (
    Deed("/dead-letters/{letter}/retry", "retry", pages.dead_letter, _LETTER, _preview_retry, _retry),
    Deed("/dead-letters/{letter}/accept", "accept", pages.dead_letter, _LETTER, _preview_accept, _accept),
    Deed("/dead-letters/{letter}/dismiss", "dismiss", pages.dead_letter, _LETTER, _preview_dismiss, _dismiss),
    *bill_deeds.DEEDS,
    *outage_deeds.DEEDS,
    Deed("/parties/{party}/resync", "resync", pages.party, _PARTY, _preview_resync, _resync),
    Deed("/parties/{party}/live", "live", pages.party, _PARTY, _preview_live, _live, role=ADMIN),
    Deed("/parties/{party}/suspend", "suspend", pages.party, _PARTY, _preview_suspend, _suspend, role=ADMIN),
    *user_pages.DEEDS,
)
ACTIONS: Final[list[Any]] = [
    *(deed.route for deed in DEEDS),
    Route("/parties/{party}/called", _called, methods=["POST"]),
]
