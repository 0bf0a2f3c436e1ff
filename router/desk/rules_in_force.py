"""The rules in force: their history, and a change of them from the settings, shown before it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from router import topics
from router.clock import now_milliseconds
from router.decide.codes import CodeTable
from router.decide.rules import Rules, settings_of
from router.desk.confirmations import assessed_bills
from router.engine.administration import AuditEntry, audit_output, read_registry, rules_record
from router.errors import UsageError
from router.log.interface import Log
from router.model.registry_values import RulesRecord
from router.task.outputs import registry_output

CODE_TABLE: Final = "disposition_codes"
"""The code table's name among the settings."""


class RuleChange(NamedTuple):
    """A setting, or one row of the code table, with its values as text."""

    name: str
    old: str
    new: str


class Proposal(NamedTuple):
    """A change of the rules, before it is made."""

    rules: Rules
    changes: tuple[RuleChange, ...]
    doubts: dict[str, int]
    """Bills that wait for a confirmation now, by doubt."""


def rule_texts(rules: Rules) -> dict[str, str]:
    """Every setting by its name; of the code table the version."""
    texts = {name: _text(value) for name, value in settings_of(rules).items() if name != "codes"}
    return texts | {CODE_TABLE: f"{rules.codes.version}, {len(rules.codes.codes)} codes"}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_text(one)}" for name, one in sorted(value.items())) or "none"
    if isinstance(value, list):
        return ", ".join(" ".join(one) if isinstance(one, list | tuple) else str(one) for one in value) or "none"
    return str(value)


def release_after_hold_text(rules: Rules) -> str:
    """`release_after_hold = fresh, but previous for 7H`."""
    exceptions = rules.release_after_hold_exceptions
    words = [
        f"{word} for {', '.join(sorted(code for code, one in exceptions.items() if one == word))}"
        for word in sorted({*exceptions.values()} - {rules.release_after_hold})
    ]
    return f"release_after_hold = {', but '.join([rules.release_after_hold, *words])}"


def changes_between(old: Rules, new: Rules) -> tuple[RuleChange, ...]:
    before, after = rule_texts(old), rule_texts(new)
    settings = (name for name in after if name != CODE_TABLE and before[name] != after[name])
    return (*(RuleChange(name, before[name], after[name]) for name in settings), *_code_changes(old.codes, new.codes))


def _code_changes(old: CodeTable, new: CodeTable) -> Iterator[RuleChange]:
    for code in sorted(old.codes.keys() | new.codes.keys()):
        before, after = old.codes.get(code), new.codes.get(code)
        if before == after:
            continue
        if before is None or after is None:
            row = before or after
            text = f"{row.effect}: {row.meaning}" if row is not None else ""
            yield RuleChange(f"{CODE_TABLE}.{code}", text if before else "none", text if after else "none")
            continue
        columns = [name for name in after._fields if getattr(before, name) != getattr(after, name)]
        texts = (", ".join(f"{name} {_column(getattr(row, name))}" for name in columns) for row in (before, after))
        yield RuleChange(f"{CODE_TABLE}.{code}", *texts)


def _column(value: Any) -> str:
    if isinstance(value, frozenset):
        return " ".join(sorted(value)) or "none"
    return {True: "yes", False: "no", None: "none"}.get(value, str(value)) if not isinstance(value, str) else value


def differing(current: Rules, proposed: Rules, given: Collection[str]) -> tuple[RuleChange, ...]:
    """Changes of the given rules, by which a router's settings would decide otherwise than the rules in force. The
    bundled code table is no setting."""
    same_rows = current.codes.extra.splitlines() == proposed.codes.extra.splitlines()
    names = {*given} - ({"codes"} if same_rows else set())
    return tuple(
        one
        for one in changes_between(current, proposed)
        if ("codes" if one.name.startswith(CODE_TABLE) else one.name) in names
    )


async def propose(log: Log, proposed: Rules) -> Proposal:
    """The change from the rules in force to the proposed ones, which follow them. Raises UsageError for a change that
    can't be made."""
    current = proposed.at(proposed.number - 1)
    await _check_usage(log, current, proposed)
    return Proposal(proposed, changes_between(current, proposed), await doubts_now(log, current))


async def _check_usage(log: Log, current: Rules, proposed: Rules) -> None:
    """Raises UsageError for another `usage` once anything was routed: tests and real cargo would share bills."""
    if proposed.usage == current.usage:
        return
    if any((await log.end_offsets(topics.TIMELINE)).values()):
        raise UsageError(
            f"usage is {current.usage}, and events were routed by it, so it stays: tests and real cargo would share "
            f"bills. Set up another installation, with a log of its own, for {proposed.usage}"
        )


async def doubts_now(log: Log, rules: Rules) -> dict[str, int]:
    """Bills by the doubts that keep them from being released. No change of the rules ends one."""
    doubts = {key: bill.status.doubts if bill else () async for key, bill in assessed_bills(log, rules)}
    return dict(Counter(doubt for found in doubts.values() for doubt in found))


async def apply(log: Log, proposed: Rules, *, by: str, reason: str) -> RulesRecord:
    """Put the proposed rules in force. Raises UsageError if others were put in force meanwhile, or for a change that
    can't be made."""
    await _check_usage(log, proposed.at(proposed.number - 1), proposed)
    record = rules_record(proposed, now_milliseconds(), by, reason)
    changes = changes_between(proposed.at(proposed.number - 1), proposed)
    detail = f"{reason}: " + "; ".join(f"{one.name}: {one.old} -> {one.new}" for one in changes)
    deed = AuditEntry(record.at, by, "rules apply", f"rules {record.number}", detail)
    await log.append([registry_output(record), audit_output(deed)], atomic=True)
    found = (await read_registry(log)).rules_records[record.number - 1]
    if found.id != record.id:
        raise UsageError(f"{found.by} has changed the rules at the same time: look at `snp-router rules show` first")
    return record
