"""`snp-router hold` and `release`: what CBP said by phone, by e-mail or on paper."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from router.cli.session import Format, FormatOption, Session, console, emit, hint_if_behind, run, say, session_of
from router.clock import now_milliseconds
from router.codec import encode_value
from router.desk.manual import Relayed, relay
from router.desk.views import key_from
from router.feeds.by_hand import ManualForm, checked
from router.model.bill import split_bill_key
from router.model.inputs import LIFT, PLACE, RELEASE
from router.plain import plain_value

app = typer.Typer(no_args_is_help=True, help="Place or lift a hold that CBP relayed by phone, e-mail or on paper.")

MANUAL_CODE: Final = "the hold's code, such as 6H for a do-not-load"

Bill = Annotated[
    list[str], typer.Argument(metavar="BILL", help="As NVXAHBL000012345, or SCAC and number as two words.")
]
By = Annotated[str, typer.Option(help="Who of us enters it.")]
Container = Annotated[str | None, typer.Option(metavar="NUMBER", help="Of this container only; else of the bill.")]
Quantity = Annotated[int | None, typer.Option(metavar="PIECES", help="Of so many pieces; else of all.")]
SaidAt = Annotated[
    str | None, typer.Option(metavar="TIME", help="When CBP said so (now). ISO 8601; Eastern without an offset.")
]
Channel = Annotated[str, typer.Option(metavar="WAY", help="phone, e-mail or paper.")]
Source = Annotated[str | None, typer.Option(help="Who at CBP said so.")]
Ticket = Annotated[str | None, typer.Option(help="CBP's ticket number.")]


@app.command("place")
def place(
    context: typer.Context,
    bill: Bill,
    code: Annotated[str, typer.Option(help=f"It is {MANUAL_CODE}.")],
    by: By,
    container: Container = None,
    quantity: Quantity = None,
    said_at: SaidAt = None,
    channel: Channel = "phone",
    source: Source = None,
    ticket: Ticket = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Place a hold or do-not-load that CBP relayed by hand. Its parties are told at once.

    Example:  [bold]snp-router hold place NVXAHBL000012345 --code 6H --by "J. Doe" --source "CBP Los Angeles"[/bold]

    CBP's own message, when it comes, confirms it and is not told twice.
    """
    _relay(context, PLACE, bill, code, by, container, quantity, said_at, channel, source, ticket, form)


@app.command("lift")
def lift(
    context: typer.Context,
    bill: Bill,
    by: By,
    code: Annotated[
        str | None, typer.Option(help="The hold's code or its removal's; else every hold by hand in its scope.")
    ] = None,
    container: Container = None,
    quantity: Quantity = None,
    said_at: SaidAt = None,
    channel: Channel = "phone",
    source: Source = None,
    ticket: Ticket = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Lift what was placed by hand. A hold that CBP sent electronically stands until CBP lifts it there.

    Example:  [bold]snp-router hold lift NVXAHBL000012345 --code 6H --by "J. Doe" --source "CBP Los Angeles"[/bold]
    """
    _relay(context, LIFT, bill, code, by, container, quantity, said_at, channel, source, ticket, form)


def release(
    context: typer.Context,
    bill: Bill,
    by: By,
    code: Annotated[str | None, typer.Option(help="The release's code (1C).")] = None,
    container: Container = None,
    quantity: Quantity = None,
    said_at: SaidAt = None,
    channel: Channel = "phone",
    source: Source = None,
    ticket: Ticket = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Enter a release that CBP relayed by phone, e-mail or on paper. It never beats a hold that CBP sent.

    Example:  [bold]snp-router release NVXAHBL000012345 --by "J. Doe" --channel e-mail --ticket 4711[/bold]
    """
    _relay(context, RELEASE, bill, code, by, container, quantity, said_at, channel, source, ticket, form)


def _relay(
    context: typer.Context,
    action: str,
    bill: list[str],
    code: str | None,
    by: str,
    container: str | None,
    quantity: int | None,
    said_at: str | None,
    channel: str,
    source: str | None,
    ticket: str | None,
    form: Format,
) -> None:
    now = now_milliseconds()
    scac, number = split_bill_key(key_from(bill))
    fields = {
        "scac": scac, "bill_of_lading": number, "action": action, "code": code, "by": by, "container": container,
        "quantity": quantity, "said_at": said_at if said_at is not None else now, "channel": channel,
        "source": source, "ticket": ticket,
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
