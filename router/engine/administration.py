"""Writes of people and commands to the registry and the audit, outside the loop.

An import is one atomic append that ends with an epoch note, so no task sees half of it. Each manual action is appended
together with its audit entry, so neither is there without the other.
"""

from __future__ import annotations

import os
import pwd
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

import structlog

from router import codec, topics
from router.clock import now_milliseconds
from router.decide.registry import Registry
from router.decide.rules import Rules, settings_of
from router.decide.sailing_reasons import roster_problems
from router.errors import FatalLogError
from router.log.interface import AdministeredLog, Finding, Log, Output
from router.model.identifiers import is_valid_imo_number
from router.model.party_ids import named_party
from router.model.registry_values import Party, PortProcedure, RegistryNote, RegistryValue, RulesRecord, Sailing
from router.task.input_records import apply_registry_record
from router.task.outputs import registry_output
from router.topics import TopicSpec

LONGEST_DETAIL: Final = 2000
"""Characters. A reason is a sentence; the change itself is in its own topic."""
SECRET_BYTES: Final = 32
FIRST_RULES: Final = "the settings of the first router"

_log = structlog.get_logger(__name__)


class AuditEntry(NamedTuple):
    """The record of `schemas/audit-entry.avsc`."""

    at: int
    by: str
    action: str
    subject: str
    detail: str | None = None
    os_user: str | None = None
    """User of the operating system that ran the process; set by `audit_output`."""
    address: str | None = None
    """Address of the browser, for what was done on the console; set by `audit_output`."""


_address: Final[ContextVar[str | None]] = ContextVar("address", default=None)


@contextmanager
def acting_from(address: str) -> Iterator[None]:
    """Name the address in audit entries made in this block."""
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)


def audit_output(entry: AuditEntry) -> Output:
    """The entry as a record, with the user of this process beside whatever name was given."""
    detail = (entry.detail or "")[:LONGEST_DETAIL] or None
    entry = entry._replace(detail=detail, os_user=os_user(), address=_address.get())
    return Output(topics.AUDIT, entry.subject.encode(), codec.encode("audit-entry", entry._asdict()))


