"""Operators' deeds: words by hand, and the retry and dismissal of dead letters; each is audited."""

from __future__ import annotations

from pathlib import Path

import pytest

from router import codec, topics
from router.clock import now_milliseconds
from router.decide.bill_state import assess_bill
from router.demo.story import FILES
from router.desk.bill_views import NotFoundError, read_state
from router.desk.operator_deeds import (
    ForeseenNotice,
    accept,
    dismiss,
    read_dead_letter,
    read_dead_letters,
    relay,
    retry,
)
from router.engine.intake import ingest_file
from router.engine.worker import Worker
from router.errors import UsageError
from router.feeds import bounded_input
from router.feeds.forms import ManualForm
from router.log.interface import Log
from router.model.inputs import DeadLetter
from tests.desk.installation import BILL, QUICK, RULES, route
from tests.feeds.samples import X12_MANIFEST


async def deeds(log: Log) -> list[tuple[str, str, str, str]]:
    """Entries of the audit topic, without the imports that each of these logs begins with."""
    batches = log.read([topics.AUDIT], until_end=True)
    found = [codec.decode(record.value)[1] async for batch in batches for record in batch if record.value]
    entries = [(one["by"], one["action"], one["subject"], one["detail"]) for one in found]
    return [deed for deed in entries if not deed[1].startswith("import ")]


RELEASED = {"action": "RELEASE", "source": "CBP Los Angeles"}


def by_hand(**fields: object) -> ManualForm:
    usual = {"scac": BILL[:4], "bill_of_lading": BILL[4:], "said_at": now_milliseconds(), "by": "J. Doe"}
    return ManualForm.model_validate(usual | fields)


async def test_a_relayed_hold_is_audited_and_foresees_its_notices(log: Log) -> None:
    await route(log, FILES / "1-on-file.x12")
    form = by_hand(action="PLACE", code="6H", source="CBP Los Angeles", ticket="4711")
    relayed = await relay(log, RULES, form, form.said_at)
    assert (relayed.bill, relayed.status, relayed.is_known) == (BILL, "DO_NOT_LOAD", True)
    assert ForeseenNotice("SLTC", "hold") in relayed.notices
    assert await deeds(log) == [("J. Doe", "hold place", BILL, "6H, by phone, CBP Los Angeles, ticket 4711")]


def test_a_release_needs_somebody_at_cbp_who_gave_it() -> None:
    with pytest.raises(ValueError, match="say who at CBP gave it"):
        by_hand(action="RELEASE")


async def test_a_lift_that_ends_no_hold_is_known_as_such(log: Log) -> None:
    """CBP's own 6H stands, none by hand: a lift by hand leaves it as it is."""
    await route(log, FILES / "2-do-not-load.camir")
    for deed, lifts_nothing in (("LIFT", True), ("PLACE", False), ("LIFT", False), ("LIFT", True)):
        form = by_hand(action=deed, code="1H")
        assert (await relay(log, RULES, form, form.said_at)).lifts_nothing == lifts_nothing
        await route(log, FILES / "1-on-file.x12")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"action": "PLACE", "code": "QQ"}, "code QQ is unknown: ask CBP again, or add it to the code table"),
        ({"action": "PLACE", "code": "1C"}, "places no hold: ask CBP which code it meant"),
        ({"action": "LIFT", "code": "1C"}, "neither places nor lifts a hold: ask CBP which code it meant"),
        ({**RELEASED, "code": "6H"}, "is not a release: ask CBP which code it meant"),
        (
            {"action": "RELEASE", "source": "CBP", "code": "1C", "container": "CSQU3054383"},
            "a release of one container needs its quan",
        ),
        (
            {"action": "RELEASE", "source": "CBP", "container": "CSQU3054383"},
            "a release of one container needs its quantity",
        ),
    ],
)
async def test_a_code_that_does_not_fit_its_action_is_refused(
    log: Log, fields: dict[str, object], message: str
) -> None:
    form = by_hand(**fields)
    with pytest.raises(UsageError, match=message):
        await relay(log, RULES, form, form.said_at)
    assert await deeds(log) == []


