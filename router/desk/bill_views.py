"""Views of a bill: its state, its history, its recipients with the ground for each; and the list of waiting bills."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from router import codec, topics
from router.codec.packed import BILL_STATE
from router.decide.audience import ROLES, Audience, Ground, Recipient, audience_key, audience_of, grounds_of
from router.decide.bill_state import AssessedBill, BillState, LastNotice, assess_bill
from router.decide.identity import notice_id
from router.decide.notices import hold_fields
from router.decide.registry import Registry
from router.decide.roster import voyage_of
from router.decide.rules import Rules
from router.decide.sailing_reasons import unfound
from router.decide.standing_holds import CBP_HOLD, StandingHold
from router.decide.status import Assessment
from router.engine.administration import read_registry
from router.engine.backlog import unrouted
from router.errors import UsageError
from router.feeds.form_fields import bill_number_fault
from router.log.interface import Log
from router.model.eastern import from_posted, iso
from router.model.identifiers import SCAC_WIDTH, bill_key, split_bill_key
from router.model.vocabulary import Role
from router.presentation import plain, plain_value
from router.task.outputs import timeline_fields


class NotFoundError(UsageError):
    """The bill, party, outage or dead letter named is not on this log."""


class BillView(NamedTuple):
    """A bill as it is now, with its audience and history. Made by `read_bill`."""

    bill: AssessedBill
    registry: Registry
    audience: Audience
    timeline: tuple[codec.Fields, ...]
    """Entries as of `timeline_fields`, in the order decided."""

    @property
    def key(self) -> str:
        return self.bill.state.key


def view_of(bill: AssessedBill, registry: Registry, timeline: Iterable[codec.Fields]) -> BillView:
    state = bill.state
    audience = audience_of(state.key, bill.cargo, state.is_in_stopped_box, registry, state.kept_sailing_id)
    return BillView(bill, registry, audience, tuple(timeline))


def key_from(words: list[str]) -> str:
    """Return the bill's key from `SCACNUMBER` in one word, or a SCAC of two to four letters and the number in two.

    Raises UsageError for anything else, and for a number that is none of CBP's.
    """
    kind, separator, _ = words[0].partition(":")
    if separator and kind in ("vessel", "outage"):
        raise UsageError(f"{words[0]} is no bill but the history of one {kind}: see `snp-router tail --timeline`")
    if len(words) == 1 and len(words[0]) > SCAC_WIDTH:
        words = [words[0][:SCAC_WIDTH], words[0][SCAC_WIDTH:]]
    if len(words) == 2 and 2 <= len(words[0].strip()) <= SCAC_WIDTH:
        scac, number = words[0].strip().upper(), words[1].strip().upper()
        if fault := bill_number_fault(number, scac):
            raise UsageError(fault)
        return bill_key(scac, number)
    raise UsageError(
        f"{' '.join(words)!r} is not a bill: write one word, NVXAHBL000012345 (SCAC of four letters and number), "
        "or the SCAC and the number as two words"
    )


async def read_state(log: Log, key: str) -> BillState:
    """Read a bill's state as last committed. Raises NotFoundError."""
    value: bytes | None = None
    async for batch in log.read([topics.BILLS], until_end=True, key=key.encode()):
        for record in batch:
            value = record.value
    if value is None:
        scac, number = split_bill_key(key)
        behind = await unrouted(log)
        hint = (
            f"{behind} {'record is' if behind == 1 else 'records are'} not routed yet; start `snp-router run` first"
            if behind
            else "check the number, or feed the bill in (`snp-router ingest`, `snp-router import filings`). A bill is "
            "forgotten after a quiet year, or 90 quiet days if it was over"
        )
        raise NotFoundError(f"bill {number} of {scac} is unknown: {hint}")
    return BILL_STATE.decode(value)


async def read_bill(log: Log, rules: Rules, key: str) -> BillView:
    """Raises NotFoundError."""
    bill = assess_bill(await read_state(log, key), rules)
    timeline: list[codec.Fields] = []
    async for batch in log.read([topics.TIMELINE], until_end=True, key=key.encode()):
        timeline += [timeline_fields(record.value) for record in batch if record.value is not None]
    return view_of(bill, await read_registry(log), timeline)


# A bill as JSON


