"""Pages to print: HTML from the templates beside this, everything in them escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.session import say
from router.clock import now_milliseconds
from router.errors import UsageError
from router.model.eastern import MILLISECONDS, iso
from router.presentation import harmless

if TYPE_CHECKING:
    from jinja2 import Environment

HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page to print, to this file.")
]


def write_page(path: Path, template: str, **fields: Any) -> None:
    """The page that `template` makes of the fields, dated now. Raises UsageError where the file can't be written."""
    printed_at = iso(now_milliseconds() // MILLISECONDS * MILLISECONDS)
    page = _environment().get_template(f"{template}.html.j2").render(printed_at=printed_at, **fields)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error
    say(f"{path} written: open it in a browser and print it")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # Only who prints pays for templates.

    return Environment(
        loader=PackageLoader("router.cli"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: harmless(value) if type(value) is str else value,
    )
