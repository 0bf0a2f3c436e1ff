"""Commands about the audit and the timeline as evidence: `audit verify` and `audit heads`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from router.cli.command import RowsFormatOption, exit_if, option, read_log
from router.cli.printing import TABLE, console, emit, emit_rows, grid, number_of, say
from router.clock import now_milliseconds
from router.desk.audit_check import Verified, exported, read_exported, read_heads, verify
from router.desk.chain_check import Fault
from router.feeds.input_files import InputFile
from router.model.eastern import iso

MOST_SHOWN: Final = 100
"""Faults and unsealed entries that are listed; JSON has all."""
DIGITS_SHOWN: Final = 16

audit_app = typer.Typer(no_args_is_help=True, help="Verify the audit and the bills' history, export what proves them.")


@audit_app.command("verify")
def verify_audit(
    context: typer.Context,
    heads: Annotated[
        Path | None, option("FILE", "Compare with these heads too, from `audit heads`.", "--heads")
    ] = None,
    form: RowsFormatOption = TABLE,
) -> None:
    """Find entries of the audit and the timeline that were changed, removed or inserted. Exit code 1 if there are any.

    Example:  [bold]snp-router audit verify --heads /mnt/elsewhere/snp-heads.jsonl[/bold]

    Each entry holds a digest of the one before, the router's position that of the last. Whoever can write all of it can
    write it anew: only heads that were kept out of their reach show that. Entries cut by a topic's retention
    are no fault."""
    known = read_exported(b"".join(InputFile(heads).chunks()).splitlines(), str(heads)) if heads else []
    results = read_log(context, lambda log: verify(log, known))
    if form is not TABLE:
        emit_rows([_fields(result) for result in results], form)
    else:
        _print(results, len(known))
    exit_if(any(result.faults for result in results))


@audit_app.command("heads")
def print_heads(context: typer.Context) -> None:
    """Print the heads of the chains, one JSON object a line, to be kept where the router can't write.

    Example:  [bold]snp-router audit heads >> /mnt/elsewhere/snp-heads.jsonl[/bold]"""
    for head in exported(read_log(context, read_heads), now_milliseconds()):
        emit({name: getattr(head, name) for name in head.__struct_fields__})


def _fields(result: Verified) -> dict[str, object]:
    return {
        "topic": result.topic,
        "partition": result.partition,
        "entries": result.entries,
        "first": result.first,
        "head": result.head and result.head.number,
        "digest": result.head and result.head.digest.hex(),
        "heads_compared": result.compared,
        "unsealed": list(result.unsealed),
        "faults": [_fault_fields(fault) for fault in result.faults],
    }


def _fault_fields(fault: Fault) -> dict[str, object]:
    return fault._asdict() | {"at": iso(fault.at) if fault.at is not None else None}


def _print(results: list[Verified], known: int) -> None:
    rows = [
        (
            result.topic,
            str(result.partition),
            f"{result.entries:,}",
            f"{result.first:,}" if result.first is not None else "–",
            f"{result.head.number:,} {result.head.digest.hex()[:DIGITS_SHOWN]}" if result.head is not None else "–",
            Text(str(len(result.faults)), "bold red" if result.faults else ""),
        )
        for result in results
    ]
    console().print(grid(("topic", "partition", "entries", "first kept", "head", "faults"), rows, "Chains"))
    for result in results:
        _list([_sentence(result, fault) for fault in result.faults], "faults")
        if result.unsealed:
            say(
                f"{number_of(len(result.unsealed), 'entry')} of {result.topic} not sealed yet, so nothing proves them; "
                "a running router seals within seconds"
            )
            _list(result.unsealed, "entries")
    if known:
        compared = sum(result.compared for result in results)
        say(
            f"{compared} of {number_of(known, 'exported head')} compared; the others are older than what is kept, or "
            "newer than the head"
        )
    else:
        say("not compared with exported heads: whoever can write the log could have written all of it anew (--heads)")


def _list(lines: list[str] | tuple[str, ...], what: str) -> None:
    for line in lines[:MOST_SHOWN]:
        console().print(f"  {line}", soft_wrap=True)
    if len(lines) > MOST_SHOWN:
        say(f"and {len(lines) - MOST_SHOWN:,} more {what}: see --format json")


def _sentence(result: Verified, fault: Fault) -> str:
    time = iso(fault.at) if fault.at is not None else None
    place = fault.place or f"{result.topic}, partition {result.partition}"
    about = ", ".join(filter(None, (place, time, fault.subject)))
    return f"{fault.kind}: {fault.text} ({about})"