def bill_fields(view: BillView) -> dict[str, Any]:
    """Fields that `bill show --format json` prints; names and moments are those of notices."""
    scac, number = split_bill_key(view.key)
    sent = _last_sent(view)
    state, cargo = view.bill.state, view.bill.cargo
    splits = [link.other_bill for link in state.links.values() if link.kind == "SPLIT" and link.other_bill]
    declared = {"bill_type": cargo.bill_type, "snps": cargo.snps} | cargo.shipment._asdict()
    return (
        {"scac": scac, "bill_of_lading": number}
        | _status_fields(view.bill)
        | {"flags": list(view.timeline[-1]["flags"]) if view.timeline else []}
        | {name: list(value) if isinstance(value, tuple) else value for name, value in declared.items()}
        | {
            "sailing_id": view.audience.sailing.sailing_id if view.audience.sailing else None,
            "sailing_assumed": view.audience.assumed.sailing_id if view.audience.assumed else None,
            "splits": splits,
            "arrivals": [
                {"port": arrival.port, "container_number": container, "posted_at": iso(from_posted(arrival.posted))}
                for container, arrivals in view.bill.account.places.items()
                for arrival in arrivals
            ],
            "paper_bills": list(state.aliases),
            "notified": [
                {"recipient": party, "roles": list(last.roles), "last_notice": _last_notice(party, last, sent)}
                for party, last in state.last_notices.items()
            ],
            "waiting": list(state.waiting),
            "timeline": [plain("timeline-entry", entry) for entry in view.timeline],
        }
    )


def _status_fields(bill: AssessedBill) -> dict[str, Any]:
    """The status fields of a notice. Holds also have their `events`, by which an operator clears them; those that an
    operator may confirm the `id` of theirs; those whose removal named another scope `removal_unmatched`, the id of that
    removal. `cleared` has the holds that one person cleared and another has to confirm."""
    after = bill.status
    holds = [hold_fields(hold, bill.cargo, hold.seen_bill(None)) for hold in after.holds]
    released = None if after.release_posted is None else from_posted(after.release_posted)
    containers = [container._asdict() for container in after.containers]
    shown_as_notice = {"holds": holds, "containers": containers, "release_posted_at": released}
    fields = plain("hold", after._asdict() | shown_as_notice)
    fields["cleared"] = [_cleared_fields(hold, bill) for hold in after.cleared]
    for hold, shown in zip(after.holds, fields["holds"], strict=True):
        shown["events"] = list(hold.events)
        if hold.id is not None:
            shown["id"] = hold.id
        for removal, codes in bill.account.removals_unmatched.items():
            if hold.kind == CBP_HOLD and hold.code in codes:
                shown["removal_unmatched"] = removal
    return fields


def _cleared_fields(hold: StandingHold, bill: AssessedBill) -> dict[str, Any]:
    deeds = [bill.state.deeds.cleared.get((event, hold.code, hold.container_number)) for event in hold.events]
    users = sorted({by.user for by in deeds if by is not None and not by.confirmed})
    shown = hold_fields(hold, bill.cargo)
    return {name: shown[name] for name in ("code", "container_number")} | {"users": users}


