"""Deeds on bills: confirmations, the end of holds, events entered by hand; on one bill, or on many of the list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, get_args

from starlette.requests import Request

from router.clock import now_milliseconds
from router.console import bill_pages, pages
from router.console.deeds import (
    PREVIEWED,
    Deed,
    FormFields,
    Outcomes,
    Preview,
    account_of,
    given,
    name_of,
    required,
    words,
)
from router.console.rendering import SELECTED, backend_of
from router.decide.standing_holds import CBP_HOLD, StandingHold
from router.desk.bill_query import query_of
from router.desk.bill_views import key_from
from router.desk.bulk_deeds import MOST_AT_ONCE, BulkDeed, do, foresee
from router.desk.clearances import clear
from router.desk.confirmations import Operator, confirm, foresee_confirmation
from router.desk.operator_deeds import Relayed, relay
from router.errors import UsageError
from router.feeds.forms import ClearanceForm, ManualForm, checked
from router.model.identifiers import bill_key, split_bill_key
from router.model.inputs import LIFT, PLACE, RELEASE
from router.model.vocabulary import HoldKind


def _operator(request: Request, fields: FormFields) -> Operator:
    return Operator(name_of(request), account_of(request), required(fields, "reason"))


async def _preview_confirm(request: Request, fields: FormFields) -> Preview:
    backend, key = backend_of(request), request.path_params["bill"]
    found = await foresee_confirmation(backend.log, backend.rules, key, _operator(request, fields))
    facts = (f"It ends: {words(found.doubts)}.", f"The status then is {words([found.after.status])}.")
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
    entered = (
        given(fields, "source", "reason", "ticket") | {"by": name_of(request)} | _chosen(bill.status.holds, fields)
    )
    return checked(ClearanceForm, entered)


async def _preview_clear(request: Request, fields: FormFields) -> Preview:
    backend, key = backend_of(request), request.path_params["bill"]
    form = await _clearance(request, fields)
    found = await clear(backend.log, backend.rules, key, form, user=account_of(request), preview=True)
    ends = tuple(f"It ends: {_named_hold(hold)}." for hold in found.holds)
    facts = (*ends, f"The status then is {words([found.after.status])}.")
    if found.letters:
        facts += (f"It resolves {len(found.letters)} dead letters.",)
    second = ("Another person has to confirm it before it counts.",) if found.needs_second_person else ()
    return Preview(f"Clear holds of {key}", facts, found.notices, second)


async def _clear(request: Request, fields: FormFields) -> str:
    """End one hold, or all of a kind, where CBP said outside its messages that it has ended."""
    backend, key = backend_of(request), request.path_params["bill"]
    form = await _clearance(request, fields)
    await clear(backend.log, backend.rules, key, form, user=account_of(request))
    return f"/bills/{key}"


def _named_hold(hold: StandingHold) -> str:
    return f"{hold.code or words([hold.kind])} on {hold.container_number or 'the whole bill'}"


def _chosen(holds: Sequence[StandingHold], fields: FormFields) -> dict[str, Any]:
    """The hold that the form names, or all of a kind."""
    chosen = required(fields, "hold")
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
    """An event as CBP relayed it by phone, by e-mail or on paper, with the operator's facts of a new bill."""
    scac, number = split_bill_key(key)
    required(fields, "source")
    ours = {"scac": scac, "bill_of_lading": number, "said_at": now, "by": name_of(request)}
    entered = given(
        fields, "action", "code", "container", "quantity", "channel", "source", "ticket",
        "carrier_scac", "imo_number", "voyage_number", "port_of_unlading", "master_bill", "snps",
    )  # fmt: skip
    return checked(ManualForm, entered | ours)


async def _foresee_by_hand(request: Request, key: str, fields: FormFields) -> Preview:
    backend, now = backend_of(request), now_milliseconds()
    form = _by_hand(request, key, fields, now)
    found: Relayed = await relay(backend.log, backend.rules, form, now, preview=True)
    facts = [f"The status then is {words([found.status])}."] if found.status else []
    facts += [f"On the word of {form.source}, by {form.channel}{f', ticket {form.ticket}' if form.ticket else ''}."]
    warnings = [] if found.is_known else ["This bill is not known yet: check its number."]
    warnings += ["It lifts nothing: no hold by hand stands there."] if found.lifts_nothing else []
    warnings += [f"Somebody can't be notified yet: {words(found.waiting)}."] if found.waiting else []
    return Preview(BY_HAND[form.action].format(key), tuple(facts), found.notices, tuple(warnings))


async def _preview_relay(request: Request, fields: FormFields) -> Preview:
    return await _foresee_by_hand(request, request.path_params["bill"], fields)


