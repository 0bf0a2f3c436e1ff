"""An external registry: its ids on parties' records, and no schema registered unasked or incompatible."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from router.codec import published
from router.errors import UsageError
from router.log.url import open_log
from router.schema_registry.schema_publication import ExternalRegistry, RegistrySettings, published_schemas
from tests.cli.conftest import Command
from tests.schema_registry.apicurio import apicurio

EVENT = '{"scac": "NVXA", "bill_of_lading": "B1", "disposition_code": "1H", "action_at": "2026-07-14T10:01"}\n'
SUBJECTS = sorted({one.subject for one in published_schemas()})


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with apicurio(tmp_path_factory.mktemp("apicurio")) as url:
        yield url


@pytest.fixture
def stock(registry: str) -> SchemaRegistryClient:
    """A stock client of an empty registry."""
    client = SchemaRegistryClient({"url": registry})
    for subject in client.get_subjects():
        client.delete_subject(subject)
        client.delete_subject(subject, permanent=True)
    return client


@pytest.fixture
def command(registry: str, tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    command.environment["SNP_REGISTRY__URL"] = registry
    yield command
    published.publish_under({})


def test_a_router_does_not_start_before_its_schemas_are_registered_and_registers_none_itself(
    command: Command, stock: SchemaRegistryClient
) -> None:
    command("import", "parties", command.write("parties.csv", "id\nNVXA\n"))

    refused = command("run", "--until-idle", code=4)

    assert "lacks our schemas of" in refused.stderr
    assert "`snp-router registry register`" in refused.stderr
    assert stock.get_subjects() == []
    missing = command.json("registry", "check", code=1)
    assert sorted(line["subject"] for line in missing) == SUBJECTS
    assert stock.get_subjects() == []


async def test_notices_carry_the_registry_s_ids_and_a_stock_deserializer_reads_them(
    command: Command, stock: SchemaRegistryClient
) -> None:
    stock.register_schema("somebody-else", Schema('"string"', "AVRO"))
    registered = command.json("registry", "register")
    assert sorted(stock.get_subjects()) == [*SUBJECTS, "somebody-else"]
    assert command.json("registry", "register") == command.json("registry", "check") == registered

    command.process("import", "parties", command.write("parties.csv", "id\nNVXA\n"))
    command.process("ingest", "-", stdin=EVENT)
    command.process("run", "--until-idle")
    (value,) = await values_of(command, "snp.party.NVXA")

    hold = stock.get_latest_version("snp.Hold")
    assert value[:5] == b"\x00" + (hold.schema_id or 0).to_bytes(4, "big")
    read: Any = AvroDeserializer(stock)
    notice = read(value, SerializationContext("snp.party.NVXA", MessageField.VALUE))
    assert (notice["disposition_code"], notice["recipient"]) == ("1H", "NVXA")
    shown = json.loads(command.process("tail", "--party", "NVXA", "--until-end", "--format", "json").stdout)
    assert shown["disposition_code"] == "1H"


def test_a_schema_that_is_not_compatible_with_the_registered_one_is_refused(
    command: Command, stock: SchemaRegistryClient
) -> None:
    other = {"type": "record", "name": "Hold", "namespace": "snp", "fields": [{"name": "weight", "type": "double"}]}
    stock.register_schema("snp.Hold", Schema(json.dumps(other), "AVRO"))

    standings = {line["subject"]: line for line in command.json("registry", "register", code=1)}

    assert standings["snp.Hold"]["id"] is None
    assert "not compatible with the registered versions" in standings["snp.Hold"]["problem"]
    assert standings["snp.Release"]["id"] is not None
    assert len(stock.get_versions("snp.Hold")) == 1


def test_later_schemas_of_others_must_be_compatible_with_ours(command: Command, stock: SchemaRegistryClient) -> None:
    command("registry", "register")
    assert stock.get_compatibility("snp.Hold") == "FULL_TRANSITIVE"


def test_a_registry_that_does_not_answer_is_asked_again_and_then_named(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command("import", "parties", command.write("parties.csv", "id\nNVXA\n"))
    command.environment |= {
        "SNP_REGISTRY__URL": "http://127.0.0.1:9",
        "SNP_REGISTRY__START_DEADLINE_SECONDS": "0.6",
    }

    unanswered = command("run", "--until-idle", code=4)

    assert "http://127.0.0.1:9 does not answer" in " ".join(unanswered.stderr.split())
    assert "does not answer" in command("registry", "check", code=2).stderr
    command("ingest", "-", stdin=EVENT)  # ingest needs no registry


@pytest.mark.parametrize("given", [{"url": "file:///etc/passwd"}, {"url": "http://one", "username": "router"}])
def test_invalid_settings_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"http://|belong together"):
        RegistrySettings.model_validate(given)


def test_without_an_external_registry_there_is_nothing_to_check() -> None:
    with pytest.raises(UsageError, match=r"registry\.url"):
        ExternalRegistry(RegistrySettings())


async def values_of(command: Command, topic: str) -> list[bytes]:
    async with open_log(f"sqlite:///{command.folder}/snp.db") as log:
        return [
            record.value
            async for batch in log.read([topic], until_end=True)
            for record in batch
            if record.value is not None
        ]
