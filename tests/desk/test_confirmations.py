"""Confirmations and clearances at the desk: previewed, bound to what was seen, refused in words, audited."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.decide.bill_state import assess_bill
from router.decide.rules import Rules
from router.demo.story import FILES
from router.desk.bill_views import NotFoundError, read_state
from router.desk.clearances import clear
from router.desk.confirmations import (
    BillFilter,
    Operator,
    confirm,
    confirm_previewed,
    fingerprint,
    preview,
)
from router.engine.worker import Worker
from router.errors import UsageError
from router.feeds.forms import ClearanceForm, checked
from router.log.interface import Log
from router.model.vocabulary import Status
from tests.cli.conftest import event_line
from tests.desk.installation import BILL, QUICK, RULES, route
from tests.desk.test_operator_deeds import deeds

ANNA = Operator("Anna", "os:anna", "by phone")
BEN = Operator("Ben", "os:ben", "by phone")


def words(**more: object) -> ClearanceForm:
    usual = {"source": "J. Smith, CBP", "reason": "removal lost", "by": "Anna", "ticket": "4711"}
    return checked(ClearanceForm, usual | more)


async def status(log: Log, bill: str = BILL) -> Status:
    await Worker(log, RULES, QUICK, until_idle=True).run()
    return assess_bill(await read_state(log, bill), RULES).status.status


async def feed(log: Log, folder: Path, *events: dict[str, object]) -> None:
    (folder / "events.jsonl").write_text("".join(event_line(**one) for one in events))
    await route(log, folder / "events.jsonl")


HELD = ({"disposition_code": "1H"}, {"disposition_code": "1C", "action_at": "2026-07-14T09:00", "quantity": 120})


async def held(log: Log, folder: Path, *bills: str) -> None:
    """Bills on file, held, and released while held."""
    await route(log, FILES / "1-on-file.x12")
    numbers = [{"bill_of_lading": bill[4:]} for bill in bills or (BILL,)]
    await feed(log, folder, *(one | number for number in numbers for one in HELD))


async def test_a_hold_of_cbp_is_cleared_by_one_and_confirmed_by_another(log: Log, tmp_path: Path) -> None:
    await held(log, tmp_path)
    hold = assess_bill(await read_state(log, BILL), RULES).status.holds[0]
    form = words(events=(hold.events[0][:10],))
    seen = await clear(log, RULES, BILL, form, user=ANNA.user, preview=True)
    assert (seen.after.status, seen.needs_second_person) == ("RELEASE_UNCONFIRMED", True)
    assert [notice.kind for notice in seen.notices] == ["change"] * len(seen.notices)
    assert await deeds(log) == [], "a preview writes nothing"
    assert seen._replace(clearance=None) == (  # type: ignore[arg-type]
        await clear(log, RULES, BILL, form, user=ANNA.user)
    )._replace(clearance=None)  # type: ignore[arg-type]
    ((by, action, subject, detail),) = await deeds(log)
    assert (by, action, subject) == ("Anna", "hold clear", BILL)
    assert detail == f"CBP 1H: removal lost (J. Smith, CBP, ticket 4711; os:anna; events {hold.events[0]})"
    assert await status(log) == "RELEASE_UNCONFIRMED"
    with pytest.raises(UsageError, match=r"you cleared 1H .* yourself \(os:anna\): another person has to confirm"):
        await confirm(log, RULES, BILL, ANNA)
    await confirm(log, RULES, BILL, BEN)
    assert await status(log) == "RELEASED"
    assert (await deeds(log))[-1][3] == "by phone (os:ben; RELEASE_PREDATES_HOLD, CLEARED_BY_HAND; covers 3 events)"


async def test_one_person_does_if_the_rule_of_four_eyes_is_off(log: Log, tmp_path: Path) -> None:
    await held(log, tmp_path)
    hold = assess_bill(await read_state(log, BILL), RULES).status.holds[0]
    await clear(log, RULES, BILL, words(events=hold.events), user=ANNA.user)
    await Worker(log, RULES, QUICK, until_idle=True).run()
    assert "CLEARED_BY_HAND" in (await confirm(log, Rules(four_eyes=False), BILL, ANNA)).doubts


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"kind": "CBP"}, UsageError, "a CBP hold is cleared by the ids of its events"),
        ({"kind": "BOX"}, UsageError, "has no such hold"),
        ({"events": ("zz",)}, NotFoundError, "no hold of .* has the event zz"),
        ({"kind": "UNREADABLE"}, UsageError, "has no such hold"),
    ],
)
async def test_what_names_no_hold_is_refused(
    log: Log, tmp_path: Path, fields: dict[str, object], error: type[Exception], message: str
) -> None:
    await held(log, tmp_path)
    with pytest.raises(error, match=message):
        await clear(log, RULES, BILL, words(**fields), user=ANNA.user)
    assert await deeds(log) == []


async def test_holds_of_cbp_are_cleared_one_at_a_time(log: Log, tmp_path: Path) -> None:
    boxes = ["CSQU3054383", "MSKU9070323"]
    await route(log, FILES / "1-on-file.x12")
    await feed(log, tmp_path, {"disposition_code": "1H", "container_numbers": boxes, "container_level": True})
    event = assess_bill(await read_state(log, BILL), RULES).status.holds[0].events[0]
    with pytest.raises(UsageError, match="one at a time: name the container"):
        await clear(log, RULES, BILL, words(events=(event,)), user=ANNA.user)
    cleared = await clear(log, RULES, BILL, words(events=(event,), container=boxes[0]), user=ANNA.user)
    assert [hold.container_number for hold in cleared.holds] == ["CSQU305438"]


async def test_all_unreadable_events_at_once_with_their_dead_letters(log: Log, tmp_path: Path) -> None:
    await route(log, FILES / "1-on-file.x12")
    lines = [f'{{"scac":"NVXA","bill_of_lading":"{BILL[4:]}","disposition_code":"1C","x":{n}}}\n' for n in range(3)]
    (tmp_path / "bad.jsonl").write_text("".join(lines))
    await route(log, tmp_path / "bad.jsonl")
    assert await status(log) == "HELD"
    cleared = await clear(log, RULES, BILL, words(kind="UNREADABLE"), user=ANNA.user)
    assert (len(cleared.holds), len(cleared.letters), cleared.needs_second_person) == (3, 3, False)
    assert await status(log) == "ON_FILE"


async def test_a_confirmation_covers_all_events_that_are_on_the_bill_now(log: Log) -> None:
    for name in ("1-on-file.x12", "4-arrival-and-release.x12", "5-exam.x12"):
        await route(log, FILES / name)
    state = await read_state(log, BILL)
    confirmed = await confirm(log, RULES, BILL, ANNA)
    ((by, action, subject, detail),) = await deeds(log)
    assert (by, action, subject) == ("Anna", "bill confirm", BILL)
    assert detail.startswith("by phone")
    assert set(confirmed.covers) == assess_bill(state, RULES).confirmable_ids() == state.event_ids
    await Worker(log, RULES, QUICK, until_idle=True).run()
    after = assess_bill(await read_state(log, BILL), RULES).status
    assert (after.status, after.doubts) == ("HELD", ())


async def test_a_confirmation_of_a_bill_that_changed_since_it_was_seen_is_refused(log: Log, tmp_path: Path) -> None:
    await held(log, tmp_path)
    seen = fingerprint(assess_bill(await read_state(log, BILL), RULES))
    await feed(log, tmp_path, {"disposition_code": "2H", "action_at": "2026-07-14T10:00"})
    with pytest.raises(UsageError, match="has changed since you saw it"):
        await confirm(log, RULES, BILL, ANNA, seen=seen)


OTHER = "NVXAHBL000012346"


async def test_many_bills_are_confirmed_as_previewed_and_those_that_changed_are_named(log: Log, tmp_path: Path) -> None:
    await route(log, FILES / "1-on-file.x12")
    events = (
        {"disposition_code": "55", "action_at": "2026-07-14T07:00", "quantity": 120},
        {"disposition_code": "1C", "action_at": "2026-07-14T08:00", "quantity": 120},
        {"disposition_code": "7H", "action_at": "2026-07-14T09:00"},
        {"disposition_code": "7I", "action_at": "2026-07-14T10:00"},
    )
    bills = [{"bill_of_lading": bill[4:], "carrier_scac": "OCNX"} for bill in (BILL, OTHER)]
    await feed(log, tmp_path, *(event | bill for bill in bills for event in events))
    wanted = BillFilter("RELEASE_PREDATES_HOLD", carrier="OCNX", hold_code="7H")
    seen = await preview(log, RULES, wanted)
    assert [(one.bill, one.status) for one in seen] == [(bill, "RELEASE_UNCONFIRMED") for bill in (BILL, OTHER)]
    for other in (wanted._replace(hold_code="1H"), wanted._replace(carrier="SLTC"), wanted._replace(port="1303")):
        assert await preview(log, RULES, other) == []
    await feed(log, tmp_path, {"disposition_code": "1K", "bill_of_lading": OTHER[4:], "action_at": "2026-07-14T11:00"})
    confirmed, skipped = await confirm_previewed(log, RULES, seen, BEN)
    assert [one.bill for one in confirmed] == [BILL]
    assert [(one.bill, one.reason) for one in skipped] == [(OTHER, "changed since the preview")]
    assert (await status(log), await status(log, OTHER)) == ("RELEASED", "RELEASE_UNCONFIRMED")
    again, skipped = await confirm_previewed(log, RULES, seen, BEN)
    assert (again, len(skipped)) == ([], 2)
