"""A secured broker on which the commands made topics, users and rights, as in production. Use it for tests of a
party's access: `scene = Provisioned(secured, tmp_path)`, with the fixture `secured`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request
from aiokafka.protocol.fetch import FetchRequest

from router.log.kafka import KafkaSettings
from tests.cli.conftest import Command
from tests.kafka.fixtures import QUICK
from tests.kafka.secured import PASSWORD, SecuredBroker

PARTIES = """\
id,name,status,contact_phone,production_group
OCNX,Ocean Exemplar Line,live,+1-555-0100,snp.OCNX.gate
SLTC,Slot Carriers,live,+1-555-0110,snp.SLTC.gate
"""
PARTITIONS = 2
MUCH = 1 << 20


class Provisioned:
    """`passwords` by user; `admin` is the superuser's command line."""

    def __init__(self, broker: SecuredBroker, folder: Path, parties: str = PARTIES) -> None:
        broker.wipe()
        self.url = f"kafka://{broker.bootstrap}"
        self.bootstrap = broker.bootstrap
        self.passwords = {"admin": PASSWORD}
        self._folder = folder
        self.admin = self.command("admin")
        self.admin("topics", "create")
        self.register(parties)
        self.apply()

    def register(self, parties: str) -> None:
        (self._folder / "parties.csv").write_text(parties)
        self.admin("import", "parties", "parties.csv")

    def apply(self) -> None:
        self.admin("provision", "apply", "--password-file", "passwords.jsonl")
        for line in (self._folder / "passwords.jsonl").read_text().splitlines():
            entry = json.loads(line)
            self.passwords[entry["user"]] = entry["password"]

    def command(self, user: str) -> Command:
        """Return `snp-router` as that user."""
        command = Command(self._folder)
        command.environment |= {
            "SNP_LOG": self.url,
            "SNP_PARTITIONS": str(PARTITIONS),
            "SNP_KAFKA__REPLICATION_FACTOR": "1",
            "SNP_KAFKA__SASL_USERNAME": user,
            "SNP_KAFKA__SASL_PASSWORD": self.passwords[user],
        }
        return command

    def settings(self, user: str) -> KafkaSettings:
        """Return settings of our own log for that user."""
        given = QUICK.model_dump() | {"sasl_username": user, "sasl_password": self.passwords[user]}
        return KafkaSettings.model_validate(given)

    def stock(self, user: str) -> dict[str, Any]:
        """Return settings of confluent-kafka's clients for that user."""
        return {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.passwords[user],
            "log_level": 0,
        }


async def asked(bootstrap: str, settings: KafkaSettings, request: Request[Any], *, patience_seconds: float = 20) -> Any:
    """Return the broker's answer to one bare request. Stock clients do not send some that they expect to be
    refused."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **settings.connection())
    client._client._request_timeout_ms = int(patience_seconds * 1000)
    try:
        await client.start()
        return await client._send_request_to_node(1, request)
    finally:
        await client.close()


async def fetched(
    bootstrap: str, settings: KafkaSettings, topic: str, *, wait_seconds: float = 0, offset: int = 0
) -> tuple[int, bytes]:
    """Return Kafka's error code and the raw records of partition 0. The request may wait at the broker for some."""
    request = FetchRequest(int(wait_seconds * 1000), 1, MUCH, 1, [(topic, [(0, offset, MUCH)])])
    answer = await asked(bootstrap, settings, request, patience_seconds=wait_seconds + 20)
    ((_, (partition,)),) = answer.topics
    return partition[1], partition[-1] or b""
