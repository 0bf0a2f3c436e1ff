"""The schema server, over HTTP and through confluent-kafka's client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import requests
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from router.codec.published import raw_schema, schema_ids
from router.http import serving
from router.schema_registry.schema_publication import PUBLISHED_RECORDS, published_schemas
from router.schema_registry.schema_server import LONGEST_PATH, schema_registry_app

HOLD_ID = schema_ids()["hold"]


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async with serving(schema_registry_app(), "127.0.0.1:0") as address:
        yield f"http://{address}"


async def fetch(method: str, url: str, **options: Any) -> requests.Response:
    return await asyncio.to_thread(requests.request, method, url, timeout=10, **options)


async def test_a_schema_by_its_id_is_the_published_one_with_its_docs(server: str) -> None:
    answer = await fetch("GET", f"{server}/schemas/ids/{HOLD_ID}")
    assert answer.headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"
    assert json.loads(answer.json()["schema"]) == raw_schema("hold")
    assert "maxId" not in answer.json()


async def test_the_parameters_that_clients_add_are_accepted(server: str) -> None:
    answer = await fetch("GET", f"{server}/schemas/ids/{HOLD_ID}?fetchMaxId=true&subject=snp.party.SLTC-value&format=")
    assert answer.json()["maxId"] == max(one.id for one in published_schemas())


async def test_subjects_are_the_names_of_the_published_records_and_no_others(server: str) -> None:
    subjects = (await fetch("GET", f"{server}/subjects")).json()
    assert subjects == sorted(f"snp.{record}" for record in PUBLISHED_RECORDS)
    for inner in sorted(set(schema_ids().values()) - {one.id for one in published_schemas()}):
        assert (await fetch("GET", f"{server}/schemas/ids/{inner}")).status_code == 404


async def test_versions_of_a_subject(server: str) -> None:
    assert (await fetch("GET", f"{server}/subjects/snp.Hold/versions")).json() == [1]
    for version in ("1", "latest", "-1"):
        found = (await fetch("GET", f"{server}/subjects/snp.Hold/versions/{version}")).json()
        assert (found["subject"], found["version"], found["id"]) == ("snp.Hold", 1, HOLD_ID)
        assert json.loads(found["schema"]) == raw_schema("hold")
    assert (await fetch("GET", f"{server}/schemas/ids/{HOLD_ID}/versions")).json() == [
        {"subject": "snp.Hold", "version": 1}
    ]
    assert (await fetch("GET", f"{server}/schemas/ids/{HOLD_ID}/subjects")).json() == ["snp.Hold"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/schemas/ids/999", 404, 40403),
        (f"/schemas/ids/{schema_ids()['filing']}", 404, 40403),  # internal
        ("/schemas/ids/abc", 404, 40403),
        ("/subjects/snp.Nothing/versions", 404, 40401),
        ("/subjects/snp.Hold/versions/2", 404, 40402),
        ("/subjects/snp.Hold/versions/0", 422, 42202),
        ("/subjects/snp.Hold/versions/" + "9" * 900, 422, 42202),
        ("/nothing", 404, 404),
        ("/subjects?" + "x" * LONGEST_PATH, 414, 414),
    ],
)
async def test_an_error_has_the_apis_own_shape(server: str, path: str, status: int, code: int) -> None:
    answer = await fetch("GET", server + path)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/subjects/snp.Hold/versions"),
        ("POST", "/subjects/snp.Hold"),
        ("DELETE", "/subjects/snp.Hold"),
        ("PUT", "/config"),
        ("PUT", "/mode"),
    ],
)
async def test_nothing_can_be_written(server: str, method: str, path: str) -> None:
    answer = await fetch(method, server + path, data=b'{"schema": "\\"string\\""}')
    assert (answer.status_code, answer.json()["error_code"]) == (405, 405)
    assert "read-only" in answer.json()["message"]


async def test_the_other_questions_of_a_starting_client_are_answered(server: str) -> None:
    assert (await fetch("GET", f"{server}/schemas/types")).json() == ["AVRO"]
    assert (await fetch("GET", f"{server}/mode")).json() == {"mode": "READONLY"}
    assert (await fetch("GET", f"{server}/config/snp.Hold")).json() == {"compatibilityLevel": "FULL_TRANSITIVE"}


async def test_apicurios_deserializer_finds_the_same_schemas_at_its_own_path(server: str) -> None:
    for kind in ("globalIds", "contentIds"):
        answer = await fetch("GET", f"{server}/apis/registry/v2/ids/{kind}/{HOLD_ID}")
        assert answer.json() == raw_schema("hold")
        assert (await fetch("GET", f"{server}/apis/registry/v2/ids/{kind}/{HOLD_ID}/references")).json() == []
    assert (await fetch("GET", f"{server}/apis/registry/v2/ids/contentIds/{HOLD_ID}0")).status_code == 404


async def test_the_stock_client_reads_and_learns_why_it_cannot_register(server: str) -> None:
    client = SchemaRegistryClient({"url": server})
    latest = await asyncio.to_thread(client.get_latest_version, "snp.Release")
    assert latest.schema_id == schema_ids()["release"]
    same = await asyncio.to_thread(client.get_schema, latest.schema_id, "snp.party.SLTC-value")
    assert json.loads(same.schema_str or "") == raw_schema("release")
    with pytest.raises(SchemaRegistryError, match="read-only"):
        await asyncio.to_thread(client.register_schema, "mine", Schema('"string"', "AVRO"))
