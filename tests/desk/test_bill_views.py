"""Views of routed bills, on the demo's log; the list of waiting bills."""

from __future__ import annotations

from pathlib import Path

import pytest

from router import codec, topics
from router.demo.story import FILES, play
from router.desk.bill_views import (
    ExplainedParty,
    NotFoundError,
    bill_fields,
    explain,
    key_from,
    read_bill,
    read_state,
    read_waiting,
)
from router.engine.administration import import_parties, prepare
from router.engine.backlog import unrouted
from router.engine.intake import ingest_file
from router.engine.worker import Worker
from router.errors import UsageError
from router.log.interface import Log, Output
from router.log.url import open_log
from router.model.eastern import iso
from router.model.inputs import DeadLetter
from router.model.registry_values import Party
from router.presentation import plain, plain_value
from tests.desk.installation import BILL, QUICK, RULES, route


def test_a_bill_s_key_is_read_from_one_word_or_two() -> None:
    assert key_from(["nvxahbl1"]) == "NVXAHBL1"
    assert key_from(["ABC", "hbl1"]) == "ABC HBL1"
    for words in (["NVXA"], ["TOOLONG", "1"], ["A", "B", "C"]):
        with pytest.raises(UsageError, match="is not a bill: write one word"):
            key_from(words)
    with pytest.raises(UsageError, match="is no bill but the history of one vessel: see `snp-router tail --timeline`"):
        key_from(["vessel:9074729:OCNX:026E"])


async def test_an_unknown_bill_is_refused_with_a_hint(log: Log) -> None:
    await Worker(log, RULES, QUICK, until_idle=True).run()
    with pytest.raises(NotFoundError, match="bill NOWHERE of NVXA is unknown: check the number, or feed the bill in"):
        await read_state(log, "NVXANOWHERE")
    await ingest_file(log, FILES / "1-on-file.x12", RULES)
    with pytest.raises(NotFoundError, match="3 records are not routed yet; start `snp-router run` first"):
        await read_state(log, "NVXANOWHERE")


async def test_records_not_routed_yet_are_counted_by_positions(log: Log) -> None:
    assert await unrouted(log) == 3
    await route(log, FILES / "2-do-not-load.camir")
    assert await unrouted(log) == 0
    await ingest_file(log, FILES / "5-exam.x12", RULES)
    assert await unrouted(log) == 2  # an urgent event is on two topics


async def test_a_bill_s_fields_follow_the_story(log: Log) -> None:
    statuses = {}
    async for step, _ in play(log):
        view = await read_bill(log, RULES, BILL)
        statuses[step.file[0]] = bill_fields(view)["status"]
    assert list(statuses.values()) == ["ON_FILE", "DO_NOT_LOAD", "ON_FILE", "RELEASED", "HELD", "RELEASED", "RELEASED"]


IN_BOND = """\
{"disposition_code": "55", "action_at": "2026-07-10T08:00", "quantity": 120}
{"disposition_code": "1J", "action_at": "2026-07-28T08:00", "quantity": 120, "in_bond_destination": "3901"}
{"disposition_code": "1C", "action_at": "2026-07-29T08:00", "quantity": 120, "transaction_port": "3901"}
{"disposition_code": "12", "action_at": "2026-08-02T08:00", "quantity": 120, "transaction_port": "3901"}
"""
"""From Los Angeles to Chicago; the release comes before the arrival."""


async def test_a_bill_that_moved_in_bond_shows_its_arrival_and_its_place(log: Log, tmp_path: Path) -> None:
    named = '{"scac": "NVXA", "bill_of_lading": "INBOND1", "port_of_unlading": "2704", '
    records = IN_BOND.replace("{", named).splitlines(keepends=True)
    (tmp_path / "moving.jsonl").write_text("".join(records[:3]))
    (tmp_path / "arrived.jsonl").write_text(records[3])
    await route(log, tmp_path / "moving.jsonl")
    fields = bill_fields(await read_bill(log, RULES, "NVXAINBOND1"))
    assert (fields["status"], fields["doubts"]) == ("RELEASE_UNCONFIRMED", ["PORT_DIFFERS"])
    assert (fields["deliverable_at"], fields["in_bond_destination"], fields["arrivals"]) == (None, "3901", [])
    await route(log, tmp_path / "arrived.jsonl")
    fields = bill_fields(await read_bill(log, RULES, "NVXAINBOND1"))
    assert (fields["status"], fields["deliverable_at"], fields["authorises"]) == ("RELEASED", "3901", [])
    (arrival,) = fields["arrivals"]
    assert arrival == {"port": "3901", "container_number": None, "posted_at": "2026-08-02T12:00:00Z"}


