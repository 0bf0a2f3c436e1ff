"""Commands about input that was deleted before it was read: `lost-input list` and `lost-input accept`."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.command import ByOption, RowsFormatOption, argument, option, read_log, write_log
from router.cli.printing import TABLE, console, emit_rows, grid, moment, say
from router.clock import now_milliseconds
from router.desk.lost_inputs import Gap, accept, read_gaps
from router.model.eastern import iso

lost_input_app = typer.Typer(
    no_args_is_help=True, help="Show input that was deleted before it was read, or go on without it."
)

NOTHING_LOST = "nothing was deleted before it was read"


@lost_input_app.command("list")
def list_gaps(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """List what was deleted of each input before its task read it. Such a task stands still; the others go on.

    Example:  [bold]snp-router lost-input list[/bold]

    It works without a running router, too."""
    gaps = read_log(context, read_gaps)
    if form is not TABLE:
        emit_rows([one._asdict() | {"since": _time(one.since), "until": _time(one.until)} for one in gaps], form)
        return
    if not gaps:
        say(NOTHING_LOST)
        return
    rows = (
        (one.topic, str(one.task), str(one.begin), str(one.end), _shown(one.since), _shown(one.until)) for one in gaps
    )
    console().print(grid(("input", "task", "from offset", "up to", "since", "until"), rows))
    for one in gaps:
        say(f"go on without it: {accepting(one)}")


def accepting(gap: Gap) -> str:
    """The command that judges exactly this gap."""
    place = f"{gap.topic} --task {gap.task} --from {gap.begin} --to {gap.end}"
    return f'snp-router lost-input accept {place} --by NAME --reason "..."'


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else iso(milliseconds)


def _shown(milliseconds: int | None) -> str:
    return "unknown" if milliseconds is None else moment(iso(milliseconds))


@lost_input_app.command("accept")
def accept_gap(
    context: typer.Context,
    topic: Annotated[str, argument("INPUT", "The input, such as cbp.dispositions.")],
    task: Annotated[int, option("NUMBER", "The task that stands still.")],
    begin: Annotated[int, option("OFFSET", "First offset that is missing, as listed.", "--from")],
    end: Annotated[int, option("OFFSET", "First offset that is left, as listed.", "--to")],
    by: ByOption,
    reason: Annotated[str, option("TEXT", "Why to go on; it is recorded.")],
) -> None:
    """Go on without records that were deleted before they were read. First ask CBP, or feed them in again if you can.

    Example:  [bold]snp-router lost-input accept cbp.dispositions --task 2 --from 100 --to 153 --by "J. Doe"
    --reason "retention was too short; CBP's status follows"[/bold]

    All parties are notified of the time span. Every bill of the task that may lack an event gets the doubt
    HISTORY_INCOMPLETE, until a snapshot or `bill confirm`."""
    judged = write_log(
        context, lambda log: accept(log, topic, task, begin, end, by=by, reason=reason, now=now_milliseconds())
    )
    since = f"from {_shown(judged.since)} to" if judged.since is not None else "up to"
    console().print(f"task {task} goes on from offset {judged.end} of {topic}", soft_wrap=True)
    say(f"its bills may lack an event {since} {_shown(judged.until)}: they are not released until confirmed")
