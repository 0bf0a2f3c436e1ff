"""Schemas are a promise to those who read: a change that an old reader can't read is refused here.

`tests/schemas/` holds the accepted ones. A change that passes is accepted by copying the file there.
"""

from __future__ import annotations

import io
import json
import runpy
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_many

from router.codec import FIRST_ID, NOTICE_KINDS
from router.codec.published import raw_schema, schema_directory, schema_ids

ACCEPTED = Path(__file__).parents[1] / "schemas"
NAMES = sorted(path.stem for path in schema_directory().glob("*.avsc"))
SAMPLES = 25


def accepted(name: str) -> Any:
    return json.loads((ACCEPTED / f"{name}.avsc").read_text())


def carries_over(written_with: Any, read_with: Any) -> None:
    """Whether what one schema writes the other reads. Raises what fastavro raises if it can't."""
    writer, reader = fastavro.parse_schema(written_with), fastavro.parse_schema(read_with)
    for datum in generate_many(writer, SAMPLES):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, writer, datum)
        fastavro.schemaless_reader(io.BytesIO(out.getvalue()), writer, reader)


@pytest.mark.parametrize("name", NAMES)
def test_old_readers_can_read_what_is_written_now(name: str) -> None:
    carries_over(raw_schema(name), accepted(name))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_before_can_be_read_now(name: str) -> None:
    carries_over(accepted(name), raw_schema(name))


def without(schema: Any, field: str) -> Any:
    return schema | {"fields": [one for one in schema["fields"] if one["name"] != field]}


def with_type(schema: Any, field: str, new_type: Any) -> Any:
    return schema | {"fields": [one | {"type": new_type} if one["name"] == field else one for one in schema["fields"]]}


BREAKING = [
    without(raw_schema("hold"), "recipient"),
    with_type(raw_schema("hold"), "notice_id", "long"),
    with_type(raw_schema("hold"), "cause", "long"),
]


@pytest.mark.parametrize("changed", BREAKING)
def test_a_breaking_change_would_be_refused(changed: Any) -> None:
    with pytest.raises(fastavro.read.SchemaResolutionError):
        carries_over(changed, raw_schema("hold"))


def test_a_field_with_a_default_would_pass() -> None:
    hold = raw_schema("hold")
    more = hold | {
        "fields": [*hold["fields"], {"name": "news", "type": ["null", "string"], "default": None, "doc": "x"}]
    }
    carries_over(more, hold)
    carries_over(hold, more)


def fields_of(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a record and of the records in it, with the record's name."""
    if isinstance(schema, list):
        for branch in schema:
            yield from fields_of(branch)
    elif isinstance(schema, dict):
        for field in schema.get("fields", ()):
            yield schema["name"], field
            yield from fields_of(field["type"])
        for part in ("items", "values", "type"):
            yield from fields_of(schema.get(part))


@pytest.mark.parametrize("name", NAMES)
def test_every_record_and_every_field_says_what_it_means(name: str) -> None:
    schema = raw_schema(name)
    assert schema.get("doc")
    assert [f"{record}.{field['name']}" for record, field in fields_of(schema) if not field.get("doc")] == []


def test_every_schema_has_one_id_of_its_own_that_never_changes() -> None:
    assert sorted(schema_ids()) == NAMES
    assert len(set(schema_ids().values())) == len(NAMES)
    assert all(FIRST_ID <= number < 2**31 for number in schema_ids().values())
    assert schema_ids() == json.loads((ACCEPTED / "ids.json").read_text())


def test_every_schema_is_accepted() -> None:
    assert sorted(path.stem for path in ACCEPTED.glob("*.avsc")) == NAMES


def test_hold_change_and_release_are_what_the_template_makes() -> None:
    """`python schemas/generate.py` makes them: the same fields under three names."""
    generated = runpy.run_path(str(schema_directory() / "generate.py"))["notice_schemas"]()
    assert generated == {kind: raw_schema(kind) for kind in NOTICE_KINDS}
    assert len({schema["name"] for schema in generated.values()}) == 3


def test_a_record_that_lies_in_several_schemas_has_the_same_fields_in_each() -> None:
    found: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in NAMES:
        for record, field in fields_of(raw_schema(name)):
            found[record][name].append(field["name"])
    differing = {record: sorted(where) for record, where in found.items() if len(set(map(tuple, where.values()))) > 1}
    assert differing == {}