def os_user() -> str:
    """The user of the operating system that runs this process. No variable of the environment changes it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no name
        return str(os.getuid())


def os_account() -> str:
    """The account that runs this process, as deeds name it: `os:anna`."""
    return f"os:{os_user()}"


async def wanted_topics(log: AdministeredLog, partitions: int) -> list[TopicSpec]:
    """All topics that the router and its parties need. A log with topics keeps its number of partitions."""
    found = await log.topics()
    specs = topics.topic_specs(found.get(topics.DISPOSITIONS, partitions))
    if topics.REGISTRY in found:
        for party in (await read_registry(log)).parties.values():
            if party.status != "external":
                specs += topics.party_topic_specs(party.id)
    return specs


async def prepare(log: AdministeredLog, partitions: int) -> None:
    """Make the log ready for a router: its topics, and the installation's secret if there is none.

    An embedded log gets its topics here. On any other, all that is wrong with its topics and brokers is raised in one
    FatalLogError. A missing party topic is not wrong: its notices wait. Safe to repeat, and for several at once.
    """
    found = await log.topics()
    specs = topics.topic_specs(found.get(topics.DISPOSITIONS, partitions))
    if log.makes_own_topics:
        await log.create_topics(specs)
    elif not any(spec.name in found for spec in specs):
        raise FatalLogError(f"{log.url} shows us no topic of the router's: make them with `snp-router topics create`")
    else:
        _refuse_or_warn(log, await log.check(specs))
    registry = await read_registry(log)
    if not registry.secret:
        # A key of its own: of two that are written at once compaction must keep both, since the first one counts.
        note = RegistryNote("installation", secrets.token_hex(8), now_milliseconds(), secrets.token_hex(SECRET_BYTES))
        await log.append([registry_output(note)], atomic=True)


def _refuse_or_warn(log: AdministeredLog, findings: Sequence[Finding]) -> None:
    blocking = [str(finding) for finding in findings if finding.blocking]
    if blocking:
        mendable = any(finding.mendable for finding in findings)
        hint = ["`snp-router topics check --apply` repairs what it can"] if mendable else []
        raise FatalLogError("\n  ".join([f"{log.url} is not as the router needs it:", *blocking, *hint]))
    for finding in findings:
        _log.warning("log_not_verified", subject=finding.subject, found=finding.found)


async def write_first_rules(log: Log, rules: Rules, at: int) -> None:
    """Write the first rules of the registry, if it has none. Safe for several at once: the first record counts."""
    if (await read_registry(log)).rules is None:
        await log.append([registry_output(rules_record(rules, at, os_user(), FIRST_RULES))], atomic=True)


def rules_record(rules: Rules, at: int, by: str, reason: str) -> RulesRecord:
    return RulesRecord(rules.number, secrets.token_hex(8), settings_of(rules), at, by, reason[:LONGEST_DETAIL])


async def read_rules(log: Log, first: Rules) -> Rules:
    """The rules in force; `first` if no router has run yet."""
    return (await read_registry(log)).rules or first


async def append_tick(log: Log, at: int | None = None) -> None:
    """Append a tick (default: now) before routing starts: decisions take the day from it."""
    now = now_milliseconds() if at is None else at
    await log.append([registry_output(RegistryNote("tick", "tick", now))], atomic=True)


async def read_registry(log: Log) -> Registry:
    """The registry as of now."""
    registry = Registry()
    async for batch in log.read([topics.REGISTRY], until_end=True):
        for record in batch:
            apply_registry_record(registry, record)
    for damaged in registry.damaged.values():
        _log.warning("registry_record_passed_over", reason=damaged)
    return registry


class Changes(NamedTuple):
    """The outcome of an import, by the values' ids."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]

    @property
    def touched(self) -> set[str]:
        return {*self.added, *self.changed}


async def import_parties(
    log: AdministeredLog, parties: Sequence[Party], *, action: str = "import parties", by: str | None = None
) -> Changes:
    """Register parties and make their topics. `run` then catches up the bills that waited for them. `action` is the
    audit's name for it, `by` the person; the user of this process if None."""
    registry = await read_registry(log)
    changes = _compare({party.id: party for party in parties}, registry.parties)
    await log.create_topics(spec for party in parties for spec in topics.party_topic_specs(party.id))
    outputs = [registry_output(party) for party in parties if party.id in changes.touched]
    back = [party.topic for party in parties if party.topic in registry.missing_topics]
    outputs += [registry_output(RegistryNote("back", topic, now_milliseconds())) for topic in back]
    await _append(log, outputs, action, changes.touched, by)
    return changes


async def import_sailings(log: Log, sailings: Sequence[Sailing]) -> Changes:
    """Register sailings, each replaced whole. `run` then works out the audiences again."""
    registry = await read_registry(log)
    changes = _compare({sailing.sailing_id: sailing for sailing in sailings}, registry.roster.records)
    outputs = [registry_output(sailing) for sailing in sailings if sailing.sailing_id in changes.touched]
    await _append(log, outputs, "import sailings", changes.touched)
    return changes


async def import_procedures(log: Log, procedures: Sequence[PortProcedure]) -> Changes:
    """Register ports' procedures. `run` announces the outages at these ports again."""
    changes = _compare({one.port: one for one in procedures}, (await read_registry(log)).procedures)
    outputs = [registry_output(one) for one in procedures if one.port in changes.touched]
    if outputs:
        subject, ports = f"{len(outputs)} new or changed", ", ".join(sorted(changes.touched))
        entry = AuditEntry(now_milliseconds(), os_user(), "import procedures", subject, ports)
        await log.append([*outputs, audit_output(entry)], atomic=True)
    return changes


