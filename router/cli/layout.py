"""How `--help` looks: global options anywhere, and no more about types than a person needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup, TyperOption

GLOBAL_OPTIONS = ("--log", "--config")
GLOBAL_FLAGS = ("--verbose",)
HELP_OPTIONS = ["-h", "--help"]


class Layout(TyperGroup):
    """Lets the global options stand after the command too: people add them at the end of the line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for command in _commands(self):
            _hide_types_of_flags(command)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, global_options_first(args))


def global_options_first(arguments: list[str]) -> list[str]:
    """The same arguments, the global options before all others. What follows a `--` stays."""
    first: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            others += [argument, *rest]
        elif argument in GLOBAL_OPTIONS:
            first += [argument, *(value for value in [next(rest, None)] if value is not None)]
        elif argument in GLOBAL_FLAGS or argument.partition("=")[0] in GLOBAL_OPTIONS:
            first.append(argument)
        else:
            others.append(argument)
    return first + others


def _commands(group: Any) -> Iterator[Any]:
    yield group
    for command in getattr(group, "commands", {}).values():
        yield from _commands(command)


def _hide_types_of_flags(command: Any) -> None:
    """`--from-start <bool>` makes people write `--from-start true`."""
    help_option = command.get_help_option(typer.Context(command, help_option_names=HELP_OPTIONS))
    for option in (*command.params, help_option):
        if isinstance(option, TyperOption) and option.is_flag and option.metavar is None:
            option.metavar = ""
