"""What CBP says by phone, by e-mail or on paper: checked, and what it will do shown before it is done."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from router.decide.bill import decide
from router.decide.codes import Effect
from router.decide.consequences import Decision
from router.decide.registry import Context
from router.decide.rules import Rules
from router.desk.views import NotFoundError, read_state
from router.engine.administration import AuditEntry, audit_output, read_registry
from router.engine.intake import addressed
from router.errors import UsageError
from router.feeds.forms import ManualForm, check_moment, manual_event
from router.log.interface import Log
from router.model.identifiers import bill_key
from router.model.inputs import LIFT, MANUAL_RELEASE_CODE, PLACE, RELEASE, ManualEvent

ID_BYTES = 8
EFFECTS = {
    PLACE: (frozenset({Effect.PLACE, Effect.BLOCK}), "places no hold"),
    LIFT: (frozenset({Effect.PLACE, Effect.BLOCK, Effect.LIFT}), "is no hold and lifts none"),
    RELEASE: (frozenset({Effect.RELEASE}), "is no release"),
}
"""What a code has to do to go with an action. A lift may name the hold or its removal."""
DEEDS = {PLACE: "hold place", LIFT: "hold lift", RELEASE: "release"}


class Told(NamedTuple):
    """One party as it will be told, if nothing comes in between."""

    recipient: str
    kind: str
    """`hold`, `change` or `release`."""


class Relayed(NamedTuple):
    """What was entered, and what will come of it as of now."""

    event: ManualEvent
    bill: str
    status: str
    told: tuple[Told, ...]
    known: bool
    """Whether anything was known of the bill before."""


async def relay(log: Log, rules: Rules, form: ManualForm, now: int) -> Relayed:
    """Enter what was said; `run` tells the parties. Raises UsageError for what can't be meant."""
    check_moment("said-at", form.said_at, now)
    _check_code(form, rules)
    event = manual_event(form, secrets.token_hex(ID_BYTES), now)
    relayed = await _foreseen(log, rules, event)
    deed = AuditEntry(now, form.by, DEEDS[form.action], relayed.bill, _words(form))
    await log.append_atomic([*addressed(event, lambda _: False), audit_output(deed)])
    return relayed


def _words(form: ManualForm) -> str:
    """What was said, for the audit."""
    what = " on ".join(filter(None, (form.code, form.container)))
    return ", ".join(filter(None, (what, f"by {form.channel}", form.source, form.ticket and f"ticket {form.ticket}")))


def _check_code(form: ManualForm, rules: Rules) -> None:
    if form.code is None:
        return
    code = rules.codes.get(form.code)
    if code is None:
        raise UsageError(f"code {form.code} is not in the code table: ask again, or add it (rules.disposition_codes)")
    fitting, fault = EFFECTS[form.action]
    if code.effect not in fitting:
        raise UsageError(f"code {form.code} ({code.meaning}) {fault}")
    if form.action == RELEASE and form.container is not None and form.quantity is None:
        raise UsageError(f"a release of one container needs its quantity; {MANUAL_RELEASE_CODE} alone is of the bill")


async def _foreseen(log: Log, rules: Rules, event: ManualEvent) -> Relayed:
    key = bill_key(event.scac, event.bill_of_lading)
    try:
        state = await read_state(log, rules, key)
    except NotFoundError:
        state = None
    decision: Decision = decide(state, event, Context(await read_registry(log), rules))
    told = tuple(Told(notice.member.scac, notice.kind) for notice in decision.notices)
    return Relayed(event, key, decision.after.status if decision.after else "", told, state is not None)
