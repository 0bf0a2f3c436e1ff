"""Deeds of an outage day: declare an outage, change it, end it; register bills on paper, and match them later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request

from router.clock import now_milliseconds
from router.console import outage_pages
from router.console.deeds import Deed, FormFields, Preview, counted, given, name_of, required
from router.console.outage_pages import MOST_PAIRS
from router.console.rendering import backend_of
from router.decide.audience import is_nvoccs_empty
from router.desk.bill_views import key_from
from router.desk.bulk_deeds import foresee_records
from router.desk.downtime import change, declare, end, find_open
from router.desk.operator_deeds import ForeseenBill
from router.desk.paper_bills import match, register
from router.engine.intake import NVOCCS_EMPTY
from router.errors import InputError, UsageError
from router.feeds.forms import OutageForm, PaperForm, check_moment, checked, paper_bill
from router.feeds.tables import read_paper
from router.feeds.typed_times import typed_time
from router.model.eastern import DAY, iso, iso_minute
from router.model.identifiers import bill_key, split_bill_key
from router.model.inputs import PaperBill
from router.model.registry_values import Outage

SOURCE: Final = "console"
MOST_ROWS: Final = 1000
"""Paper bills registered at once."""


def _with_time(fields: FormFields, name: str, now: int, *, ahead: bool = False) -> dict[str, str]:
    """The fields with the typed time in UTC, so that it means the same when the preview is confirmed."""
    text = fields.get(name)
    return {**fields, name: iso(typed_time(name, text, now, ahead=ahead))} if text else dict(fields)


def _readers(request: Request) -> str:
    live = sum(party.status == "live" for party in backend_of(request).registry.parties.values())
    return f"{live} live parties read of it on snp.feed-status: no news is not clearance."


# Outages


def _declared(request: Request, fields: FormFields, now: int) -> tuple[OutageForm, dict[str, str]]:
    fields = _with_time(_with_time(fields, "since", now), "until", now, ahead=True)
    entered = {"since": now} | given(fields, "mode", "port", "feed", "carrier", "reason", "until", "ticket")
    if fields.get("since"):
        entered["since"] = fields["since"]
    return checked(OutageForm, entered | {"by": name_of(request)}), fields


async def _preview_declare(request: Request, fields: FormFields) -> Preview:
    form, resolved = _declared(request, fields, now_milliseconds())
    where = "".join((f", port {form.port}" if form.port else "", f", line {form.carrier}" if form.carrier else ""))
    facts = [f"{'All modes' if form.mode == 'all' else form.mode.capitalize()}{where}: {form.reason}."]
    if resolved.get("since"):
        facts += [f"Since {iso_minute(form.since)}."]
    facts += _expected(form.until)
    facts += [_readers(request)]
    if form.carrier:
        facts += [f"The parties of {form.carrier}'s sailings and filers of its open bills get a notice each."]
    return Preview("Declare an outage", tuple(facts), fields=resolved)


def _expected(until: int | None) -> list[str]:
    return [f"Expected back {iso_minute(until)}."] if until is not None else []


async def _declare(request: Request, fields: FormFields) -> str:
    """Declare an outage of a feed, a port or a line."""
    now = now_milliseconds()
    form, _ = _declared(request, fields, now)
    await declare(backend_of(request).log, form, now)
    return "/feeds"


async def _changes(request: Request, fields: FormFields, now: int) -> tuple[Outage, dict[str, Any]]:
    """The outage, and the values that the form gives it."""
    outage = await find_open(backend_of(request).log, request.path_params["outage"])
    wanted = given(fields, "reason", "ticket")
    wanted["until"] = typed_time("until", fields["until"], now, ahead=True) if fields.get("until") else None
    return outage, {name: None if value == getattr(outage, name) else value for name, value in wanted.items()}


async def _preview_change(request: Request, fields: FormFields) -> Preview:
    log, now = backend_of(request).log, now_milliseconds()
    resolved = _with_time(fields, "until", now, ahead=True)
    outage, changes = await _changes(request, resolved, now)
    new = await change(log, outage.id, name_of(request), now, **changes, preview=True)
    facts = [f"{name}: {value}." for name, value in (("Reason", new.reason), ("Ticket", new.ticket)) if value]
    return Preview("Change the outage", (*facts, *_expected(new.until), _readers(request)), fields=resolved)


async def _change(request: Request, fields: FormFields) -> str:
    """Add what became known later, such as the ticket number."""
    now = now_milliseconds()
    outage, changes = await _changes(request, fields, now)
    await change(backend_of(request).log, outage.id, name_of(request), now, **changes)
    return f"/outages/{outage.id}"


async def _preview_end(request: Request, fields: FormFields) -> Preview:
    now = now_milliseconds()
    resolved = _with_time(fields, "at", now)
    at = typed_time("Ended", resolved["at"], now) if resolved.get("at") else now
    outage = await end(backend_of(request).log, request.path_params["outage"], name_of(request), at, now, preview=True)
    when = f"since {iso_minute(at)}" if resolved.get("at") else "from now on"
    facts = (f"{outage.reason or 'silence'}: it is over {when}.", _readers(request))
    return Preview("End the outage", facts, fields=resolved)


async def _end_outage(request: Request, fields: FormFields) -> str:
    now, outage = now_milliseconds(), request.path_params["outage"]
    at = typed_time("Ended", fields["at"], now) if fields.get("at") else now
    await end(backend_of(request).log, outage, name_of(request), at, now)
    return f"/outages/{outage}"


# The paper register


SHIPMENT: Final = (
    "carrier_scac", "imo_number", "voyage_number", "arrival_date", "port_of_unlading", "manifested_quantity",
    "container_numbers", "snps", "ticket", "form",
)  # fmt: skip


def _paper_bills(request: Request, fields: FormFields, now: int) -> list[PaperBill | InputError]:
    """The bill of the form, or the rows of its table. Raises UsageError."""
    if bool(fields.get("table")) == bool(fields.get("bill")):
        raise UsageError("name one bill, or paste a table of bills")
    by = name_of(request)
    if table := fields.get("table"):
        rows = list(read_paper((table.encode(),), SOURCE, by, now))
        if len(rows) > MOST_ROWS:
            raise UsageError(f"the table has {len(rows):,} bills: paste {MOST_ROWS:,} at most")
        return rows
    scac, number = split_bill_key(key_from(fields["bill"].split()))
    delivered = typed_time("Delivered to CBP", required(fields, "delivered_at"), now)
    entered = given(fields, *SHIPMENT) | {"scac": scac, "bill_of_lading": number, "delivered_at": delivered}
    form = checked(PaperForm, entered)
    check_moment("Delivered to CBP", form.delivered_at, now)
    return [paper_bill(form, SOURCE, by, now)]


async def _preview_paper(request: Request, fields: FormFields) -> Preview:
    backend, now = backend_of(request), now_milliseconds()
    resolved = _with_time(fields, "delivered_at", now)
    read = _paper_bills(request, resolved, now)
    papers = [one for one in read if isinstance(one, PaperBill)]
    problems = [str(one) for one in read if isinstance(one, InputError)]
    if not papers:
        raise UsageError("; ".join(problems[:MOST_NAMED]) or "the table has no bills")
    foreseen = await foresee_records(backend.index, backend.registry, backend.rules, papers)
    refused = {
        key: NVOCCS_EMPTY.format(key)
        for one in papers
        if is_nvoccs_empty(one.filing, backend.registry)
        and (key := bill_key(one.filing.scac, one.filing.bill_of_lading))
    }
    bills = tuple(
        one._replace(refusal=refused[one.bill], notices=()) if one.bill in refused else one for one in foreseen
    )
    possible = [one for one in bills if one.refusal is None]
    earliest = min(one.delivered_at for one in papers)
    facts = (
        f"Delivered to CBP {'' if len(papers) == 1 else 'from '}{iso_minute(earliest)}; the 24 hours then end "
        f"{iso_minute(earliest + DAY)}.",
        "Each counts as filed until its electronic filing arrives.",
    )
    warnings = tuple(f"Left out: {one}" for one in problems)
    notices = tuple(notice for one in possible for notice in one.notices)
    heading = f"Register {counted(len(possible), 'bill')} on paper"
    return Preview(heading, facts, notices, warnings, bills, fields=resolved)


MOST_NAMED: Final = 5
"""Rows with a problem that an error names."""


async def _register(request: Request, fields: FormFields) -> str:
    """Register bills that CBP has only on paper."""
    now = now_milliseconds()
    added = await register(backend_of(request).log, _paper_bills(request, fields, now), name_of(request), now)
    if not added.count:
        raise UsageError("; ".join(map(str, added.problems[:MOST_NAMED])))
    return f"/outages/{request.path_params['outage']}"


def _pairs(fields: FormFields) -> list[tuple[str, str]]:
    """The bill on paper and the one that it was filed as, of each line. Raises UsageError."""
    pairs = []
    for line in required(fields, "pairs").splitlines():
        words = line.split()
        if words and len(words) != 2:
            raise UsageError(f"{line.strip()!r} is not a pair: write the bill on paper, a blank, the bill filed")
        if words:
            pairs.append((key_from(words[:1]), key_from(words[1:])))
    if not 0 < len(pairs) <= MOST_PAIRS:
        raise UsageError(f"these are {len(pairs)} pairs: give 1 to {MOST_PAIRS} at once")
    return pairs


async def _foreseen_match(request: Request, paper: str, electronic: str) -> tuple[ForeseenBill, Sequence[str]]:
    """Consequences for the electronic bill, and the parties that were notified under the paper bill's number."""
    backend = backend_of(request)
    try:
        record = await match(
            backend.log, backend.rules, paper, electronic, name_of(request), now_milliseconds(), preview=True
        )
    except UsageError as error:
        return ForeseenBill(electronic, "", "", refusal=f"paper bill {paper}: {error}"), ()
    (foreseen,) = await foresee_records(backend.index, backend.registry, backend.rules, [record])
    notified = (await backend.bill(paper)).bill.state.last_notices
    return foreseen, list(notified)