def _compare(new: Mapping[str, RegistryValue], old: Mapping[str, RegistryValue]) -> Changes:
    return Changes(
        tuple(key for key in new if key not in old),
        tuple(key for key in new if key in old and old[key] != new[key]),
        tuple(key for key in new if key in old and old[key] == new[key]),
    )


async def _append(
    log: Log, outputs: Sequence[Output], action: str, touched: Collection[str], by: str | None = None
) -> None:
    if outputs:
        now = now_milliseconds()
        epoch = registry_output(RegistryNote("epoch", "epoch", now))
        entry = AuditEntry(now, by or os_user(), action, f"{len(touched)} new or changed", ", ".join(sorted(touched)))
        await log.append([*outputs, epoch, audit_output(entry)], atomic=True)


def registry_problems(registry: Registry) -> list[str]:
    """Contradictions and gaps in the registry, each with its place and its effect. None of them stops the router."""
    conflicts = id_conflicts(dict(reversed(registry.parties.items())), {})  # the later party is the one named
    return [
        *registry.damaged.values(),
        *(problem for of_party in conflicts.values() for problem in of_party),
        *(problem for party in registry.parties.values() for problem in _party_problems(party, registry)),
        *(
            problem
            for sailing in registry.roster.sailings().values()
            for problem in _sailing_problems(sailing, registry)
        ),
        *roster_problems(registry),
    ]


def id_conflicts(wanted: Mapping[str, Party], registered: Mapping[str, Party]) -> dict[str, list[str]]:
    """The parties that can't be registered, with their problems: an id of two parties would send notices of one to the
    other. A refused party claims only the ids of its registered record. Both arguments are by id."""
    owners: dict[str, set[str]] = {}
    for party in {**registered, **wanted}.values():
        for code in _ids(party):
            owners.setdefault(code, set()).add(party.id)
    conflicts: dict[str, list[str]] = {}
    for party in wanted.values():
        problems = [
            f"party {party.id}: {code} already stands for the party {min(others)}"
            for code in _ids(party)
            if (others := owners[code] - {party.id})
        ]
        before = registered.get(party.id)
        if before is not None and before.status != "external" and before.id_type != party.id_type:
            problems.append(
                f"party {party.id}: this id is registered as a {before.id_type}, and is unique across types"
            )
        if problems:
            conflicts[party.id] = problems
            for code in _ids(party):
                owners[code].discard(party.id)
            for code in _ids(registered[party.id]) if party.id in registered else ():
                owners.setdefault(code, set()).add(party.id)
    return conflicts


def _ids(party: Party) -> tuple[str, ...]:
    """Its ids without their types. An external party has given up its own, so that another may take it over."""
    aliases = tuple(named_party(alias).id for alias in party.aliases)
    return aliases if party.status == "external" else (party.id, *aliases)


def _party_problems(party: Party, registry: Registry) -> Iterator[str]:
    if party.status != "external" and not (party.contact_phone or party.contact_email):
        yield f"party {party.id}: no 24-hour contact (contact_phone or contact_email): nobody to call about a hold"
    if party.topic in registry.missing_topics:
        yield f"party {party.id}: its topic {party.topic} is missing, so its notices wait"


def _sailing_problems(sailing: Sailing, registry: Registry) -> Iterator[str]:
    where = f"sailing {sailing.sailing_id}"
    for line in sailing.lines:
        if registry.party_id(line.scac) not in registry.parties:
            yield f"{where}: {line.scac} is aboard but not a registered party, so its notices wait"
        if line.voyage_number is None:
            yield f"{where}: {line.scac} has no voyage number: bills on its manifest will not find the sailing"
    if not any(line.role == "operator" for line in sailing.lines):
        yield f"{where}: no operator"
    if not is_valid_imo_number(sailing.imo_number):
        yield f"{where}: IMO number {sailing.imo_number} fails its check digit"
    if sailing.arrival_date is None:
        yield f"{where}: no arrival_date: a later voyage with the same number looks the same"
