"""All that is installed with us is listed with its licence (docs/dependencies.md); each says what it is for."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import metadata, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LISTED = dict(re.findall(r"^\| `([\w.-]+)` \| ([^|]+?) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE))
PROJECT = (ROOT / "pyproject.toml").read_text()
BUILT_WITH = {"hatchling", "tomlkit", "trove-classifiers"}
"""pip builds the package in a place of its own, so these are not installed with it."""


def declared(part: str) -> list[str]:
    project = tomllib.loads(PROJECT)["project"]
    return project["dependencies"] if part == "dependencies" else project["optional-dependencies"][part]


def closure(requirements: list[str]) -> set[str]:
    """The names of all that comes with these requirements, here."""
    found: set[str] = set()
    waiting = [(Requirement(one), "") for one in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": extra})):
            continue
        found.add(name)
        for extra in requirement.extras or {""}:
            waiting += [(Requirement(one), extra) for one in metadata(name).get_all("Requires-Dist") or []]
    return found


def imported(*folders: str) -> set[str]:
    """The packages that code in these folders imports by name, ours and Python's left out."""
    names: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(one.name.partition(".")[0] for one in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    installed = packages_distributions()
    return {canonicalize_name(installed[name][0]) for name in names if name in installed} - {"snp-router"}


def licence(name: str) -> str:
    """As the package's own metadata has it."""
    found = metadata(name)
    words = [one.rpartition(" :: ")[2] for one in found.get_all("Classifier") or [] if one.startswith("License ::")]
    return found.get("License-Expression") or "; ".join(words) or (found.get("License") or "not said").splitlines()[0]


def test_all_that_is_installed_at_run_time_is_listed_with_its_licence() -> None:
    assert closure(declared("dependencies")) <= LISTED.keys()
    differing = {name: licence(name) for name in closure(declared("dependencies")) if licence(name) != LISTED[name]}
    assert differing == {}


def test_each_dependency_says_what_it_is_for() -> None:
    for requirement in declared("dependencies") + declared("test"):
        assert re.search(rf'^ *"{re.escape(requirement)}", +# \S', PROJECT, re.MULTILINE), requirement


def test_what_is_imported_is_declared_and_not_there_by_chance() -> None:
    ours = {canonicalize_name(Requirement(one).name) for one in declared("dependencies")}
    for_tests = {canonicalize_name(Requirement(one).name) for one in declared("test")}
    assert imported("router") - ours == {"pydantic-core"}  # pydantic's own half
    brought_along = {"packaging", "docker", "cryptography"}  # by pytest, testcontainers, trustme
    assert imported("tests", "benchmarks", "examples") - ours - for_tests - {"pydantic-core"} == brought_along


def test_everything_installed_is_pinned_and_nothing_else() -> None:
    pinned = {canonicalize_name(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().split()}
    assert pinned == closure(declared("dependencies") + declared("test")) | BUILT_WITH
