"""One deed on many bills: it does what was foreseen, and leaves alone what has changed since."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router import codec
from router.decide.registry import Registry
from router.demo.story import FILES
from router.desk.bill_index import BillIndex
from router.desk.bill_query import query_of
from router.desk.bulk_deeds import BulkDeed, do, foresee, foresee_records
from router.desk.confirmations import Operator
from router.desk.index_following import current_index
from router.desk.operator_deeds import accept
from router.engine.administration import read_registry
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.errors import UsageError
from router.feeds.formats import read_events
from router.log.interface import AdministeredLog, Log
from router.model.inputs import Disposition
from tests.cli.conftest import event_line
from tests.desk.installation import BILL, QUICK, RULES
from tests.desk.installation import route as route_file
from tests.desk.test_operator_deeds import in_doubt, status, wrong_count

NUMBERS = ("HBL1", "HBL2", "HBL3")
KEYS = [f"NVXA{number}" for number in NUMBERS]
OPERATOR = Operator("anna", "console:anna", "CBP's list")
CONFIRM = BulkDeed("confirm", OPERATOR)


async def route(log: Log, *events: dict[str, object]) -> None:
    lines = "".join(event_line(**event) for event in events).encode()
    read = [one for one in read_events((lines,), "events.jsonl", 0) if isinstance(one, Disposition)]
    await log.append([output for one in read for output in event_outputs(one, RULES.codes.is_urgent)], atomic=True)
    await Worker(log, RULES, QUICK, until_idle=True).run()


def life(number: str, *codes: str) -> list[dict[str, object]]:
    return [
        {"bill_of_lading": number, "disposition_code": code, "action_at": f"2026-07-15T0{hour}:00", "quantity": 5}
        for hour, code in enumerate(codes, 1)
    ]


@asynccontextmanager
async def indexed(log: AdministeredLog, folder: Path) -> AsyncIterator[BillIndex]:
    async with current_index(folder / "index.db", log, RULES, lambda progress: None) as index:
        yield index


async def statuses(index: BillIndex) -> list[str]:
    query = query_of({"bill": "HBL*", "party": "NVXA", "sort": "bill"})
    return [row.status async for row in index.every_bill(query, Registry(), 0) if row.bill in KEYS]


async def test_a_confirmation_of_many_does_what_was_foreseen(log: AdministeredLog, tmp_path: Path) -> None:
    await route(log, *(event for number in NUMBERS[:2] for event in life(number, "55", "1C", "1H", "1I")))
    await route(log, *life("HBL3", "55", "1C"))
    async with indexed(log, tmp_path) as index:
        foreseen = await foresee(index, await read_registry(log), RULES, CONFIRM, KEYS)
        *possible, refused = foreseen
        assert [one.bill for one in possible] == KEYS[:2]
        assert {(one.before, one.after) for one in possible} == {("RELEASE_UNCONFIRMED", "RELEASED")}
        assert {one.by for one in possible} == {("ends release predates hold",)}
        assert "nothing to confirm" in (refused.refusal or "")
        assert all(("NVXA", "release") in one.notices for one in possible)
        seen = {one.bill: one.seen for one in possible}
        await route(log, *life("HBL2", "55", "1C", "1H", "1I", "1H"))
        done = await do(log, RULES, CONFIRM, seen)
        assert [(one.bill, one.refusal) for one in done] == [(KEYS[0], None), (KEYS[1], "changed since the preview")]
        await route(log)
    async with indexed(log, tmp_path) as index:
        assert await statuses(index) == ["RELEASED", "HELD", "RELEASED"]


async def test_holds_of_a_kind_are_cleared_on_many_bills(log: AdministeredLog, tmp_path: Path) -> None:
    await route(log, *(event for number in NUMBERS[:2] for event in life(number, "55", "0X")))
    await route(log, *life("HBL3", "55", "1H"))
    deed = BulkDeed("clear", OPERATOR, "UNKNOWN_CODE", "J. Smith, CBP")
    async with indexed(log, tmp_path) as index:
        foreseen = await foresee(index, await read_registry(log), RULES, deed, KEYS)
        *possible, refused = foreseen
        assert [one.by for one in possible] == [("ends unknown code 0X",)] * 2
        assert "has no such hold" in (refused.refusal or "")
        done = await do(log, RULES, deed, {one.bill: one.seen for one in possible})
        assert all(one.is_done for one in done)
        await route(log)
        assert not any(one.is_done for one in await do(log, RULES, deed, {one.bill: one.seen for one in foreseen}))
    async with indexed(log, tmp_path) as index:
        assert await statuses(index) == ["ON_FILE", "ON_FILE", "HELD"]


async def test_holds_that_cbp_sent_are_not_cleared_together(log: AdministeredLog, tmp_path: Path) -> None:
    deed = BulkDeed("clear", OPERATOR, "CBP", "J. Smith, CBP")
    async with indexed(log, tmp_path) as index:
        with pytest.raises(UsageError, match="cleared together by their kind"):
            await foresee(index, await read_registry(log), RULES, deed, KEYS)
        with pytest.raises(UsageError, match="source"):
            await foresee(index, await read_registry(log), RULES, deed._replace(kind="BOX", source=None), KEYS)
        with pytest.raises(UsageError, match="1,001 bills: narrow the list to 1,000"):
            await foresee(index, await read_registry(log), RULES, CONFIRM, KEYS[:1] * 1001)


async def test_an_accepted_message_does_to_its_bills_what_was_foreseen(log: AdministeredLog, tmp_path: Path) -> None:
    for name in ("1-on-file.x12", "2-do-not-load.camir"):
        await route_file(log, FILES / name)
    letter = await in_doubt(log, wrong_count(tmp_path))
    accepted = await accept(log, RULES, letter, by="J. Doe", reason="CBP meant it so", preview=True)
    async with indexed(log, tmp_path) as index:
        (foreseen,) = await foresee_records(index, await read_registry(log), RULES, accepted.read)
    assert (foreseen.bill, foreseen.before, foreseen.after, foreseen.by) == (BILL, "DO_NOT_LOAD", "ON_FILE", ("6I",))
    before = {party: await log.end_offsets(f"snp.party.{party}") for party, _ in foreseen.notices}
    await accept(log, RULES, letter, by="J. Doe", reason="CBP meant it so")
    await Worker(log, RULES, QUICK, until_idle=True).run()
    assert await status(log) == foreseen.after
    assert before, "somebody is notified"
    for party, kind in foreseen.notices:
        topic = f"snp.party.{party}"
        async for batch in log.read([topic], begin={(topic, 0): before[party][0]}, until_end=True):
            found = [codec.decode(record.value or b"") for record in batch]
            own = [got for got, fields in found if f"{fields['scac']}{fields['bill_of_lading']}" == BILL]
            assert own == [kind]