async def _preview_match(request: Request, fields: FormFields) -> Preview:
    pairs = _pairs(fields)
    found = [await _foreseen_match(request, *pair) for pair in pairs]
    bills = tuple(sorted((bill for bill, _ in found), key=lambda one: one.refusal is None))
    parties = sorted({party for _, notified in found for party in notified})
    facts = (
        f"Recipients of the paper bill get the status of the filed one, once, marked REISSUE: "
        f"{', '.join(parties) or 'it has none'}.",
        "What CBP holds under the old number holds the filed bill too, until CBP removes it there.",
        "Until all of the paper bill's history has come over, nothing frees the filed one.",
    )
    possible = [one for one in bills if one.refusal is None]
    notices = tuple(notice for one in possible for notice in one.notices)
    return Preview(f"Match {counted(len(possible), 'paper bill')}", facts, notices or None, bills=bills)


async def _match(request: Request, fields: FormFields) -> str:
    """Record that paper bills were filed under other numbers. Pairs that were not possible are left out."""
    backend, now = backend_of(request), now_milliseconds()
    for pair in _pairs(fields):
        foreseen, _ = await _foreseen_match(request, *pair)
        if foreseen.refusal is None:
            await match(backend.log, backend.rules, *pair, name_of(request), now)
    return f"/outages/{request.path_params['outage']}"


_OUTAGE: Final = "/outages/{outage}"
DEEDS: Final = (
    Deed("/outages", "declare", outage_pages.feeds, "/feeds", _preview_declare, _declare),
    Deed(f"{_OUTAGE}/change", "change", outage_pages.outage, _OUTAGE, _preview_change, _change),
    Deed(f"{_OUTAGE}/end", "end", outage_pages.outage, _OUTAGE, _preview_end, _end_outage),
    Deed(f"{_OUTAGE}/paper", "paper", outage_pages.outage, _OUTAGE, _preview_paper, _register),
    Deed(f"{_OUTAGE}/match", "match", outage_pages.outage, _OUTAGE, _preview_match, _match),
)