async def _relay(request: Request, fields: FormFields) -> str:
    """Enter a hold, its removal or a release that CBP gave by phone, by e-mail or on paper."""
    backend, key, now = backend_of(request), request.path_params["bill"], now_milliseconds()
    await relay(backend.log, backend.rules, _by_hand(request, key, fields, now), now)
    return f"/bills/{key}"


def _new_bill(fields: FormFields) -> str:
    return key_from(required(fields, "bill").split())


async def _preview_place(request: Request, fields: FormFields) -> Preview:
    return await _foresee_by_hand(request, _new_bill(fields), {**fields, "action": PLACE})


async def _place(request: Request, fields: FormFields) -> str:
    """Place a hold that CBP announced on a bill that is not known yet."""
    backend, key, now = backend_of(request), _new_bill(fields), now_milliseconds()
    await relay(backend.log, backend.rules, _by_hand(request, key, {**fields, "action": PLACE}, now), now)
    return f"/bills/{bill_key(*split_bill_key(key))}"


# Many bills of the list


async def _preview_many(request: Request, fields: FormFields) -> Preview:
    backend, deed = backend_of(request), _many(request, fields)
    keys = await _keys(request, fields)
    foreseen = await foresee(backend.index, backend.registry, backend.rules, deed, keys)
    possible = [one for one in foreseen if one.refusal is None]
    return Preview(
        deed.heading(len(possible)),
        (f"{len(possible)} of {len(foreseen)} bills. A bill that changes before you confirm is left alone.",),
        tuple(notice for one in possible for notice in one.notices),
        bills=tuple(sorted(foreseen, key=lambda one: one.refusal is None)),
        fields={name: value for name, value in fields.items() if name in DEED_FIELDS},
        is_by_bill=True,
    )


async def _do_many(request: Request, fields: FormFields) -> Outcomes:
    """Do the deed on the previewed bills."""
    backend, deed = backend_of(request), _many(request, fields)
    done = await do(backend.log, backend.rules, deed, _previewed(fields))
    ground = ", ".join(filter(None, (deed.source, deed.ticket and f"ticket {deed.ticket}")))
    facts = [f"{deed.operator.reason}{f' ({ground})' if ground else ''}."]
    if deed.name == "clear":
        facts.append("A hold that CBP sent counts as ended only when another person confirms it.")
    return Outcomes(deed.heading(sum(one.is_done for one in done)), tuple(facts), done)


DEED_FIELDS: Final = ("deed", "reason", "source", "ticket")


async def _keys(request: Request, fields: FormFields) -> list[str]:
    """The bills meant: those selected, or all of the list in the address."""
    backend = backend_of(request)
    keys: list[str] = []
    if fields.get("scope") == "list":
        async for row in backend.index.every_bill(query_of(request.query_params), backend.registry, now_milliseconds()):
            keys.append(row.bill)
            if len(keys) > MOST_AT_ONCE:
                raise UsageError(f"the list has more than {MOST_AT_ONCE:,} bills: narrow it")
    else:
        keys = [name.removeprefix(SELECTED) for name in fields if name.startswith(SELECTED)]
    if not keys:
        raise UsageError("no bill is selected: tick those that are meant")
    return keys


def _many(request: Request, fields: FormFields) -> BulkDeed:
    operator, wanted = _operator(request, fields), fields.get("deed", "")
    if wanted == "confirm":
        return BulkDeed("confirm", operator)
    kinds: dict[str, HoldKind] = {kind: kind for kind in get_args(HoldKind)}
    return BulkDeed("clear", operator, kinds.get(wanted), **given(fields, "source", "ticket"))


def _previewed(fields: FormFields) -> dict[str, str]:
    """The bills of a preview, each with what was seen. Raises UsageError for anything but a preview's own field."""
    try:
        seen = json.loads(fields[PREVIEWED])
    except ValueError:
        seen = None
    if not isinstance(seen, dict) or not all(isinstance(one, str) for one in seen.values()) or not seen:
        raise UsageError("the preview is missing: begin at the list")
    if len(seen) > MOST_AT_ONCE:
        raise UsageError(f"these are more than {MOST_AT_ONCE:,} bills: narrow the list")
    return seen


DEEDS: Final = (
    Deed("/bills", "many", bill_pages.bills, "/bills", _preview_many, _do_many, is_by_bill=True),
    Deed("/bills/{bill}/confirm", "confirm", pages.bill, "/bills/{bill}", _preview_confirm, _confirm),
    Deed("/bills/{bill}/clear", "clear", pages.bill, "/bills/{bill}", _preview_clear, _clear),
    Deed("/bills/{bill}/by-hand", "by-hand", pages.bill, "/bills/{bill}", _preview_relay, _relay),
    Deed("/holds", "place", pages.new_hold, "/holds", _preview_place, _place),
)
