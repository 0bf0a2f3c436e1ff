"""`snp-router asyncapi`, read by the official parser (npm's @asyncapi/parser, cached in `.node/`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from router.codec.published import raw_schema
from router.schema_registry.schema_publication import published_schemas
from tests.cli.conftest import Command

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".node" / "asyncapi"
WORST_ALLOWED = 2
"""Severities of the parser: 0 is an error, 1 a warning, 2 information."""
INSTALL = ("npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
ON_KAFKA = {
    "SNP_LOG": "kafka://broker-1:9093,broker-2:9093",
    "SNP_KAFKA__SASL_USERNAME": "snp-router",
    "SNP_KAFKA__SASL_PASSWORD": "not to be seen",
    "SNP_KAFKA__SSL_CAFILE": "/etc/ca.pem",
    "SNP_REGISTRY__PUBLIC_URL": "https://schemas.example:8081",
}


@pytest.fixture(scope="module")
def parser() -> Path:
    """The folder in which `node parse.mjs` finds the parser."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the official AsyncAPI parser needs Node (node, npm)")
        pytest.skip("the official AsyncAPI parser needs Node (node, npm)")
    wanted, installed = HERE / "package.json", CACHE / ".installed.json"
    if not installed.exists() or installed.read_text() != wanted.read_text():
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copy(wanted, CACHE / "package.json")
        subprocess.run(INSTALL, cwd=CACHE, check=True, timeout=300)
        shutil.copy(wanted, installed)
    shutil.copy(HERE / "parse.mjs", CACHE)
    return CACHE


def parsed(parser: Path, document: Any) -> Any:
    done = subprocess.run(
        ["node", "parse.mjs"], cwd=parser, input=json.dumps(document), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def document_of(command: Command, **environment: str) -> Any:
    command.environment |= environment
    return json.loads(command("asyncapi").stdout)


@pytest.mark.parametrize("environment", [{}, ON_KAFKA], ids=["file", "kafka"])
def test_the_official_parser_finds_nothing_wrong(parser: Path, command: Command, environment: dict[str, str]) -> None:
    answer = parsed(parser, document_of(command, **environment))
    assert [found for found in answer["diagnostics"] if found["severity"] < WORST_ALLOWED] == []
    assert answer["channels"] == ["snp.party.{party}", "snp.feed-status", "snp.request.{party}", "cbp.dispositions"]


def test_the_official_parser_finds_a_broken_schema_or_reference(parser: Path, command: Command) -> None:
    document = document_of(command)
    document["components"]["messages"]["hold"]["payload"]["schema"]["fields"][0]["type"] = "nonsense"
    document["operations"]["notices"]["channel"]["$ref"] = "#/channels/nothing"
    answer = parsed(parser, document)
    codes = {found["code"] for found in answer["diagnostics"] if found["severity"] == 0}
    assert len(codes) >= 2, codes


def test_the_document_has_every_published_schema_whole_and_no_other(command: Command) -> None:
    messages = document_of(command)["components"]["messages"]
    assert set(messages) == {one.name for one in published_schemas()}
    for name, message in messages.items():
        assert message["payload"]["schema"] == raw_schema(name)


def test_servers_and_log_in_come_from_the_settings(command: Command) -> None:
    document = document_of(command, **ON_KAFKA)
    assert [server["host"] for server in document["servers"].values()] == ["broker-1:9093", "broker-2:9093"]
    for server in document["servers"].values():
        assert server["protocol"] == "kafka-secure"
        assert server["security"] == [{"$ref": "#/components/securitySchemes/login"}]
        assert server["bindings"]["kafka"]["schemaRegistryUrl"] == ON_KAFKA["SNP_REGISTRY__PUBLIC_URL"]
    assert document["components"]["securitySchemes"] == {"login": {"type": "scramSha512"}}
    assert "not to be seen" not in json.dumps(document)


def test_the_router_sends_what_others_read_and_receives_what_they_write(command: Command) -> None:
    operations = document_of(command)["operations"]
    assert {name: operation["action"] for name, operation in operations.items()} == {
        "notices": "send",
        "feedStatus": "send",
        "requests": "receive",
        "events": "receive",
    }