async def test_dead_letters_are_listed_without_content_and_found_by_the_beginning_of_their_id(
    log: Log, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("nonsense one\n")
    (tmp_path / "b").write_text("nonsense two\n")
    for name in ("a", "b"):
        await ingest_file(log, tmp_path / name, RULES)
    first, _ = await read_dead_letters(log)
    assert first.content == b""
    assert (await read_dead_letter(log, first.id[:10])).content == b"nonsense one\n"
    with pytest.raises(UsageError, match="2 dead letters have an id that begins with ''"):
        await read_dead_letter(log, "")
    with pytest.raises(NotFoundError, match="dead letter none is unknown: see `snp-router dead-letters list --all`"):
        await read_dead_letter(log, "none")


async def test_a_retry_that_would_leave_its_bill_stopped_is_refused(log: Log, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"scac":"NVXA","bill_of_lading":"HBL000012345","disposition_code":"1C"}\n')
    await route(log, tmp_path / "a.jsonl")
    (letter,) = [await read_dead_letter(log, one.id) for one in await read_dead_letters(log)]
    other = b'{"scac":"NVXA","bill_of_lading":"OTHER","disposition_code":"1C","action_at":"2026-07-14T08:12"}'
    elsewhere = "none of its events is on the bill that it stops, HBL000012345 of NVXA"
    assert (await retry(log, RULES, letter, other, by="J. Doe")).problem == elsewhere
    assert (await retry(log, RULES, letter, b"", by="J. Doe")).problem == "it contains no event"
    assert (await retry(log, RULES, letter, by="J. Doe")).problem
    assert (await read_dead_letter(log, letter.id)).resolution is None
    with pytest.raises(UsageError, match=f"stops a bill: `snp-router bill confirm {BILL}` resolves both"):
        await dismiss(log, letter, by="J. Doe", reason="in the way")
    assert await deeds(log) == [], "a refused deed leaves no entry"


async def test_a_dead_letter_is_resolved_once(log: Log, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("nonsense\n")
    await ingest_file(log, tmp_path / "a", RULES)
    (letter,) = [await read_dead_letter(log, one.id) for one in await read_dead_letters(log)]
    await dismiss(log, letter, by="J. Doe", reason="our own list")
    letter = await read_dead_letter(log, letter.id)
    corrected = b'{"scac":"NVXA","bill_of_lading":"HBL1","disposition_code":"1C","action_at":"2026-07-14T08:12"}'
    assert (await retry(log, RULES, letter, corrected, by="J. Doe")).problem == "it is already resolved (DISMISSED)"
    assert [action for _, action, _, _ in await deeds(log)] == ["dead-letters dismiss"]


WRONG_COUNT = (FILES / "3-lading-allowed.camir").read_bytes().replace(b"00007", b"00009")


def wrong_count(folder: Path) -> Path:
    path = folder / "a.camir"
    path.write_bytes(WRONG_COUNT)
    return path


async def in_doubt(log: Log, path: Path) -> DeadLetter:
    await route(log, path)
    (letter,) = [one for one in await read_dead_letters(log) if one.resolution is None]
    return await read_dead_letter(log, letter.id)


async def status(log: Log) -> str:
    return assess_bill(await read_state(log, BILL), RULES).status.status


async def test_a_message_in_doubt_counts_once_an_operator_accepts_it(log: Log, tmp_path: Path) -> None:
    await route(log, FILES / "1-on-file.x12")
    await route(log, FILES / "2-do-not-load.camir")
    letter = await in_doubt(log, wrong_count(tmp_path))
    refused = await retry(log, RULES, letter, by="J. Doe")
    assert refused.problem is not None
    assert f"accept it (`snp-router dead-letters accept {letter.id[:12]}`)" in refused.problem
    for by, reason in (("J. Doe", " "), (" ", "CBP meant it so")):
        with pytest.raises(UsageError, match="needs a name and a reason"):
            await accept(log, RULES, letter, by=by, reason=reason)
    await Worker(log, RULES, QUICK, until_idle=True).run()
    assert await status(log) == "DO_NOT_LOAD"

    accepted = await accept(log, RULES, letter, by="J. Doe", reason="CBP meant it so")
    assert accepted[:4] == (letter, 1, (BILL,), ())
    await Worker(log, RULES, QUICK, until_idle=True).run()
    assert await status(log) == "ON_FILE"
    letter = await read_dead_letter(log, letter.id)
    assert letter.resolution == "ACCEPTED"
    with pytest.raises(UsageError, match="is resolved already"):
        await accept(log, RULES, letter, by="J. Doe", reason="once more")
    assert await deeds(log) == [("J. Doe", "dead-letters accept", letter.id, "1 events; CBP meant it so")]


async def test_of_a_longer_message_its_own_file_is_accepted(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await route(log, FILES / "2-do-not-load.camir")
    monkeypatch.setattr(bounded_input, "CONTENT_LIMIT", 100)
    monkeypatch.setattr(bounded_input, "HEAD_SIZE", 50)
    letter = await in_doubt(log, wrong_count(tmp_path))
    with pytest.raises(UsageError, match=r"only the head .* name the file that it came in, .*a.camir.* --with FILE"):
        await accept(log, RULES, letter, by="J. Doe", reason="CBP meant it so")
    with pytest.raises(UsageError, match="the file has another content"):
        await accept(log, RULES, letter, WRONG_COUNT.replace(b"S26E", b"S27E"), by="J. Doe", reason="CBP meant it so")
    two = WRONG_COUNT + WRONG_COUNT.replace(b"S26E", b"S27E")
    with pytest.raises(UsageError, match="the file has 2 messages in doubt: name a file with this one alone"):
        await accept(log, RULES, letter, two, by="J. Doe", reason="CBP meant it so")
    assert (await accept(log, RULES, letter, WRONG_COUNT, by="J. Doe", reason="CBP meant it so")).frees == (BILL,)


async def test_a_message_in_doubt_that_came_whole_is_dismissed(log: Log, tmp_path: Path) -> None:
    await route(log, FILES / "2-do-not-load.camir")
    letter = await in_doubt(log, wrong_count(tmp_path))
    await route(log, FILES / "3-lading-allowed.camir")
    assert await status(log) == "ON_FILE"
    await dismiss(log, letter, by="J. Doe", reason="it came whole")
    assert (await read_dead_letter(log, letter.id)).resolution == "DISMISSED"


async def test_only_a_message_in_doubt_is_accepted(log: Log, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("nonsense\n")
    await ingest_file(log, tmp_path / "a", RULES)
    (letter,) = await read_dead_letters(log)
    with pytest.raises(UsageError, match="is no message in doubt: correct it, then retry it"):
        await accept(log, RULES, letter, by="J. Doe", reason="CBP meant it so")


async def filed_bills(log: Log) -> set[str]:
    return {record.key.decode() async for batch in log.read([topics.FILINGS], until_end=True) for record in batch}


async def test_a_manifest_in_doubt_counts_once_an_operator_accepts_it(log: Log, tmp_path: Path) -> None:
    (tmp_path / "f.309").write_bytes(X12_MANIFEST.replace(b"SE*33", b"SE*34"))
    letter = await in_doubt(log, tmp_path / "f.309")
    assert "OCNXEMPTY1" not in await filed_bills(log)
    accepted = await accept(log, RULES, letter, by="J. Doe", reason="the filer confirmed it")
    assert (accepted.events, accepted.frees) == (3, ())
    assert await filed_bills(log) >= {"NVXAHBL000012345", "OCNXMB7781234", "OCNXEMPTY1"}


async def test_a_damaged_bill_of_a_manifest_is_filed_once_it_is_corrected(log: Log, tmp_path: Path) -> None:
    (tmp_path / "f.309").write_bytes(X12_MANIFEST.replace(b"*120*PKG", b"*12O*PKG"))
    await ingest_file(log, tmp_path / "f.309", RULES)
    (letter,) = [await read_dead_letter(log, one.id) for one in await read_dead_letters(log)]
    assert (await retry(log, RULES, letter, by="J. Doe")).problem == letter.reason
    retried = await retry(log, RULES, letter, letter.content.replace(b"*12O*", b"*120*"), by="J. Doe")
    assert retried.problem is not None, "of a whole message the counts are checked"
    retried = await retry(log, RULES, letter, X12_MANIFEST, by="J. Doe")
    assert (retried.events, retried.problem) == (3, None)
    assert "OCNXEMPTY1" in await filed_bills(log)
    assert (await read_dead_letter(log, letter.id)).resolution == "RETRIED"


async def test_a_filing_ends_no_stop_of_a_dead_letter(log: Log, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"scac":"NVXA","bill_of_lading":"HBL000012345","disposition_code":"1C"}\n')
    await route(log, tmp_path / "a.jsonl")
    (letter,) = [await read_dead_letter(log, one.id) for one in await read_dead_letters(log)]
    problem = (await retry(log, RULES, letter, X12_MANIFEST, by="J. Doe")).problem
    assert problem == "none of its events is on the bill that it stops, HBL000012345 of NVXA"
