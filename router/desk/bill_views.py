"""Reading back: a bill's state and history, who is told of it and why, what could not be read, how far routing is.

What waits: bills that not everyone who should be told could be told about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from router import codec, topics
from router.decide.audience import Audience, Recipient, audience_key, audience_of, grounds_of
from router.decide.bill_state import BillState, LastNotice
from router.decide.cargo_facts import Cargo
from router.decide.identity import notice_id
from router.decide.notices import hold_fields
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.decide.status import Assessment
from router.engine.administration import read_registry
from router.engine.backlog import unrouted
from router.errors import UsageError
from router.log.interface import Log
from router.model.eastern import from_posted, iso
from router.model.identifiers import SCAC_WIDTH, bill_key, split_bill_key
from router.model.inputs import DeadLetter
from router.model.registry_values import Party
from router.plain import plain, plain_value
from router.task.state_records import decode_state


class NotFoundError(UsageError):
    """What was named is not on this log."""


class BillView(NamedTuple):
    """All that is known of a bill now. Made by `read_bill`."""

    key: str
    state: BillState
    known: Cargo
    after: Assessment
    registry: Registry
    audience: Audience
    timeline: tuple[codec.Datum, ...]
    """Entries as in `schemas/timeline-entry.avsc`, in the order decided."""


def key_from(words: list[str]) -> str:
    """The bill's key from `SCACNUMBER` in one word, or a SCAC of two to four letters and the number in two.

    Raises UsageError.
    """
    if len(words) == 1 and len(words[0]) > SCAC_WIDTH:
        return words[0].upper()
    if len(words) == 2 and 2 <= len(words[0].strip()) <= SCAC_WIDTH:
        return bill_key(words[0].strip().upper(), words[1].strip().upper())
    raise UsageError(
        f"{' '.join(words)!r} is no bill: write NVXAHBL000012345 (SCAC of four places and number together), "
        "or a SCAC and the number as two words"
    )


async def read_state(log: Log, rules: Rules, key: str) -> BillState:
    """Raises NotFoundError."""
    value: bytes | None = None
    async for batch in log.read([topics.BILLS], until_end=True, key=key.encode()):
        for record in batch:
            value = record.value
    if value is None:
        scac, number = split_bill_key(key)
        waiting = await unrouted(log)
        hint = (
            f"{waiting} records are fed in but not routed yet: `snp-router run` first"
            if waiting
            else "was it fed in (`snp-router ingest`, `snp-router import filings`)? It may also be forgotten by now"
        )
        raise NotFoundError(f"nothing is known of bill {number} of {scac}: {hint}")
    return decode_state(value)


async def read_bill(log: Log, rules: Rules, key: str) -> BillView:
    """Raises NotFoundError."""
    state = await read_state(log, rules, key)
    registry = await read_registry(log)
    known, after = state.assess(rules)
    audience = audience_of(key, known, is_in_stopped_box(state), registry)
    return BillView(key, state, known, after, registry, audience, await _timeline(log, key))


def is_in_stopped_box(state: BillState) -> bool:
    return any(link.kind == "BOX" for link in state.links.values())


async def _timeline(log: Log, key: str) -> tuple[codec.Datum, ...]:
    entries: list[codec.Datum] = []
    async for batch in log.read([topics.TIMELINE], until_end=True, key=key.encode()):
        entries.extend(codec.decode(record.value)[1] for record in batch if record.value is not None)
    return tuple(entries)


# A bill as JSON


def bill_fields(view: BillView) -> dict[str, Any]:
    """What `bill show --format json` prints; names and moments as in notices."""
    scac, number = split_bill_key(view.key)
    last = last_tellings(view)
    return (
        {"scac": scac, "bill_of_lading": number}
        | status_fields(view.after, view.known)
        | {"flags": list(view.timeline[-1]["flags"]) if view.timeline else []}
        | {name: _listed(value) for name, value in view.known._asdict().items()}
        | {
            "sailing_id": view.audience.sailing.sailing_id if view.audience.sailing else None,
            "splits": splits_of(view.state),
            "told": [told_fields(scac, told, last) for scac, told in view.state.told.items()],
            "waiting": list(view.state.waiting),
            "timeline": [plain("timeline-entry", entry) for entry in view.timeline],
        }
    )


def status_fields(after: Assessment, known: Cargo) -> dict[str, Any]:
    """The status group of a notice; holds that an operator may confirm have an `id`."""
    datum = {
        "status": after.status,
        "deliverable": after.deliverable,
        "do_not_load": after.do_not_load,
        "doubts": list(after.doubts),
        "holds": [hold_fields(hold, known) for hold in after.holds],
        "authorises": list(after.authorises),
        "manifested_quantity": after.manifested_quantity,
        "released_quantity": after.released_quantity,
        "release_posted_at": None if after.release_posted is None else from_posted(after.release_posted),
    }
    fields = plain("hold", datum)
    for hold, shown in zip(after.holds, fields["holds"], strict=True):
        if hold.id is not None:
            shown["id"] = hold.id
    return fields


def told_fields(scac: str, told: LastNotice, last: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """A party that was told, and the last it heard: of `last_tellings`."""
    at, last_id = last.get(scac, (None, None))
    return {
        "recipient": scac,
        "roles": list(told.roles),
        "last_notice": {
            "kind": told.kind,
            "notice_id": last_id,
            "at": at,
            "do_not_load": told.do_not_load,
            "deliverable": told.deliverable,
        },
    }


def last_tellings(view: BillView) -> dict[str, tuple[str, str]]:
    """Of each party that was ever told: when it was last, and the notice's id."""
    return {
        telling["recipient"]: (iso(entry["at"]), notice_id(entry["decision_id"], telling["recipient"]))
        for entry in view.timeline
        for telling in entry["told"]
    }


