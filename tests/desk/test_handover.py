"""The handover to the next shift: everything since a time."""

from __future__ import annotations

import json
from pathlib import Path

from router.clock import now_milliseconds
from router.demo.story import FILES
from router.desk.downtime import declare, end
from router.desk.handover import Handover, Reading, read_handover, section_rows
from router.desk.receipts import WebhookState, state_output
from router.desk.stop_records import CALLED
from router.engine.administration import AuditEntry, audit_output, import_parties, read_registry
from router.feeds.forms import OutageForm, checked
from router.log.interface import AdministeredLog
from tests.desk.installation import BILL, RULES, route

EVENT = {"scac": "NVXA", "bill_of_lading": "HBL000012345", "action_at": "2026-07-16T10:00"}


async def handed_over(log: AdministeredLog, since: int = 0) -> Handover:
    return await read_handover(log, RULES, since, now_milliseconds() + 1)


async def begin_of_shift(log: AdministeredLog, *files: str) -> int:
    """Route these files of the demo, then begin a shift."""
    for name in files:
        await route(log, FILES / name)
    return now_milliseconds() + 1


async def route_event(log: AdministeredLog, folder: Path, **fields: object) -> None:
    (folder / "event.jsonl").write_text(json.dumps(EVENT | fields) + "\n")
    await route(log, folder / "event.jsonl")


async def test_a_do_not_load_of_the_shift_is_new_and_one_from_before_is_not(log: AdministeredLog) -> None:
    since = await begin_of_shift(log, "1-on-file.x12")
    await route(log, FILES / "2-do-not-load.camir")
    shift = await handed_over(log, since)
    first = shift.do_not_loads[0]
    assert (first.bill, first.code, first.status_now, first.stands) == (BILL, "6H", "DO_NOT_LOAD", True)
    assert {one.recipient for one in first.recipients} == {"NVXA", "SLTC", "OCNX", "HARX"}
    later = now_milliseconds() + 1
    assert (await handed_over(log, later)).do_not_loads == ()


async def test_a_do_not_load_that_ended_within_the_shift_stands_no_more(log: AdministeredLog) -> None:
    since = await begin_of_shift(log, "1-on-file.x12")
    for name in sorted(path.name for path in FILES.glob("[2-7]-*")):
        await route(log, FILES / name)
    shift = await handed_over(log, since)
    (ours,) = (one for one in shift.do_not_loads if one.bill == BILL)
    assert (ours.status_now, ours.stands) == ("RELEASED", False)
    holds = [one.hold for one in shift.placed if one.bill == BILL]
    assert holds == ["CBP:6H::120", "CBP:1H::120"]
    assert [one.hold for one in shift.ended if one.bill == BILL] == holds
    assert [(one.bill, one.code, one.revoked) for one in shift.releases if one.bill == BILL][-1] == (BILL, "1C", False)


async def test_it_says_who_has_read_a_do_not_load_and_of_whom_that_is_unknown(log: AdministeredLog) -> None:
    parties = (await read_registry(log)).parties
    hooked = [parties[id]._replace(webhook_url=f"https://{id}.example/") for id in ("NVXA", "OCNX")]
    await import_parties(log, hooked)
    since = await begin_of_shift(log, "1-on-file.x12")
    await route(log, FILES / "2-do-not-load.camir")
    ends = await log.extents([parties["NVXA"].topic])
    await log.append([state_output(WebhookState("NVXA", taken_to=ends[parties["NVXA"].topic].stop))])
    first = (await handed_over(log, since)).do_not_loads[0]
    reading = {one.recipient: one.read for one in first.recipients}
    assert reading == {"NVXA": True, "OCNX": False, "SLTC": None, "HARX": None}
    assert any(one.read is not True for one in first.recipients)
    row = section_rows(await handed_over(log, since))["do_not_load"][0]
    assert (row["read_by"], row["not_read_by"], row["unknown_of"]) == (["NVXA"], ["OCNX"], ["SLTC", "HARX"])
    assert row["unknown_because"] == ["no production_group and no webhook_url is registered"]