def _last_notice(party: str, last: LastNotice, sent: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    at, last_id = sent.get(party, (None, None))
    content = {"do_not_load": last.do_not_load, "deliverable": last.deliverable}
    return {"kind": last.kind, "notice_id": last_id, "at": at} | content


def _last_sent(view: BillView) -> dict[str, tuple[str, str]]:
    """Time and id of the last notice to each recipient."""
    return {
        one["recipient"]: (iso(entry["at"]), notice_id(entry["decision_id"], one["recipient"]))
        for entry in view.timeline
        for one in entry["notified"]
    }


# Recipients and grounds


class ExplainedGround(NamedTuple):
    """One ground on which a party is a recipient, or on which it was refused; screens print one a line."""

    role: Role | None
    """None where the rule refuses the party."""
    rule: str
    scope: str
    """`all` events, only while `holds` or a `do-not-load` stand, or `never`."""
    reason: str | None
    """Why no notice follows from this ground; None where one does."""


class ExplainedParty(NamedTuple):
    """A party that was considered, with its grounds in the order of the rules; at least one."""

    recipient: str
    notified: bool
    """True if a notice of this bill was sent to it."""
    grounds: tuple[ExplainedGround, ...]
    last_notice: dict[str, Any] | None

    @property
    def reason(self) -> str | None:
        """Reason of the widest ground; None for a party that was notified."""
        return None if self.notified else min(self.grounds, key=lambda ground: WIDEST.index(ground.scope)).reason

    @property
    def roles(self) -> tuple[Role, ...]:
        """Roles of all grounds, for pages with one row a party."""
        roles = {ground.role for ground in self.grounds}
        return tuple(role for role in ROLES if role in roles)

    @property
    def rules(self) -> tuple[str, ...]:
        """Rules of all grounds, for pages with one row a party."""
        return tuple(dict.fromkeys(ground.rule for ground in self.grounds))


WIDEST: Final = ("all", "holds", "do-not-load", "never")

GROUND_GONE: Final = "notified earlier, on a ground that is gone"

UNTIL_ITS_END: Final = "notified of a stop, on a ground that is gone: until its end"

WHY_UNREACHED: Final = {
    "PARTY_UNKNOWN": "waits: the party is not registered (`snp-router import parties`)",
    "PARTY_NOT_LIVE": "waits: the party is not live (`snp-router party live`)",
    "NO_TOPIC": "waits: the party's topic is missing (`snp-router topics check`)",
    "EXTERNAL": "the party is external and gets no notices",
}


def explain(view: BillView) -> list[ExplainedParty]:
    """Explain who receives the bill's notices: notified parties first, then the others, in the order of the rules."""
    grounds: dict[str, list[Ground]] = {party: [] for party in view.bill.state.last_notices}
    key = audience_key(view.key, view.bill.cargo, view.bill.state.is_in_stopped_box)
    for ground in (
        *grounds_of(key, view.audience.sailing, view.registry, view.audience.assumed),
        *_grounds_unfound(view),
    ):
        grounds.setdefault(ground.party, []).append(ground)
    sent = _last_sent(view)
    explained = [_explained(view, party, found, sent) for party, found in grounds.items()]
    return sorted(explained, key=lambda one: not one.notified)


def explain_party(view: BillView, party: str) -> ExplainedParty:
    """Explain one party, also one that nothing connects with the bill: then each rule with what it would take."""
    party_id = view.registry.snp_party_id(party)
    for one in explain(view):
        if one.recipient == party_id:
            return one
    return ExplainedParty(party_id, False, tuple(_grounds_missing(view, party_id)), None)


def missed_decisions(view: BillView, party: str) -> list[codec.Fields]:
    """Timeline entries later than the party's last notice of which somebody else was notified, in the order decided."""
    missed: list[codec.Fields] = []
    for entry in view.timeline:
        notified = {one["recipient"] for one in entry["notified"]}
        if party in notified:
            missed.clear()
        elif notified:
            missed.append(entry)
    return missed


def _grounds_missing(view: BillView, party: str) -> Iterator[ExplainedGround]:
    """The rules in their order, each with the reason why it does not make the party a recipient."""

    def missing(rule: str, reason: str) -> ExplainedGround:
        return ExplainedGround(None, rule, "never", reason)

    registry, cargo = view.registry, view.bill.cargo
    if party not in registry.parties:
        yield missing("any: only a registered party has a topic", f"{party} is not registered (`import parties`)")
    elif (status := registry.parties[party].status) != "live":
        yield missing("any: only a live party is notified", f"{party} is {status} (`party live {party}`)")
    yield missing("1: issuer of the bill", f"that is {split_bill_key(view.key)[0]}")
    snps = ", ".join(cargo.snps)
    yield missing("2: second notify party on the bill", f"that is {snps}" if snps else "none is known")
    master, carrier = cargo.shipment.master_bill, cargo.shipment.carrier_scac
    of_master = f"that is {split_bill_key(master)[0]}" if master else "no master bill is known"
    yield missing("3: issued the master bill", of_master)
    yield missing("3: the bill is on its manifest", f"that is {carrier}" if carrier else "no carrier is known")
    yield missing("4: aboard the bill's sailing", _why_not_aboard(view, party))
    yield missing("5: its bill is in a stopped container", "that concerns its own bills: explain one of those instead")


def _why_not_aboard(view: BillView, party: str) -> str:
    sailing = view.audience.sailing or view.audience.assumed
    if sailing is None:
        return "no sailing is found"
    name = view.registry.party_id
    others = [
        one.sailing_id
        for one in view.registry.roster.of_vessel(sailing.imo_number)
        if one != sailing and party in {name(line.scac) for line in one.lines}
    ]
    also = f"; it is aboard {', '.join(others)} of the same vessel" if others else ""
    return f"no line of {sailing.sailing_id}, which has {', '.join(line.scac for line in sailing.lines)}{also}"


def sailing_reasons(view: BillView) -> list[str]:
    """Reasons why the bill's identifiers find no sailing positively, one a line; none if they do."""
    if view.audience.found is not None:
        return []
    general, sailings = unfound(voyage_of(view.bill.cargo.shipment), view.registry)
    return [*general, *(f"{sailing.sailing_id}: {reason}" for sailing, reasons in sailings for reason in reasons)]


def _grounds_unfound(view: BillView) -> Iterator[Ground]:
    """Refusals of the lines aboard the vessel's sailings that are neither found nor assumed."""
    if view.audience.found is not None:
        return
    for sailing, reasons in unfound(voyage_of(view.bill.cargo.shipment), view.registry)[1]:
        if sailing not in (view.audience.sailing, view.audience.assumed):
            for line in sailing.lines:
                rule = f"4: {line.role}, aboard {sailing.sailing_id}, which is not the bill's: {'; '.join(reasons)}"
                yield Ground(view.registry.party_id(line.scac), None, rule, "never")


def _explained(
    view: BillView, party: str, grounds: list[Ground], sent: Mapping[str, tuple[str, str]]
) -> ExplainedParty:
    last, recipient = view.bill.state.last_notices.get(party), view.audience.recipients.get(party)
    if last is not None and not grounds:
        rule = UNTIL_ITS_END if view.bill.status.stopped or last.stopped else GROUND_GONE
        gone = tuple(ExplainedGround(role, rule, "never", None) for role in last.roles or (None,))
        return ExplainedParty(party, True, gone, _last_notice(party, last, sent))
    found = []
    for ground in dict.fromkeys(grounds):
        reason = _refusal(ground, recipient, view.bill.status, last is not None)
        found.append(ExplainedGround(ground.role, ground.rule, ground.scope, reason))
    return ExplainedParty(party, last is not None, tuple(found), _last_notice(party, last, sent) if last else None)


def _refusal(ground: Ground, recipient: Recipient | None, after: Assessment, notified: bool) -> str | None:
    if ground.scope == "never":
        return "excluded by this rule"
    if recipient is not None and recipient.unreachable is not None:
        return WHY_UNREACHED[recipient.unreachable]
    if notified:
        return None
    if ground.scope == "holds" and not after.stopped:
        return "only while a hold stands, and none does"
    if ground.scope == "do-not-load" and not after.do_not_load:
        return "only while a do-not-load stands, and none does"
    return "not decided since the registry changed; start `snp-router run`"


# Waiting bills


async def read_waiting(log: Log, unread: list[str] | None = None) -> list[dict[str, Any]]:
    """Read the incomplete bills, as in `schemas/waiting.avsc`: do-not-loads first, then the oldest. `unread` as in
    `Log.read`."""
    waiting: dict[bytes, bytes | None] = {}
    async for batch in log.read([topics.WAITING], until_end=True, unread=unread):
        waiting.update((record.key, record.value) for record in batch)
    rows = [plain_value(value) for value in waiting.values() if value is not None]
    return sorted(rows, key=lambda row: (not row["do_not_load"], row["since"], row["scac"], row["bill_of_lading"]))


def waiting_by_reason(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of `read_waiting` by what is missing, in their order; a bill that lacks two things is in both groups.
    Groups with the most do-not-loads come first, then those with the most bills."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        for reason in row["reasons"]:
            groups.setdefault(reason, []).append(row)

    def weight(reason: str) -> tuple[int, int, str]:
        group = groups[reason]
        return -sum(row["do_not_load"] for row in group), -len(group), reason

    return {reason: groups[reason] for reason in sorted(groups, key=weight)}
