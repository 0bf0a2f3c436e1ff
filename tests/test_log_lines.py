"""Log lines are data for other tools: their event names are stable, listed in the runbook, and never a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import router

PACKAGE = Path(router.__file__).parent
RUNBOOK = PACKAGE.parent / "docs" / "runbook.md"
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def log_calls() -> Iterator[tuple[str, ast.expr]]:
    """Each call of a logger: its place and its event name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text()
        if "structlog" in source:
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Call) and is_log_call(node.func):
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.args[0]


def is_log_call(called: ast.expr) -> bool:
    if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
        return False
    return called.attr in LEVELS and called.value.id in ("log", "_log")


def names_in(event: ast.expr) -> set[str]:
    return {node.value for node in ast.walk(event) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_the_runbook_lists_the_name_of_every_line() -> None:
    listed = set(re.findall(r"`([a-z_]+)`", RUNBOOK.read_text().partition("## Log lines")[2].partition("\n## ")[0]))
    found = {name: where for where, event in log_calls() for name in names_in(event) if len(name) > 1}
    assert len(found) > 20
    assert {name: where for name, where in found.items() if name not in listed} == {}
    assert {name for name in found if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)} == set()
