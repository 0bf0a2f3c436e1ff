"""The example projects against a broker with passwords and rights, which an operator's commands have provisioned.

Each example reads the same ten thousand notices to the same values.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import KafkaError, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from router import client
from router.client import NoticeStream
from router.codec import decode_value
from router.codec.published import raw_schema
from router.errors import FatalLogError
from router.log.kafka import open_kafka_log
from router.model.eastern import iso, to_milliseconds
from router.model.registry_values import RESYNC, Request
from router.presentation import plain
from tests.cli.conftest import COMMAND, Command, environment
from tests.client.notice_samples import PARTY, notices, outputs
from tests.kafka.fixtures import QUICK
from tests.kafka.secured import PASSWORD, SecuredBroker

pytestmark = pytest.mark.kafka

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE = EXAMPLES.parent / "docs" / "for-integrators.md"
COUNT = 10_000
BATCH = 1_000
COLOUR = re.compile(r"\x1b\[\d*m")
"""Some builds of Maven end with it, whatever their options."""
PATIENCE_SECONDS = 300
UNLIMITED = {
    "SNP_PROVISION__PARTY_READ_BYTES_PER_SECOND": "1000000000",
    "SNP_PROVISION__PARTY_REQUEST_PERCENT": "10000",
}


class Site(NamedTuple):
    """The addresses and the password that an integrator is given."""

    bootstrap: str
    registry: str
    password_file: Path


@pytest.fixture(scope="module")
def site(secured: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    secured.wipe()
    folder = tmp_path_factory.mktemp("site")
    passwords = provisioned(secured, folder)
    asyncio.run(write(secured.bootstrap, passwords["snp-router"]))
    password_file = folder / "password"
    password_file.write_text(passwords[f"snp.{PARTY}"] + "\n")
    server = subprocess.Popen(
        [*COMMAND, "registry", "serve", "--listen", "127.0.0.1:0"],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr
    said = server.stderr.readline()
    found = re.search(r"http://\S+", said)
    assert found, said
    yield Site(secured.bootstrap, found[0], password_file)
    server.terminate()
    server.wait()


def provisioned(broker: SecuredBroker, folder: Path) -> dict[str, str]:
    """The users' passwords, after an operator's commands."""
    command = Command(folder)
    command.environment |= UNLIMITED | {
        "SNP_LOG": f"kafka://{broker.bootstrap}",
        "SNP_PARTITIONS": "1",
        "SNP_KAFKA__SASL_USERNAME": "admin",
        "SNP_KAFKA__SASL_PASSWORD": PASSWORD,
        "SNP_KAFKA__REPLICATION_FACTOR": "1",
    }
    command("topics", "create")
    command("import", "parties", command.write("parties.csv", f"id,name\n{PARTY},Slot Line\nOCNX,Ocean\n"))
    command("provision", "apply", "--password-file", "passwords.jsonl")
    lines = (folder / "passwords.jsonl").read_text().splitlines()
    return {line["user"]: line["password"] for line in map(json.loads, lines)}


async def write(bootstrap: str, password: str) -> None:
    """Write notices as the router does: in transactions, of which one is aborted."""
    settings = QUICK.model_copy(update={"sasl_username": "snp-router", "sasl_password": password})
    settings = type(QUICK).model_validate(settings.model_dump())
    written = outputs(COUNT)
    async with open_kafka_log(f"kafka://{bootstrap}", settings) as log:
        await log.append(written[:BATCH], atomic=True)
        await abort(bootstrap, settings.connection())
        for start in range(BATCH, COUNT, BATCH):
            await log.append(written[start : start + BATCH], atomic=True)


async def abort(bootstrap: str, connection: dict[str, Any]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="snp-router-append-test", **connection)
    await producer.start()
    await producer.begin_transaction()
    for output in outputs(10, seed=1):
        await producer.send_and_wait(output.topic, output.value, output.key, headers=list(output.headers))
    await producer.abort_transaction()
    await producer.stop()


def read_by(command: list[str], folder: Path) -> list[dict[str, Any]]:
    """The notices that the example prints, normalised."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=with_package(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    lines = (COLOUR.sub("", line) for line in done.stdout.splitlines())
    return [normalised(json.loads(line)) for line in lines if line]


