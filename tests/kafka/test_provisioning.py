"""`provision` on a real broker: its plan, its changes, and where passwords go."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from router import codec, topics
from router.log.kafka import open_kafka_log
from tests.cli.conftest import Command
from tests.kafka.provisioned import PARTIES, Provisioned
from tests.kafka.secured import SecuredBroker

pytestmark = pytest.mark.kafka

THIRD = "NVXA,Example Consolidators,live,+1-555-0130,snp.NVXA.gate\n"


@pytest.fixture(scope="module")
def scene(secured: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Provisioned:
    return Provisioned(secured, tmp_path_factory.mktemp("provisioned"))


@pytest.fixture
def admin(scene: Provisioned) -> Iterator[Command]:
    """Make everything as declared, before and after."""
    scene.apply()
    yield scene.admin
    scene.register(PARTIES)
    scene.apply()


def plan_of(command: Command, *, code: int = 1) -> list[str]:
    return [f"{line['change']} {line['what']}" for line in command.json("provision", "plan", code=code)]


def test_after_apply_there_is_no_drift_and_a_second_apply_changes_nothing(admin: Command) -> None:
    assert plan_of(admin, code=0) == []
    assert "access is as declared" in admin("provision", "apply").stdout


def test_a_new_party_needs_all_of_it_and_a_place_for_its_password(scene: Provisioned, admin: Command) -> None:
    scene.register(PARTIES + THIRD)

    assert plan_of(admin) == [
        "+ user snp.NVXA",
        "+ right User:snp.NVXA: Allow Describe on topic snp.party.NVXA",
        "+ right User:snp.NVXA: Allow Read on group snp.NVXA.*",
        "+ right User:snp.NVXA: Allow Read on topic snp.feed-status",
        "+ right User:snp.NVXA: Allow Read on topic snp.party.NVXA",
        "+ right User:snp.NVXA: Allow Write on topic snp.request.NVXA",
        "~ quota of user snp.NVXA: consumer_byte_rate 2e+06, producer_byte_rate 50000, request_percentage 20",
    ]
    assert "--password-file" in admin("provision", "apply", code=2).stderr
    assert len(plan_of(admin)) == 7

    admin("provision", "apply", "--password-command", f"sh -c 'cat > {scene.admin.folder}/{{user}}.secret'")
    assert plan_of(admin, code=0) == []
    assert len((scene.admin.folder / "snp.NVXA.secret").read_text()) == 32


def test_a_party_that_is_suspended_by_an_import_loses_access_with_the_next_apply(
    scene: Provisioned, admin: Command
) -> None:
    scene.register(PARTIES.replace("Slot Carriers,live", "Slot Carriers,suspended"))

    taken = plan_of(admin)
    assert taken[0] == "- user snp.SLTC"
    assert len(taken) == 7
    admin("provision", "apply")
    assert plan_of(admin, code=0) == []
    assert "the log has no problems" in admin("topics", "check").stdout
    admin("tail", "--party", "SLTC", "--until-end")


def test_rights_that_nobody_declared_are_taken_away_where_they_are_ours_alone(
    scene: Provisioned, secured: SecuredBroker, admin: Command
) -> None:
    secured.add_user("snp.GONE", [(ResourceType.TOPIC, "snp.party.", AclOperation.READ)])
    secured.add_user("stranger", [(ResourceType.TOPIC, "snp.party.SLTC", AclOperation.READ)])
    secured.add_user("neighbour", [(ResourceType.TOPIC, "s", AclOperation.READ)])
    secured.add_user("far away", [(ResourceType.TOPIC, "payroll", AclOperation.READ)])

    shown = plan_of(admin)
    assert shown[:3] == [
        "- user snp.GONE",
        "- right User:snp.GONE: Allow Read on topic snp.party.*",
        "- right User:stranger: Allow Read on topic snp.party.SLTC*",
    ]
    by_hand = [line.partition(":")[0] for line in shown[3:]]
    assert by_hand == ["! user far away", "! user neighbour", "! user stranger", "! User"]
    assert "User:neighbour: Allow Read on topic s*" in shown[-1]

    admin("provision", "apply", code=1)
    assert plan_of(admin) == shown[3:]
    admin.environment["SNP_PROVISION__OTHER_USERS"] = '["far away", "neighbour", "stranger"]'
    assert plan_of(admin, code=0) == []
    del admin.environment["SNP_PROVISION__OTHER_USERS"]
    secured.remove_users("stranger", "neighbour", "far away")


def test_a_limit_that_was_changed_is_set_back(scene: Provisioned, admin: Command) -> None:
    admin.environment["SNP_PROVISION__PARTY_REQUEST_PERCENT"] = "35"
    changes = [f"~ quota of user {user}: request_percentage 35" for user in ("snp.OCNX", "snp.SLTC")]
    assert [line for line in plan_of(admin) if "NVXA" not in line] == changes
    admin("provision", "apply")
    assert plan_of(admin, code=0) == []
    del admin.environment["SNP_PROVISION__PARTY_REQUEST_PERCENT"]
    assert "~ quota of user snp.SLTC: request_percentage 20" in plan_of(admin)


def test_revoked_is_cut_off_suspended_and_stays_so(scene: Provisioned, admin: Command) -> None:
    taken = admin.json("provision", "revoke", "SLTC")

    assert len(taken) == 7
    assert plan_of(admin, code=0) == []
    (party,) = [party for party in admin.json("parties") if party["id"] == "SLTC"]
    assert party["status"] == "suspended"
    deeds = [deed for deed in asyncio.run(audited(scene)) if deed[0] == "provision revoke"]
    assert deeds == [("provision revoke", "SLTC")]
    assert admin.json("provision", "revoke", "SLTC") == []
    assert "party ZZZZ is not registered" in admin("provision", "revoke", "ZZZZ", code=3).stderr


def test_a_new_password_goes_to_a_file_that_only_its_owner_reads(
    scene: Provisioned, admin: Command, tmp_path: Path
) -> None:
    done = admin("provision", "password", "SLTC", "--password-file", tmp_path / "new", "--verbose")

    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    entry = json.loads((tmp_path / "new").read_text())
    assert entry["user"] == "snp.SLTC"
    assert entry["password"] not in done.stdout + done.stderr
    scene.passwords["snp.SLTC"], old = entry["password"], scene.passwords["snp.SLTC"]
    assert scene.command("snp.SLTC")("topics", "check", code=1).stderr == ""
    scene.passwords["snp.SLTC"] = old
    assert "lets us in" in scene.command("snp.SLTC")("topics", "check", code=4).stderr

    (tmp_path / "open").write_text("")
    (tmp_path / "open").chmod(0o644)
    assert "mode 600" in admin("provision", "password", "SLTC", "--password-file", tmp_path / "open", code=2).stderr
    failed = admin("provision", "password", "SLTC", "--password-command", "false", code=2)
    assert "password command false for snp.SLTC failed with exit code 1" in failed.stderr
    assert scene.command("snp.SLTC")("topics", "check", code=4)


def test_sqlite_has_no_users(tmp_path: Path) -> None:
    assert "no users" in Command(tmp_path)("provision", "plan", code=2).stderr


async def audited(scene: Provisioned) -> list[tuple[str, str]]:
    """Return action and subject of each entry on `snp.audit`."""
    async with open_kafka_log(scene.url, scene.settings("admin")) as log:
        entries = [
            codec.decode(record.value or b"")[1]
            async for batch in log.read([topics.AUDIT], until_end=True)
            for record in batch
        ]
    return [(entry["action"], entry["subject"]) for entry in entries]


def test_a_registry_that_was_lost_takes_nobodys_rights_away(secured: SecuredBroker, scene: Provisioned) -> None:
    """Services get their rights before any party is registered. But if brokers know parties and the registry does not,
    the log is the wrong one. This is the last test: nothing is left of the scene."""
    secured.drop_topic(topics.REGISTRY)
    scene.admin("topics", "create")
    refused = scene.admin("provision", "apply", "--password-file", "passwords.jsonl", code=2).stderr
    assert "snp.OCNX" in refused
    assert "import parties" in refused
