"""`snp-router hold` and `release`: what CBP said by phone, by e-mail or on paper."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from router.cli.session import (
    BillArgument,
    Format,
    FormatOption,
    Session,
    console,
    emit,
    hint_if_behind,
    run,
    say,
    session_of,
)
from router.clock import now_milliseconds
from router.codec import encode_value
from router.desk.manual import Relayed, relay
from router.desk.views import key_from
from router.feeds.forms import ManualForm, checked
from router.model.identifiers import split_bill_key
from router.model.inputs import LIFT, PLACE, RELEASE
from router.plain import plain_value

app = typer.Typer(no_args_is_help=True, help="Place or lift a hold that CBP relayed by phone, e-mail or on paper.")

ACTIONS: Final = {"place": PLACE, "lift": LIFT, "release": RELEASE}
"""By the command's name."""

PLACE_HELP: Final = """Place a hold or do-not-load that CBP relayed by hand. Its parties are told at once.

Example:  [bold]snp-router hold place NVXAHBL000012345 --code 6H --by "J. Doe" --source "CBP Los Angeles"[/bold]

CBP's own message, when it comes, confirms it and is not told twice.
"""
LIFT_HELP: Final = """Lift what was placed by hand. A hold that CBP sent electronically stands until CBP lifts it there.

Example:  [bold]snp-router hold lift NVXAHBL000012345 --code 6H --by "J. Doe" --source "CBP Los Angeles"[/bold]
"""


# One function for the three: they ask the same, and the command's name says which it is. Its own words are `release`'s.
@app.command("place", help=PLACE_HELP)
@app.command("lift", help=LIFT_HELP)
def release(
    context: typer.Context,
    bill: BillArgument,
    by: Annotated[str, typer.Option(help="Who of us enters it.")],
    code: Annotated[
        str | None,
        typer.Option(
            help="Such as 6H for a do-not-load. `place` needs it; `lift` takes a removal's too, and without it lifts "
            "every hold by hand in its scope; a release is 1C without it."
        ),
    ] = None,
    container: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Of this container only; else of the bill.")
    ] = None,
    quantity: Annotated[int | None, typer.Option(metavar="PIECES", help="Of so many pieces; else of all.")] = None,
    said_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When CBP said so (now). ISO 8601; Eastern without an offset.")
    ] = None,
    channel: Annotated[str, typer.Option(metavar="WAY", help="phone, e-mail or paper.")] = "phone",
    source: Annotated[str | None, typer.Option(help="Who at CBP said so.")] = None,
    ticket: Annotated[str | None, typer.Option(help="CBP's ticket number.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Enter a release that CBP relayed by phone, e-mail or on paper. It never beats a hold that CBP sent.

    Example:  [bold]snp-router release NVXAHBL000012345 --by "J. Doe" --channel e-mail --ticket 4711[/bold]
    """
    now = now_milliseconds()
    scac, number = split_bill_key(key_from(bill))
    fields = {
        "scac": scac, "bill_of_lading": number, "action": ACTIONS[context.info_name or ""], "code": code, "by": by,
        "container": container, "quantity": quantity, "said_at": said_at if said_at is not None else now,
        "channel": channel, "source": source, "ticket": ticket,
    }  # fmt: skip
    _report(run(_enter(session_of(context), checked(ManualForm, fields), now)), form)


async def _enter(session: Session, entered: ManualForm, now: int) -> Relayed:
    async with session.writing() as log:
        await hint_if_behind(log)
        return await relay(log, session.settings.decision_rules(), entered, now)


def _report(relayed: Relayed, form: Format) -> None:
    if form is Format.JSON:
        told = [told._asdict() for told in relayed.told]
        emit(plain_value(encode_value(relayed.event)) | {"status": relayed.status, "told": told})
        return
    out = console()
    out.print(f"{relayed.bill}: {relayed.status} from now on")
    for one in relayed.told:
        out.print(f"  {one.kind.upper()} to {one.recipient}")
    if not relayed.known:
        say("nothing was known of this bill: is the number right? Whoever it names will be told when it is known")
    say("they are told by `snp-router run`: at once if it is running, else when it is started")