def is_moment(kind: Any) -> bool:
    parts = kind if isinstance(kind, list) else [kind]
    return any(isinstance(part, dict) and "logicalType" in part for part in parts)


MOMENTS = [field["name"] for field in raw_schema("hold")["fields"] if is_moment(field["type"])]


def normalised(line: dict[str, Any]) -> dict[str, Any]:
    """Moments in the form of our own JSON; languages differ in the digits of a second."""
    notice = line["notice"]
    holds = [hold | {"placed_at": moment(hold["placed_at"])} for hold in notice["holds"]]
    moments = {name: moment(notice[name]) for name in MOMENTS}
    return {"kind": line["type"].lower(), "test": line["test"]} | notice | moments | {"holds": holds}


def moment(text: str | None) -> str | None:
    return None if text is None else iso(to_milliseconds(datetime.fromisoformat(text)))


def expected() -> list[dict[str, Any]]:
    found = [(kind, "TEST" in fields["flags"], plain(kind, fields)) for kind, fields in notices(COUNT)]
    assert {is_test for _, is_test, _ in found} == {True, False}
    return [{"kind": kind, "test": is_test} | fields for kind, is_test, fields in found]


def python_kit(site: Site, folder: Path) -> list[str]:
    script = str(EXAMPLES / "python-kit" / "read_notices.py")
    options = ["--group", f"snp.{PARTY}.kit", "--password-file", str(site.password_file), "--number", str(COUNT)]
    return [sys.executable, script, f"kafka://{site.bootstrap}", PARTY, *options]


def python_confluent(site: Site, folder: Path) -> list[str]:
    script = str(EXAMPLES / "python-confluent" / "read_notices.py")
    options = ["--group", f"snp.{PARTY}.confluent", "--registry", site.registry, "--number", str(COUNT)]
    return [sys.executable, script, site.bootstrap, PARTY, *options, "--password-file", str(site.password_file)]


def java(site: Site, folder: Path) -> list[str]:
    maven = shutil.which("mvn")
    if maven is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the Java example needs Maven (mvn)")
        pytest.skip("the Java example needs Maven (mvn)")
    given = (EXAMPLES / "java" / "consumer.properties").read_text()
    password = site.password_file.read_text().strip()
    changes = {
        "broker-1:9092": site.bootstrap,
        "security.protocol=SASL_SSL": "security.protocol=SASL_PLAINTEXT",
        'password="..."': f'password="{password}"',
        "group.id=snp.SLTC.desk": f"group.id=snp.{PARTY}.java",
        "http://schemas:8081": site.registry,
    }
    for old, new in changes.items():
        assert old in given, old
        given = given.replace(old, new)
    (folder / "consumer.properties").write_text(given)
    arguments = f"{folder / 'consumer.properties'} {PARTY} {COUNT}"
    pom = str(EXAMPLES / "java" / "pom.xml")
    return [maven, "-q", "-B", "-f", pom, "compile", "exec:java", f"-Dexec.args={arguments}"]


@pytest.mark.parametrize("example", [python_kit, python_confluent, java], ids=lambda example: example.__name__)
def test_every_example_reads_the_same_notices_to_the_same_values(example: Any, site: Site, tmp_path: Path) -> None:
    read, wanted = read_by(example(site, tmp_path), tmp_path), expected()
    assert [notice["notice_id"] for notice in read] == [notice["notice_id"] for notice in wanted]
    assert read == wanted


def test_a_party_requests_a_resync_with_the_kit_and_with_a_stock_serializer(site: Site) -> None:
    """With a party's own rights, on its own topic; on another's, both are refused."""
    asyncio.run(kit_of(site).resync())
    assert ask(site, PARTY) is None
    assert ask(site, "OCNX") == "TOPIC_AUTHORIZATION_FAILED"
    with pytest.raises(FatalLogError, match=r"snp\.request\.OCNX"):
        asyncio.run(kit_of(site, "OCNX").resync())
    requests = asyncio.run(asked_by(site))
    assert [(request.kind, request.scac) for request in requests] == [(RESYNC, PARTY), (RESYNC, PARTY)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"party": "OCNX"}, r"no topic snp\.party\.OCNX, or this user may not read it"),
        ({"group": "snp.OCNX.desk"}, "may not read in this consumer group"),
        ({"sasl_username": "snp.OCNX"}, "check address, user and password"),
    ],
)
def test_topics_groups_and_users_of_others_are_refused_in_words(site: Site, changed: dict[str, str], said: str) -> None:
    async def read_one() -> None:
        async with kit_of(site, **changed) as stream:
            async for _ in stream:
                break

    with pytest.raises(FatalLogError, match=said) as caught:
        asyncio.run(asyncio.wait_for(read_one(), 30))
    assert site.password_file.read_text().strip() not in str(caught.value)


