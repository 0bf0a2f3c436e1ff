"""Decisions see a state and a record, nothing else: no clock, no I/O, no log lines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import router

PACKAGE = Path(router.__file__).parent
PURE = sorted([*PACKAGE.glob("decide/**/*.py"), *PACKAGE.glob("model/*.py")])
IMPURE_LIBRARIES = {
    *("aiokafka", "aiohttp", "asyncio", "logging", "os", "random", "secrets"),
    *("socket", "sqlite3", "structlog", "subprocess", "threading", "time", "uuid"),
}
IMPURE_NAMES = {"now_milliseconds", "now", "today", "utcnow", "open", "print"}
INNER = ("router.decide", "router.model", "router.errors")
"""All of the router that a decision may import."""


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (alias.name for alias in node.names)


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_decisions_reach_for_nothing_outside(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = set(imported(tree))
    assert not {name.partition(".")[0] for name in names} & IMPURE_LIBRARIES
    ours = {name for name in names if name.partition(".")[0] == "router"}
    assert not {name for name in ours if not name.startswith(INNER)}
    assert not set(called(tree)) & IMPURE_NAMES