def splits_of(state: BillState) -> list[str]:
    """Bills that this one was split from, or that were split from it."""
    return [link.other_bill for link in state.links.values() if link.kind == "SPLIT" and link.other_bill]


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


# Who is told, and why


class Explained(NamedTuple):
    """One party that was considered."""

    recipient: str
    told: bool
    roles: tuple[str, ...]
    rules: tuple[str, ...]
    """Every ground there is to tell or not to tell it."""
    reason: str | None
    """Of one who is not told: why."""
    last_notice: dict[str, Any] | None


ONLY_WHILE: Final = {
    "holds": "only while a hold stands, and none does",
    "do-not-load": "only while a do-not-load stands, and none does",
}

WHY_NOT: Final = {
    "PARTY_UNKNOWN": "waiting: it is not a registered party (`snp-router import parties`)",
    "PARTY_NOT_LIVE": "waiting: its status is not live",
    "NO_TOPIC": "waiting: its topic is missing",
    "EXTERNAL": "it is registered as external and never subscribes",
}


def explain(view: BillView) -> list[Explained]:
    """Who was told first, then who was considered and is not, each in the order of the rules."""
    rules: dict[str, list[str]] = {scac: [] for scac in view.state.told}
    in_box = is_in_stopped_box(view.state)
    ties = audience_key(view.key, view.known, in_box)
    for ground in grounds_of(ties, view.audience.sailing, view.registry):
        rules.setdefault(ground.scac, []).append(ground.rule)
    last = last_tellings(view)
    explained = [_explained(view, scac, tuple(dict.fromkeys(its_rules)), last) for scac, its_rules in rules.items()]
    return sorted(explained, key=lambda one: not one.told)


def _explained(view: BillView, scac: str, rules: tuple[str, ...], last: Mapping[str, tuple[str, str]]) -> Explained:
    told, member = view.state.told.get(scac), view.audience.members.get(scac)
    roles = member.roles if member else told.roles if told else ()
    if told is not None:
        return Explained(scac, True, roles, rules, None, told_fields(scac, told, last)["last_notice"])
    return Explained(scac, False, roles, rules, _why_not(member), None)


def _why_not(member: Recipient | None) -> str:
    if member is None:
        return "no ground to tell it"
    if member.why_not is not None:
        return WHY_NOT[member.why_not]
    return ONLY_WHILE.get(member.when, "`snp-router run` has not looked at the bill since the registry changed")


# What could not be read


async def read_dead_letters(log: Log) -> list[DeadLetter]:
    """All of them without their content, which may be large, in the order in which they were taken in."""
    letters: dict[str, DeadLetter] = {}
    async for batch in log.read([topics.DEAD_LETTERS], until_end=True):
        for record in batch:
            letter = codec.decode_value(record.value) if record.value is not None else None
            if isinstance(letter, DeadLetter):
                letters[letter.id] = letter._replace(content=b"")
    return sorted(letters.values(), key=lambda letter: letter.received_at)


async def read_dead_letter(log: Log, letter_id: str) -> DeadLetter:
    """The whole letter whose id begins so. Raises NotFoundError, UsageError where several do."""
    ids = {letter.id for letter in await read_dead_letters(log) if letter.id.startswith(letter_id)}
    if len(ids) > 1:
        raise UsageError(f"{len(ids)} dead letters have ids that begin with {letter_id}: write more of it")
    if not ids:
        raise NotFoundError(f"there is no dead letter {letter_id}: see `snp-router dead-letters list --all`")
    found: DeadLetter | None = None
    async for batch in log.read([topics.DEAD_LETTERS], until_end=True, key=ids.pop().encode()):
        for record in batch:
            letter = codec.decode_value(record.value) if record.value is not None else None
            found = letter if isinstance(letter, DeadLetter) else found
    assert found is not None
    return found


# Parties


async def find_party(log: Log, name: str) -> Party:
    """The party behind a SCAC, which may be an alias. Raises NotFoundError naming those there are."""
    registry = await read_registry(log)
    party = registry.party(name.upper())
    if party is None:
        known = ", ".join(sorted(registry.parties)) or "none: `snp-router import parties FILE`"
        raise NotFoundError(f"{name} is not a registered party. There are: {known}")
    return party


async def read_waiting(log: Log) -> list[dict[str, Any]]:
    """Every bill that is incomplete, as in `schemas/waiting.avsc`: do-not-loads first, then the oldest."""
    waiting: dict[bytes, bytes | None] = {}
    async for batch in log.read([topics.WAITING], until_end=True):
        waiting.update((record.key, record.value) for record in batch)
    rows = [plain_value(value) for value in waiting.values() if value is not None]
    return sorted(rows, key=lambda row: (not row["do_not_load"], row["since"], row["scac"], row["bill_of_lading"]))
