"""What people do by hand, on `snp.audit`: written in one append with the deed itself, so that neither is alone.

What is wrong with parties and sailings as registered: it stops nothing, but somebody would not be told.

What is written to `snp.registry` from outside: parties, sailings, the installation's secret, the first tick.

An import is one atomic append that ends with an epoch note, so no task sees half of it.
"""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from router import codec, topics
from router.clock import now_milliseconds
from router.decide.registry import Registry
from router.errors import FatalLogError
from router.log.interface import AdministeredLog, Finding, Log, Output
from router.model.identifiers import is_valid_imo_number
from router.model.registry_values import Party, RegistryNote, Sailing
from router.task.input_records import apply_registry_record
from router.task.outputs import registry_output
from router.topics import TopicSpec

LONGEST_DETAIL = 2000
"""Characters. A ground is a sentence; what was changed stands in its own topic."""


class AuditEntry(NamedTuple):
    """As in `schemas/audit-entry.avsc`."""

    at: int
    by: str
    action: str
    subject: str
    detail: str | None = None


def audit_output(deed: AuditEntry) -> Output:
    detail = deed.detail[:LONGEST_DETAIL] if deed.detail else None
    return Output(
        topics.AUDIT, deed.subject.encode(), codec.encode("audit-entry", deed._replace(detail=detail)._asdict())
    )


def machine_user() -> str:
    """Who is logged in here, for commands that are not told who asks."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def registry_problems(registry: Registry) -> list[str]:
    """What is registered, checked together. Each says what is wrong, where, and what follows from it."""
    return [
        *registry.damaged.values(),
        *claims(registry.parties.values(), ()),
        *(problem for party in registry.parties.values() for problem in _party_problems(party, registry)),
        *(problem for sailing in registry.sailings.values() for problem in _sailing_problems(sailing, registry)),
    ]


def claims(parties: Iterable[Party], registered: Iterable[Party]) -> list[str]:
    """SCACs that stand for two parties: notices of one would go to the other. A party that is external has given its
    own up, so that another may take it over."""
    owners = {code: party.scac for party in registered for code in _scacs(party)}
    new = list(parties)
    replaced = {party.scac for party in new}
    owners = {code: owner for code, owner in owners.items() if owner not in replaced}
    problems = []
    for party in new:
        for code in _scacs(party):
            owner = owners.setdefault(code, party.scac)
            if owner != party.scac:
                problems.append(f"party {party.scac}: {code} already stands for the party {owner}")
    return problems


def refused_claims(wanted: dict[str, Party], registered: dict[str, Party]) -> dict[str, list[str]]:
    """Of the parties to be registered those whose SCACs stand for another, with what is wrong, by SCAC. One that is
    refused claims nothing, but what it was registered with still counts."""
    owners: dict[str, set[str]] = {}
    for party in {**registered, **wanted}.values():
        for code in _scacs(party):
            owners.setdefault(code, set()).add(party.scac)
    refused: dict[str, list[str]] = {}
    for party in wanted.values():
        taken = [(code, min(others)) for code in _scacs(party) if (others := owners[code] - {party.scac})]
        if taken:
            refused[party.scac] = [
                f"party {party.scac}: {code} already stands for the party {one}" for code, one in taken
            ]
            for code in _scacs(party):
                owners[code].discard(party.scac)
            for code in _scacs(registered[party.scac]) if party.scac in registered else ():
                owners.setdefault(code, set()).add(party.scac)
    return refused


def _scacs(party: Party) -> tuple[str, ...]:
    return party.aliases if party.status == "external" else (party.scac, *party.aliases)


def _party_problems(party: Party, registry: Registry) -> Iterator[str]:
    if party.status != "external" and not (party.contact_phone or party.contact_email):
        yield f"party {party.scac}: no 24-hour contact (contact_phone or contact_email): nobody to call about a hold"
    if party.production_group and not party.production_group.startswith(party.group_prefix):
        yield f"party {party.scac}: production_group {party.production_group} does not begin with {party.group_prefix}"
    if party.topic in registry.missing_topics:
        yield f"party {party.scac}: its topic {party.topic} is missing: what it should be told waits"


def _sailing_problems(sailing: Sailing, registry: Registry) -> Iterator[str]:
    where = f"sailing {sailing.sailing_id}"
    for line in sailing.lines:
        if registry.party(line.scac) is None:
            yield f"{where}: {line.scac} is aboard but not a registered party: what it should be told waits"
        if line.voyage_number is None:
            yield f"{where}: {line.scac} has no voyage number: bills on its manifest will not find the sailing"
    if not any(line.role == "operator" for line in sailing.lines):
        yield f"{where}: no operator"
    if not is_valid_imo_number(sailing.imo_number):
        yield f"{where}: IMO number {sailing.imo_number} fails its check digit"
    if sailing.arrival_date is None:
        yield f"{where}: no arrival_date: it can't be told from a later voyage of the same number"


SECRET_BYTES: Final = 32

_log = structlog.get_logger(__name__)


class Changes(NamedTuple):
    """What an import changed, by the values' ids (SCAC, sailing id)."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


