"""Reading back what was routed: the demo's log, looked at as the command and a console do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router import codec, topics
from router.decide.rules import Rules
from router.demo.scenario import FILES, play, set_up
from router.desk.settling import confirm, retry
from router.desk.views import (
    NotFoundError,
    bill_fields,
    explain,
    find_party,
    key_from,
    read_bill,
    read_dead_letter,
    read_dead_letters,
    read_state,
    unrouted,
)
from router.engine.intake import ingest_file
from router.engine.worker import Worker, WorkSettings
from router.errors import UsageError
from router.log.interface import Log
from router.log.url import open_log
from router.model.eastern import iso
from router.model.inputs import DeadLetter
from router.plain import plain, plain_value

RULES = Rules()
QUICK = WorkSettings(idle_seconds=0.05)
BILL = "NVXAHBL000012345"


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await set_up(opened)
        yield opened


async def route(log: Log, path: Path) -> None:
    await ingest_file(log, path, RULES.codes)
    await Worker(log, RULES, QUICK, until_idle=True).run()


def test_a_bill_s_key_is_read_from_one_word_or_two() -> None:
    assert key_from(["nvxahbl1"]) == "NVXAHBL1"
    assert key_from(["ABC", "hbl1"]) == "ABC HBL1"
    for words in (["NVXA"], ["TOOLONG", "1"], ["A", "B", "C"]):
        with pytest.raises(UsageError, match="is no bill"):
            key_from(words)


async def test_a_bill_that_is_not_there_is_said_with_a_hint(log: Log) -> None:
    await Worker(log, RULES, QUICK, until_idle=True).run()
    with pytest.raises(NotFoundError, match="was it fed in"):
        await read_state(log, RULES, "NVXANOWHERE")
    await ingest_file(log, FILES / "1-on-file.x12", RULES.codes)
    with pytest.raises(NotFoundError, match="not routed yet"):
        await read_state(log, RULES, "NVXANOWHERE")


async def test_what_is_not_routed_yet_is_counted_by_positions(log: Log) -> None:
    assert await unrouted(log) == 3
    await route(log, FILES / "2-do-not-load.camir")
    assert await unrouted(log) == 0
    await ingest_file(log, FILES / "5-exam.x12", RULES.codes)
    assert await unrouted(log) == 2  # an urgent event is on two topics


async def test_a_bill_s_fields_follow_the_story(log: Log) -> None:
    statuses = {}
    async for step, _ in play(log):
        view = await read_bill(log, RULES, BILL)
        statuses[step.file[0]] = bill_fields(view)["status"]
    assert list(statuses.values()) == ["ON_FILE", "DO_NOT_LOAD", "ON_FILE", "RELEASED", "HELD", "RELEASED", "RELEASED"]


async def test_who_is_not_told_is_explained_with_the_rule_and_the_reason(log: Log) -> None:
    await route(log, FILES / "1-on-file.x12")
    by_party = {one.recipient: one for one in explain(await read_bill(log, RULES, BILL))}
    assert by_party["NVXA"].told
    assert not by_party["HARX"].told
    assert "only while a do-not-load stands" in (by_party["HARX"].reason or "")
    assert by_party["HARX"].rules == ("4: charterer, aboard EXEMPLAR-026E, granted do-not-load",)


async def test_a_party_is_found_by_any_of_its_names(log: Log) -> None:
    assert (await find_party(log, "ocnx")).topic == "snp.party.OCNX"
    with pytest.raises(NotFoundError, match="HARX, NVXA"):
        await find_party(log, "NONE")


async def test_dead_letters_are_listed_without_their_content_and_found_by_the_beginning_of_their_id(
    log: Log, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("nonsense one\n")
    (tmp_path / "b").write_text("nonsense two\n")
    for name in ("a", "b"):
        await ingest_file(log, tmp_path / name, RULES.codes)
    first, _ = await read_dead_letters(log)
    assert first.content == b""
    assert (await read_dead_letter(log, first.id[:10])).content == b"nonsense one\n"
    with pytest.raises(UsageError, match="2 dead letters"):
        await read_dead_letter(log, "")


async def test_a_retry_that_would_leave_its_bill_stopped_is_refused(log: Log, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"scac":"NVXA","bill_of_lading":"HBL000012345","disposition_code":"1C"}\n')
    await route(log, tmp_path / "a.jsonl")
    (letter,) = [await read_dead_letter(log, one.id) for one in await read_dead_letters(log)]
    other = b'{"scac":"NVXA","bill_of_lading":"OTHER","disposition_code":"1C","action_at":"2026-07-14T08:12"}'
    assert "no event in it is of the bill" in ((await retry(log, RULES, letter, other, by="J. Doe")).problem or "")
    assert "no event" in ((await retry(log, RULES, letter, b"", by="J. Doe")).problem or "")
    assert (await retry(log, RULES, letter, by="J. Doe")).problem
    assert (await read_dead_letter(log, letter.id)).settled is None
    assert await deeds(log) == [], "what was refused was not done"


async def deeds(log: Log) -> list[tuple[str, str, str, str]]:
    """What the audit topic holds, besides the imports that each of these logs begins with."""
    batches = log.read([topics.AUDIT], until_end=True)
    found = [codec.decode(record.value)[1] async for batch in batches for record in batch if record.value]
    words = [(one["by"], one["action"], one["subject"], one["detail"]) for one in found]
    return [deed for deed in words if not deed[1].startswith("import ")]


async def test_a_word_of_an_operator_covers_all_that_is_on_the_bill_now(log: Log) -> None:
    for name in ("1-on-file.x12", "4-arrival-and-release.x12", "5-exam.x12"):
        await route(log, FILES / name)
    state = await read_state(log, RULES, BILL)
    confirmed = await confirm(log, RULES, BILL, by="J. Doe", reason="by phone")
    ((by, action, subject, detail),) = await deeds(log)
    assert (by, action, subject) == ("J. Doe", "bill confirm", BILL)
    assert detail.startswith("by phone")
    assert set(confirmed.covers) == state.coverable(RULES) == state.event_ids()
    await Worker(log, RULES, QUICK, until_idle=True).run()
    after = (await read_state(log, RULES, BILL)).assess(RULES)[1]
    assert (after.status, after.doubts) == ("HELD", ())


def test_every_moment_of_every_schema_becomes_text() -> None:
    letter = DeadLetter("id", "why", "where", "x12", b"caf\xe9", 4, received_at=1_784_100_000_000)
    fields = plain("dead-letter", letter._asdict())
    assert fields["received_at"] == iso(1_784_100_000_000)
    assert fields["content"] == "café"
    assert plain_value(codec.encode_value(letter)) == fields
    assert plain("hold", {"action_at": None, "holds": []}) == {"action_at": None, "holds": []}