async def test_a_party_that_could_not_be_notified_has_not_read_it(log: AdministeredLog) -> None:
    parties = (await read_registry(log)).parties
    await import_parties(log, [parties["SLTC"]._replace(status="suspended")])
    since = await begin_of_shift(log, "1-on-file.x12")
    await route(log, FILES / "2-do-not-load.camir")
    first = (await handed_over(log, since)).do_not_loads[0]
    assert Reading("SLTC", False, "PARTY_NOT_LIVE") in first.recipients


async def test_of_a_bill_held_before_the_shift_only_what_changed_is_told(log: AdministeredLog, tmp_path: Path) -> None:
    await route(log, FILES / "1-on-file.x12")
    await route_event(log, tmp_path, disposition_code="1H")
    since = now_milliseconds() + 1
    await route_event(log, tmp_path, disposition_code="7H", action_at="2026-07-16T11:00")
    shift = await handed_over(log, since)
    assert [one.hold for one in shift.placed if one.bill == BILL] == ["CBP:7H::"]
    assert [one for one in shift.ended if one.bill == BILL] == []
    since = now_milliseconds() + 1
    await route_event(log, tmp_path, disposition_code="1I", action_at="2026-07-16T12:00")
    shift = await handed_over(log, since)
    assert [one.hold for one in shift.ended if one.bill == BILL] == ["CBP:1H::"]
    assert shift.placed == ()
    since = now_milliseconds() + 1
    await route_event(log, tmp_path, disposition_code="7I", action_at="2026-07-16T13:00")
    assert [one.hold for one in (await handed_over(log, since)).ended] == [None], "all that stood"


async def test_a_release_that_was_taken_back_is_told_as_such(log: AdministeredLog, tmp_path: Path) -> None:
    for path in sorted(FILES.glob("[1-7]-*")):
        await route(log, path)
    since = now_milliseconds() + 1
    await route_event(log, tmp_path, disposition_code="1H", action_at="2026-08-01T10:00")
    (back,) = (await handed_over(log, since)).releases
    assert (back.bill, back.revoked, back.status) == (BILL, True, "HELD")


async def test_deeds_by_people_are_told_apart_from_calls_and_log_ins(log: AdministeredLog) -> None:
    now = now_milliseconds()
    entries = [
        AuditEntry(now, "alice", "bill confirm", BILL, "by phone"),
        AuditEntry(now + 1, "alice", CALLED, "SLTC", "reached the desk"),
        AuditEntry(now + 2, "alice", "console log-in", "alice"),
        AuditEntry(now + 3, "router", "clock jumped", "clock"),
    ]
    await log.append([audit_output(entry) for entry in entries])
    shift = await handed_over(log, now)
    assert [(one.by, one.action) for one in shift.deeds] == [("alice", "bill confirm")]
    assert [(one.by, one.subject) for one in shift.calls] == [("alice", "SLTC")]


async def test_outages_of_the_shift_and_open_ones_are_told(log: AdministeredLog) -> None:
    now = now_milliseconds()
    form = checked(OutageForm, {"reason": "ACE is down", "by": "alice", "since": now - 60_000})
    over = await declare(log, form, now)
    await end(log, over.id, "alice", now, now)
    still = await declare(log, form, now)
    assert {one.outage.id for one in (await handed_over(log, now - 1)).outages} == {over.id, still.id}
    assert {one.outage.id for one in (await handed_over(log, now + 60_000 - 59_000)).outages} == {still.id}


async def test_what_waits_and_what_could_not_be_read_is_told_as_of_now(log: AdministeredLog, tmp_path: Path) -> None:
    await route(log, FILES / "1-on-file.x12")
    (tmp_path / "bad.jsonl").write_text("no message of any kind\n")
    await route(log, tmp_path / "bad.jsonl")
    shift = await handed_over(log, now_milliseconds())
    assert len(shift.dead_letters) == 1
    assert shift.waiting == ()
    assert shift.do_not_loads == shift.placed == shift.ended == shift.releases == ()
