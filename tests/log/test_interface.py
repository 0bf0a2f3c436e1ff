"""Callers of the interface append together what belongs together."""

from __future__ import annotations

import ast
from pathlib import Path

import router

PACKAGE = Path(router.__file__).parent


def appended(file: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "append" and call.args]


def belong_together(call: ast.Call) -> bool:
    """Tell whether the call writes to the registry, or an audit entry with what it is about."""
    text = ast.unparse(call.args[0])
    several = isinstance(call.args[0], ast.List) and len(call.args[0].elts) > 1
    return "registry_output(" in text or ("audit_output(" in text and several)


def is_atomic(call: ast.Call) -> bool:
    return any(keyword.arg == "atomic" and ast.unparse(keyword.value) == "True" for keyword in call.keywords)


def test_registry_records_and_audited_changes_are_appended_atomically() -> None:
    found = [(file, call) for file in PACKAGE.rglob("*.py") for call in appended(file) if belong_together(call)]

    assert len(found) >= 14
    assert [f"{file}:{call.lineno}" for file, call in found if not is_atomic(call)] == []