async def explained(log: Log) -> dict[str, ExplainedParty]:
    return {one.recipient: one for one in explain(await read_bill(log, RULES, BILL))}


async def test_a_party_that_is_not_notified_is_explained_with_the_rule_and_the_reason(log: Log) -> None:
    await route(log, FILES / "1-on-file.x12")
    by_party = await explained(log)
    assert by_party["NVXA"].notified
    assert not by_party["HARX"].notified
    assert by_party["HARX"].reason == "only while a do-not-load stands, and none does"
    assert by_party["HARX"].rules == ("4: charterer, aboard EXEMPLAR-026E, granted do-not-load",)


async def test_each_ground_is_explained_with_its_own_role_and_rule(log: Log) -> None:
    await route(log, FILES / "1-on-file.x12")
    by_party = await explained(log)
    party = by_party["SLTC"]
    grounds = [(party.recipient, one.role, one.rule, one.scope, one.reason) for one in party.grounds]
    assert grounds == [
        ("SLTC", "SNP", "2: second notify party on the bill", "all", None),
        ("SLTC", "MASTER_CARRIER", "3: issued the master bill", "all", None),
        ("SLTC", "MASTER_CARRIER", "3: the bill is on its manifest", "all", None),
        ("SLTC", "CHARTERER", "4: charterer, aboard EXEMPLAR-026E, for its own bill", "all", None),
    ]
    assert by_party["SLTC"].roles == ("SNP", "CHARTERER", "MASTER_CARRIER")
    (refused,) = by_party["HARX"].grounds
    assert (refused.role, refused.scope, refused.reason) == ("CHARTERER", "do-not-load", by_party["HARX"].reason)


async def test_a_ground_that_has_come_true_since_is_not_explained_away(log: Log) -> None:
    """A do-not-load stands, but the party was not registered when it was decided."""
    await import_parties(log, [Party("HARX", status="suspended")])
    await route(log, FILES / "1-on-file.x12")
    await route(log, FILES / "2-do-not-load.camir")
    assert (await explained(log))["HARX"].reason == "waits: the party is not live (`snp-router party live`)"
    await import_parties(log, [Party("HARX")])
    waiting = (await explained(log))["HARX"]
    assert not waiting.notified
    assert waiting.reason == "not decided since the registry changed; start `snp-router run`"


def test_every_moment_of_every_schema_becomes_text() -> None:
    letter = DeadLetter("id", "why", "where", "x12", b"caf\xe9", 4, received_at=1_784_100_000_000)
    fields = plain("dead-letter", letter._asdict())
    assert fields["received_at"] == iso(1_784_100_000_000)
    assert fields["content"] == "café"
    assert plain_value(codec.encode_value(letter)) == fields
    assert plain("hold", {"action_at": None, "holds": []}) == {"action_at": None, "holds": []}


def waiting(number: str, since: int, *, do_not_load: bool = False) -> Output:
    fields = {"scac": "NVXA", "bill_of_lading": number, "reasons": ["NO_SAILING"], "parties": [], "status": "HELD"}
    value = codec.encode("waiting", fields | {"do_not_load": do_not_load, "since": since})
    return Output(topics.WAITING, f"NVXA{number}".encode(), value)


async def test_waiting_bills_are_listed_with_do_not_loads_first_then_the_oldest(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/other.db") as log:
        await prepare(log, 4)
        rows = [waiting("B1", 3), waiting("B2", 1), waiting("B3", 9, do_not_load=True), waiting("B4", 0)]
        await log.append([*rows, waiting("B3", 8, do_not_load=True), waiting("B4", 0)._replace(value=None)])
        assert [row["bill_of_lading"] for row in await read_waiting(log)] == ["B3", "B2", "B1"]
