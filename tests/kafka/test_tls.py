"""TLS, and certificates instead of passwords: the main job works, and nobody is trusted without proof."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from router.demo.story import FILES
from tests.cli.conftest import Command
from tests.kafka.secured import PASSWORD, SecuredBroker

pytestmark = pytest.mark.kafka


@pytest.fixture
def broker(secured: SecuredBroker) -> SecuredBroker:
    secured.wipe()
    return secured


def command_at(bootstrap: str, trusted: trustme.CA, folder: Path, **settings: str) -> Command:
    """Return `snp-router` at that listener, which trusts brokers that `trusted` has signed for."""
    trusted.cert_pem.write_to_path(folder / "authority.pem")
    command = Command(folder)
    settings = {"REPLICATION_FACTOR": "1", "SSL_CAFILE": "authority.pem", **settings}
    command.environment |= {"SNP_LOG": f"kafka://{bootstrap}", "SNP_PARTITIONS": "1"}
    command.environment |= {f"SNP_KAFKA__{name}": text for name, text in settings.items()}
    return command


def certificate(authority: trustme.CA, user: str, folder: Path) -> dict[str, str]:
    """Return settings that show a certificate of that user."""
    issued = authority.issue_cert(f"{user}.example", common_name=user)
    issued.cert_chain_pems[0].write_to_path(folder / f"{user}.pem")
    issued.private_key_pem.write_to_path(folder / f"{user}.key")
    return {"SSL_CERTFILE": f"{user}.pem", "SSL_KEYFILE": f"{user}.key"}


def routes_the_samples(command: Command) -> None:
    command("topics", "create")
    command("import", "parties", FILES / "parties.csv")
    command("import", "sailings", FILES / "sailings.csv")
    command("ingest", *sorted(FILES.glob("[1-9]-*")))
    (routed,) = command.json("run", "--until-idle")
    assert routed["events"] == 14
    assert "hold" in {notice["kind"] for notice in command.json("tail", "--party", "SLTC", "--until-end")}


def test_everything_works_encrypted(broker: SecuredBroker, tmp_path: Path) -> None:
    password = {"SASL_USERNAME": "admin", "SASL_PASSWORD": PASSWORD}
    routes_the_samples(command_at(broker.encrypted, broker.authority, tmp_path, **password))


def test_everything_works_with_a_certificate_instead_of_a_password(broker: SecuredBroker, tmp_path: Path) -> None:
    shown = certificate(broker.authority, "admin", tmp_path)
    routes_the_samples(command_at(broker.certified, broker.authority, tmp_path, **shown))


def test_a_broker_that_the_named_authority_did_not_sign_for_is_not_talked_to(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    stranger = command_at(broker.encrypted, trustme.CA(), tmp_path, SASL_USERNAME="admin", SASL_PASSWORD=PASSWORD)
    refused = stranger("topics", "check", code=4)
    assert "certificate" in refused.stderr
    assert "ssl_" in refused.stderr


def test_a_certificate_of_another_authority_opens_nothing(broker: SecuredBroker, tmp_path: Path) -> None:
    shown = certificate(trustme.CA(), "admin", tmp_path)
    command_at(broker.certified, broker.authority, tmp_path, **shown)("topics", "check", code=4)


def test_a_certificate_is_no_more_than_its_name_may_do(broker: SecuredBroker, tmp_path: Path) -> None:
    shown = certificate(broker.authority, "snp.SLTC", tmp_path)
    command_at(broker.encrypted, broker.authority, tmp_path, SASL_USERNAME="admin", SASL_PASSWORD=PASSWORD)(
        "topics", "create"
    )
    refused = command_at(broker.certified, broker.authority, tmp_path, **shown)("tail", "--timeline", code=3)
    assert "has no topics that this user may see" in refused.stderr
