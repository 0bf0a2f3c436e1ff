"""`snp-router check`: settings, parties and sailings, and what is wrong with them and where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from router.cli.exit_codes import ExitCode
from router.cli.session import Format, FormatOption, Session, console, emit, run, say, session_of
from router.decide.registry import Registry
from router.desk.views import NotFoundError
from router.engine.administration import read_registry, registry_problems, scac_conflicts
from router.engine.intake import chunks_of, files_in, name_of
from router.feeds.tables import TableResult, read_parties, read_sailings
from router.model.registry_values import Party, Sailing
from router.settings import unknown_variables

Value = TypeVar("Value", Party, Sailing)


def check(
    context: typer.Context,
    parties: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Check this file of parties too.")] = None,
    sailings: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Check this file of sailings too.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Check the settings and what is registered, together with files that are not imported yet.

    Example:  [bold]snp-router check --parties parties.csv --sailings sailings.csv[/bold]

    Nothing is changed. Ends with 1 if there is any problem, with 2 if the settings can't be used.
    """
    session = session_of(context)
    codes = session.settings.decision_rules().codes
    problems = [f"environment: {name} sets nothing, there is no such setting" for name in unknown_variables()]
    registry = run(_registered(session))
    new_parties = list(_values(parties, read_parties, problems))
    conflicts = scac_conflicts({party.scac: party for party in new_parties}, registry.parties)
    problems += [problem for of_party in conflicts.values() for problem in of_party]
    for party in new_parties:
        registry.apply(party)
    for sailing in _values(sailings, read_sailings, problems):
        registry.apply(sailing)
    problems += [problem for problem in registry_problems(registry) if problem not in problems]
    _report(problems, registry, codes.version, form)


def _values(
    files: Iterable[Path] | None, read: Callable[[Iterator[bytes], str], TableResult[Value]], problems: list[str]
) -> Iterator[Value]:
    """What is fine in the files; what isn't goes to `problems`."""
    for path in files_in(files or ()):
        result: TableResult[Value] = read(chunks_of(path), name_of(path))
        problems += [*map(str, result.problems), *result.notes]
        yield from result.values


async def _registered(session: Session) -> Registry:
    try:
        async with session.reading() as log:
            return await read_registry(log)
    except NotFoundError as error:
        say(f"nothing is registered yet: {error}")
        return Registry()


def _report(problems: list[str], registry: Registry, codes: str, form: Format) -> None:
    counts = {"parties": len(registry.parties), "sailings": len(registry.sailings)}
    if form is Format.JSON:
        emit(counts | {"codes": codes, "problems": problems})
    else:
        for problem in problems:
            console().print(f"problem: {problem}", soft_wrap=True)
        words = f"{counts['parties']} parties, {counts['sailings']} sailings, disposition codes of {codes}: "
        words += f"{len(problems)} problems" if problems else "nothing wrong"
        console().print(words)
    if problems:
        raise typer.Exit(ExitCode.PROBLEMS)
