"""`snp-router party show|live|suspend` and `certify`: one party, from its first sample to live."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from router.cli.exit_codes import ExitCode
from router.cli.session import Format, FormatOption, ScacArgument, Session, console, emit, run, say, session_of
from router.cli.show import grid
from router.codec import encode_value
from router.desk.registered_parties import CertificationProgress, change_status, find_party, read_certification
from router.model.registry_values import Party
from router.presentation import plain_value

app = typer.Typer(no_args_is_help=True, help="Open or close a party's tap, or say where it stands.")


@app.command("show")
def show(context: typer.Context, scac: ScacArgument, form: FormatOption = Format.TABLE) -> None:
    """A party as registered, and how many of its samples it has read.

    Example:  [bold]snp-router party show SLTC[/bold]
    """
    standing = run(_standing(session_of(context), scac))
    fields = plain_value(encode_value(standing.party)) | {"topic": standing.party.topic} | _counts(standing)
    if form is Format.JSON:
        emit(fields)
        return
    for name, value in fields.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        if shown not in (None, ""):
            console().print(f"{name.replace('_', ' ')}: {shown}", soft_wrap=True)


@app.command("live")
def live(context: typer.Context, scac: ScacArgument) -> None:
    """Open the tap: the status now of its open bills, then everything.

    Example:  [bold]snp-router party live SLTC[/bold]
    """
    party, changed = run(_change(session_of(context), scac, "live"))
    words = "is live: `snp-router run` sends it the status now of its open bills" if changed else "is live already"
    console().print(f"{party.scac} {words}")
    standing = run(_standing(session_of(context), scac))
    if standing.samples and not standing.is_complete:
        say(f"it has not read all of its samples, as far as anybody can tell: `snp-router certify {party.scac}`")


@app.command("suspend")
def suspend(context: typer.Context, scac: ScacArgument) -> None:
    """Close the tap: nothing is written for it, its bills wait (`snp-router waiting`) until it is live again.

    Example:  [bold]snp-router party suspend SLTC[/bold]

    To cut off what it may read as well:  snp-router provision revoke SLTC
    """
    party, changed = run(_change(session_of(context), scac, "suspended"))
    console().print(f"{party.scac} is suspended{'' if changed else ' already'}")


def certify(context: typer.Context, scac: ScacArgument, form: FormatOption = Format.TABLE) -> None:
    """Whether a party has read all of its samples. Ends with 1 if not.

    Example:  [bold]snp-router certify SLTC[/bold]

    A party imported with status certifying gets them from the router, once. Then: snp-router party live SCAC
    """
    standing = run(_standing(session_of(context), scac))
    if form is Format.JSON:
        for sample in standing.samples:
            emit({"party": standing.party.scac} | sample._asdict())
    else:
        _print(standing)
    if not standing.is_complete:
        raise typer.Exit(ExitCode.PROBLEMS)


def _print(standing: CertificationProgress) -> None:
    party = standing.party
    if not standing.samples:
        hint = "`snp-router run` writes them" if party.status == "certifying" else f"it is {party.status}"
        say(f"{party.scac} has no samples: {hint}")
        return
    rows = (
        (sample.name, sample.kind, sample.status or "", "yes" if sample.read else Text("no", "red"), sample.says)
        for sample in standing.samples
    )
    console().print(grid(("sample", "kind", "status", "read", "an example of"), rows))
    read = sum(sample.read for sample in standing.samples)
    console().print(f"{party.scac} has read {read} of {len(standing.samples)}")
    if standing.receipt.unknown:
        say(f"nobody can tell what {party.scac} has read: {standing.receipt.unknown}")
    elif standing.is_complete and party.status == "certifying":
        console().print(f"next: snp-router party live {party.scac}")


def _counts(standing: CertificationProgress) -> dict[str, Any]:
    read = None if standing.receipt.unknown else sum(sample.read for sample in standing.samples)
    return {"samples": len(standing.samples), "samples_read": read}


async def _standing(session: Session, scac: str) -> CertificationProgress:
    async with session.reading() as log:
        return await read_certification(log, await find_party(log, scac))


async def _change(session: Session, scac: str, status: str) -> tuple[Party, bool]:
    async with session.writing() as log:
        party = await find_party(log, scac)
        return party, await change_status(log, party, status)
