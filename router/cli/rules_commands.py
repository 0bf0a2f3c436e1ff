"""Commands about the rules that decide over cargo: `rules show` and `rules apply`."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer
from rich.text import Text

from router.cli.command import ByOption, RowsFormatOption, flag, option, read_log, settings_of
from router.cli.printing import CSV, JSON, TABLE, console, emit, emit_rows, grid, moment, say
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.desk.rules_in_force import Proposal, apply, propose, rule_texts
from router.engine.administration import read_registry
from router.errors import UsageError
from router.log.interface import AdministeredLog
from router.model.eastern import iso
from router.model.registry_values import RulesRecord

NONE_YET: Final = "no rules are in force yet: the first `snp-router run` takes those of the settings"

rules_app = typer.Typer(no_args_is_help=True, help="Show the rules that decide over cargo, or change them.")


@rules_app.command("show")
def show_rules(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """Show the rules in force, and the history of their changes (not in CSV).

    Example:  [bold]snp-router rules show[/bold]

    Every router of the installation decides by them. Each event is judged by the rules under which it came."""
    registry = read_log(context, read_registry)
    if registry.rules is None:
        say(NONE_YET)
        return
    texts = rule_texts(registry.rules)
    if form is JSON:
        history = [_history_fields(record) for record in registry.rules_records]
        emit({"number": registry.rules.number, "rules": texts, "history": history})
        return
    if form is CSV:
        emit_rows([{"rule": name, "in_force": text} for name, text in texts.items()], form)
        return
    console().print(grid(("rule", "in force"), texts.items(), f"Rules {registry.rules.number}"))
    rows = (
        (str(record.number), moment(iso(record.at)), record.by, record.reason)
        for record in reversed(registry.rules_records)
    )
    console().print(Text())
    console().print(grid(("number", "since", "by", "reason"), rows, "History"))


def _history_fields(record: RulesRecord) -> dict[str, object]:
    return {"number": record.number, "at": iso(record.at), "by": record.by, "reason": record.reason}


@rules_app.command("apply")
def apply_rules(
    context: typer.Context,
    by: ByOption,
    reason: Annotated[str, option("TEXT", "Why; it is recorded.")],
    yes: Annotated[bool, flag("--yes", "Apply without asking.")] = False,
) -> None:
    """Put the rules of the settings in force, after showing what changes. Rules that the settings lack stay.

    Example:  [bold]snp-router rules apply --by "J. Doe" --reason "Exams need no new release here"[/bold]

    They are for later events. No bill changes by itself: `snp-router bill confirm` ends the doubts that there are."""

    async def work(log: AdministeredLog) -> Proposal:
        return await propose(log, settings_of(context).rules_after(_in_force(await read_registry(log))))

    proposal = read_log(context, work)
    if not proposal.changes:
        console().print(f"rules {proposal.rules.number - 1} are in force and say the same: nothing changes")
        return
    _show(proposal)
    if not yes:
        _ask()
    record = read_log(context, lambda log: apply(log, proposal.rules, by=by, reason=reason))
    console().print(f"rules {record.number} are in force: running routers follow them at once")


def _in_force(registry: Registry) -> Rules:
    if registry.rules is None:
        raise UsageError(NONE_YET)
    return registry.rules


def _show(proposal: Proposal) -> None:
    out = console()
    for one in proposal.changes:
        out.print(f"{one.name}: {one.old} -> {one.new}", soft_wrap=True, markup=False)
    doubts = ", ".join(f"{doubt} {count:,}" for doubt, count in sorted(proposal.doubts.items())) or "none"
    out.print(f"bills in doubt now, which stay so until a new release or `bill confirm`: {doubts}", soft_wrap=True)


def _ask() -> None:
    """Raises UsageError unless a person at the terminal agrees."""
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here: give --yes to apply them")
    if not typer.confirm("Apply?", err=True):
        raise UsageError("nothing was changed")