def kit_of(site: Site, party: str = PARTY, **changed: Any) -> NoticeStream:
    own = {"group": f"snp.{PARTY}.kit", "sasl_username": f"snp.{PARTY}", "sasl_password_file": site.password_file}
    return client.notices(f"kafka://{site.bootstrap}", party=party, **own | changed)


def ask(site: Site, party: str) -> str | None:
    """Write a request as in docs/for-integrators.md; the error's name, if the broker refuses."""
    outcomes: list[KafkaError | None] = []
    serialize = AvroSerializer(
        SchemaRegistryClient({"url": site.registry}),
        conf={
            "auto.register.schemas": False,
            "use.latest.version": True,
            "subject.name.strategy": lambda context, record: "snp.Request",
        },
    )
    producer = Producer(
        {
            "bootstrap.servers": site.bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": f"snp.{PARTY}",
            "sasl.password": site.password_file.read_text().strip(),
            "log_level": 0,
        }
    )
    topic = f"snp.request.{party}"
    request = {"id": "1", "kind": "RESYNC", "scac": party, "by": party, "at": 1_784_031_120_000}
    value = serialize(request, SerializationContext(topic, MessageField.VALUE))
    producer.produce(topic, value, on_delivery=lambda error, _: outcomes.append(error))
    producer.flush(PATIENCE_SECONDS)
    (outcome,) = outcomes
    return outcome.name() if outcome else None


async def asked_by(site: Site) -> list[Request]:
    settings = {"sasl_username": "admin", "sasl_password": PASSWORD}
    async with open_kafka_log(f"kafka://{site.bootstrap}", settings) as log:
        batches = [batch async for batch in log.read([f"snp.request.{PARTY}"], until_end=True)]
    values = [decode_value(record.value or b"") for batch in batches for record in batch]
    return [value for value in values if isinstance(value, Request)]


def test_the_program_in_for_integrators_runs(site: Site, tmp_path: Path) -> None:
    found = re.search(r"<!-- kit -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    program = found[1]
    for old, new in (
        ("broker-1:9092", site.bootstrap),
        ('        ssl_cafile="ca.pem",\n', ""),
        ("snp.SLTC.desk", "snp.SLTC.page"),
    ):
        assert old in program, old
        program = program.replace(old, new)
    shutil.copy(site.password_file, tmp_path / "password")
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=with_package()
    )
    assert process.stdout
    said = [process.stdout.readline() for _ in range(100)]
    process.kill()
    process.communicate()
    words = {"Hold": "stop", "Release": "may go", "Change": "changed"}
    kinds = [words[kind.capitalize()] for kind, _ in notices(100)]
    # Some sample values have line breaks, but each notice begins on a new line.
    begun = [word for line in said for word in words.values() if line.startswith(word)]
    assert begun == kinds[: len(begun)]
    assert len(begun) > 10


def with_package() -> dict[str, str]:
    return environment() | {"PYTHONPATH": str(EXAMPLES.parent)}


def test_the_kits_example_reads_the_demos_file_without_a_broker(tmp_path: Path) -> None:
    Command(tmp_path)("demo")
    script = str(EXAMPLES / "python-kit" / "read_notices.py")
    read = read_by([sys.executable, script, "sqlite:///snp-demo.db", "NVXA", "--number", "3"], tmp_path)
    tail = Command(tmp_path).json("--log", "sqlite:///snp-demo.db", "tail", "--party", "NVXA", "--until-end")
    assert read == [one | {"test": "TEST" in one["flags"]} for one in tail[:3]]
