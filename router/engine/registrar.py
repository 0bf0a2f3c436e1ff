"""What is written to `snp.registry` from outside: parties, sailings, the installation's secret, the first tick.

An import is one atomic append that ends with an epoch note, so no task sees half of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from router import topics
from router.clock import now_milliseconds
from router.decide.recipients.registry import Registry
from router.decide.task.outputs import registry_output
from router.engine.audit import Deed, deed_output, machine_user
from router.errors import FatalLogError
from router.log.interface import Finding, Log, Output
from router.model.registry import Party, RegistryNote, Sailing
from router.topics import TopicSpec

SECRET_BYTES: Final = 32

_log = structlog.get_logger(__name__)


class Changes(NamedTuple):
    """What an import changed, by the values' ids (SCAC, sailing id)."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


async def wanted_topics(log: Log, partitions: int) -> list[TopicSpec]:
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


async def prepare(log: Log, partitions: int) -> None:
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
        await log.append([registry_output(note)])


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
    await log.append([registry_output(RegistryNote("tick", "tick", now))])


async def read_registry(log: Log) -> Registry:
    """The registry as it is now."""
    registry = Registry()
    async for batch in log.read([topics.REGISTRY], until_end=True):
        for record in batch:
            registry.take(record)
    for damaged in registry.damaged.values():
        _log.warning("registry_record_passed_over", reason=damaged)
    return registry


async def import_parties(log: Log, parties: Sequence[Party], *, action: str = "import parties") -> Changes:
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
        deed = Deed(now, machine_user(), action, f"{len(touched)} new or changed", ", ".join(sorted(touched)))
        await log.append_atomic([*written, epoch, deed_output(deed)])