async def wanted_topics(log: AdministeredLog, partitions: int) -> list[TopicSpec]:
    """The router's topics as they are to be. The number of partitions is that of the log, once it has one, and the
    parties' topics are those of the parties registered."""
    found = await log.topics()
    specs = topics.topic_specs(found.get(topics.DISPOSITIONS, partitions))
    if topics.REGISTRY not in found:
        return specs
    parties = (await read_registry(log)).parties.values()
    for party in parties:
        if party.status != "external":
            specs += topics.party_topic_specs(party.scac)
    return specs


async def prepare(log: AdministeredLog, partitions: int) -> None:
    """See to it that the router can work: its topics, and the installation's secret, which is made where it is missing.

    An embedded log gets its topics here; on another, what is wrong with them or with the brokers is all named at once,
    in a FatalLogError. A party's missing topic is no reason not to start: its notices wait. Safe to do again and by
    several at once: of two secrets the first one in the registry counts.
    """
    there = await log.topics()
    specs = topics.topic_specs(there.get(topics.DISPOSITIONS, partitions))
    if log.makes_own_topics:
        await log.create_topics(specs)
    elif not any(spec.name in there for spec in specs):
        raise FatalLogError(
            f"{log.url} has none of the router's topics, or none that we may see: `snp-router topics create` makes them"
        )
    else:
        _refuse_or_warn(log, await log.check(specs))
    registry = await read_registry(log)
    if not registry.secret:
        # A key of its own: of two that are written at once compaction must keep both, since the first one counts.
        note = RegistryNote("installation", secrets.token_hex(8), now_milliseconds(), secrets.token_hex(SECRET_BYTES))
        await log.append([registry_output(note)], atomic=True)


def _refuse_or_warn(log: Log, findings: Sequence[Finding]) -> None:
    grave = [str(finding) for finding in findings if finding.blocking]
    if grave:
        hint = "`snp-router topics check --apply` mends what can be" if any(f.mendable for f in findings) else ""
        raise FatalLogError("\n  ".join([f"{log.url} is not as the router needs it:", *grave, hint]).rstrip())
    for finding in findings:
        _log.warning("log_not_verified", subject=finding.subject, found=finding.found)


async def tell_time(log: Log, at: int | None = None) -> None:
    """A tick at start (now), so that no decision is made without knowing the day."""
    now = now_milliseconds() if at is None else at
    await log.append([registry_output(RegistryNote("tick", "tick", now))], atomic=True)


async def read_registry(log: Log) -> Registry:
    """The registry as it is now."""
    registry = Registry()
    async for batch in log.read([topics.REGISTRY], until_end=True):
        for record in batch:
            apply_registry_record(registry, record)
    for damaged in registry.damaged.values():
        _log.warning("registry_record_passed_over", reason=damaged)
    return registry


async def import_parties(log: AdministeredLog, parties: Sequence[Party], *, action: str = "import parties") -> Changes:
    """Register parties and make their topics; bills that waited for them are caught up by `run`. `action` is what the
    audit calls it."""
    registry = await read_registry(log)
    changes = _compare({party.scac: party for party in parties}, registry.parties)
    await log.create_topics(spec for party in parties for spec in topics.party_topic_specs(party.scac))
    back = [party.topic for party in parties if party.topic in registry.missing_topics]
    touched = {*changes.added, *changes.changed}
    outputs = [registry_output(party) for party in parties if party.scac in touched]
    outputs += [registry_output(RegistryNote("back", topic, now_milliseconds())) for topic in back]
    await _append(log, outputs, action, touched)
    return changes


async def import_sailings(log: Log, sailings: Sequence[Sailing]) -> Changes:
    """Register sailings, each replaced whole; audiences are looked at again by `run`."""
    registry = await read_registry(log)
    changes = _compare({sailing.sailing_id: sailing for sailing in sailings}, registry.sailings)
    touched = {*changes.added, *changes.changed}
    await _append(
        log,
        [registry_output(sailing) for sailing in sailings if sailing.sailing_id in touched],
        "import sailings",
        touched,
    )
    return changes


def _compare(new: Mapping[str, Party | Sailing], old: Mapping[str, Party | Sailing]) -> Changes:
    added = tuple(key for key in new if key not in old)
    changed = tuple(key for key in new if key in old and old[key] != new[key])
    return Changes(added, changed, tuple(key for key in new if key in old and old[key] == new[key]))


async def _append(log: Log, outputs: Iterable[Output], action: str, touched: Collection[str]) -> None:
    written = list(outputs)
    if written:
        now = now_milliseconds()
        epoch = registry_output(RegistryNote("epoch", "epoch", now))
        deed = AuditEntry(now, machine_user(), action, f"{len(touched)} new or changed", ", ".join(sorted(touched)))
        await log.append([*written, epoch, audit_output(deed)], atomic=True)
