"""`snp-router paper matches|match`: what bills on paper were filed as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import BaseModel

from router.cli import show
from router.cli.exit_codes import ExitCode
from router.cli.session import Format, FormatOption, Session, console, emit, hint_if_behind, run, say, session_of
from router.clock import now_milliseconds
from router.codec import encode_value
from router.desk.paper import Proposal, match, propose_matches
from router.desk.views import key_from
from router.engine.intake import chunks_of, files_in, name_of
from router.errors import InputError, UsageError
from router.feeds import form_fields
from router.feeds.tables import read_rows
from router.model.inputs import PaperMatch
from router.plain import plain_value

By = Annotated[str, typer.Option(help="Who of us says so.")]


def matches(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """For each bill on paper, what it may have been filed as: same containers, carrier, sailing, pieces; best first.

    Example:  [bold]snp-router paper matches --format json > matches.jsonl[/bold]

    Look through it, take out the lines that are wrong, and give it to `paper match --csv`.
    """
    proposals = run(_propose(session_of(context)))
    if form is Format.JSON:
        for proposal in proposals:
            emit(proposal._asdict() | {"agrees": list(proposal.agrees), "differs": list(proposal.differs)})
    elif proposals:
        console().print(show.table(PROPOSAL_COLUMNS, [proposal._asdict() for proposal in proposals]))
    else:
        say("no bill on paper looks like one that was filed under another number")


async def _propose(session: Session) -> list[Proposal]:
    async with session.reading() as log:
        await hint_if_behind(log)
        return await propose_matches(log, session.settings.decision_rules())


PROPOSAL_COLUMNS: Final = (
    show.Column("on paper", 17, lambda one: one["paper"]),
    show.Column("filed as?", 17, lambda one: one["electronic"]),
    show.Column("the same", None, lambda one: ", ".join(one["agrees"])),
    show.Column("not the same", None, lambda one: ", ".join(one["differs"])),
)


class MatchForm(BaseModel):
    """A row of a table of matches; columns beyond these are for people."""

    paper: form_fields.UpperText
    electronic: form_fields.UpperText


def match_bills(
    context: typer.Context,
    by: By,
    paper: Annotated[
        str | None, typer.Argument(metavar="PAPER", help="The bill on paper, as NVXAHBL000012345.")
    ] = None,
    electronic: Annotated[
        str | None, typer.Argument(metavar="ELECTRONIC", help="The bill it was filed as, in the same way.")
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option("--csv", metavar="FILE", help="Many: columns paper and electronic, or JSON Lines."),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Say that a bill on paper was filed under another number: what was sent is sent again with the new one, once.

    Example:  [bold]snp-router paper match SLTCPAPER0001 SLTC700012345 --by "J. Doe"[/bold]
    """
    if bool(table) == bool(paper and electronic):
        raise UsageError("name the bill on paper and the one it was filed as, or a table of both with --csv")
    pairs = list(_pairs(table)) if table else [(key_from([paper or ""]), key_from([electronic or ""]))]
    done, problems = run(_match(session_of(context), pairs, by))
    if form is Format.JSON:
        for word in done:
            emit(plain_value(encode_value(word)))
    else:
        console().print(f"matched: {len(done)} paper bills")
        if done:
            say("`snp-router run` sends what was sent again, with the electronic number")
    for problem in problems:
        say(f"problem: {problem}")
    if problems:
        raise typer.Exit(ExitCode.PROBLEMS)


def _pairs(files: list[Path]) -> Iterator[tuple[str, str] | InputError]:
    for path in files_in(files):
        for read in read_rows(chunks_of(path), name_of(path), MatchForm):
            if isinstance(read, InputError):
                yield read
            elif isinstance(read[1], InputError):
                yield read[1]
            else:
                yield read[1].paper, read[1].electronic


async def _match(
    session: Session, pairs: list[tuple[str, str]] | list[tuple[str, str] | InputError], by: str
) -> tuple[list[PaperMatch], list[Exception]]:
    done: list[PaperMatch] = []
    problems: list[Exception] = []
    rules, now = session.settings.decision_rules(), now_milliseconds()
    async with session.writing() as log:
        await hint_if_behind(log)
        for pair in pairs:
            if isinstance(pair, InputError):
                problems.append(pair)
                continue
            try:
                done.append(await match(log, rules, *pair, by, now))
            except UsageError as error:
                if len(pairs) == 1:
                    raise
                problems.append(error)
    return done, problems
