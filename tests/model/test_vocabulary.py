"""The words of notices are the same in the code, in the schemas that parties read, and on the page for parties."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from router.codec.published import raw_schema
from router.decide.audience import DISCLOSURE_OF_ROLE, ROLE_ABOARD
from router.feeds.tables import DEFAULT_SCOPE
from router.model.registry_values import LineRole
from router.model.vocabulary import Authority, Cause, Doubt, Flag, HoldKind, Role, Status

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/what-a-notice-means.md").read_text()
TOLD = {
    "status": get_args(Status),
    "doubts": get_args(Doubt),
    "authorises": get_args(Authority),
    "flags": get_args(Flag),
    "kind": get_args(HoldKind),
    "roles": get_args(Role),
    "cause": tuple(word for word in get_args(Cause) if word != "FORGOTTEN"),
}
"""By the field that says them; `kind` is a hold's."""
IN_TABLES = ("status", "doubts", "authorises", "flags", "kind")


def words_of(schema: Any, field: str) -> list[str]:
    """Those that the first sentence on the field lists, in their order."""
    (doc,) = (one["doc"] for one in schema["fields"] if one["name"] == field)
    return re.findall(r"\b[A-Z]{2}[A-Z_]+\b", doc.partition(". ")[0])


@pytest.mark.parametrize("field", TOLD)
def test_the_schema_lists_them(field: str) -> None:
    schema = raw_schema("hold")
    if field == "kind":
        (schema,) = (one["type"]["items"] for one in schema["fields"] if one["name"] == "holds")
    assert set(words_of(schema, field)) == set(TOLD[field])


@pytest.mark.parametrize("field", IN_TABLES)
def test_the_page_for_parties_explains_each_in_its_table(field: str) -> None:
    found = re.search(rf"^\| `{field}`.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found
    assert set(re.findall(r"^\| `(\w+)`", found[1], re.MULTILINE)) == set(TOLD[field])


@pytest.mark.parametrize("field", sorted(TOLD.keys() - set(IN_TABLES)))
def test_the_page_for_parties_explains_each(field: str) -> None:
    assert [word for word in TOLD[field] if f"`{word}`" not in PAGE] == []


def test_the_runbook_names_a_way_out_of_each_status_and_each_kind_of_hold() -> None:
    runbook = (ROOT / "docs/runbook.md").read_text()
    table = runbook.partition("## Cargo that is stuck")[2].partition("\n## ")[0]
    first_cells = " ".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE))
    named = set(re.findall(r"`([A-Z_]+)`", first_cells))
    assert named >= {*get_args(Status), *get_args(HoldKind)} - {"RELEASED"}


def test_every_role_has_a_disclosure() -> None:
    assert set(DISCLOSURE_OF_ROLE) == set(get_args(Role))


def test_every_role_of_a_line_has_a_role_in_notices_and_a_scope_where_none_is_given() -> None:
    assert set(ROLE_ABOARD) == set(DEFAULT_SCOPE) == set(get_args(LineRole))
