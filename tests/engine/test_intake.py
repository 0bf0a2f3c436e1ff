"""Feeding in on a real log: the topic and key of each event, bounded batches, and the summary."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from router import topics
from router.codec import decode_value
from router.decide.rules import Rules
from router.demo.story import FILES
from router.engine import intake
from router.engine.administration import import_parties
from router.engine.feed_activity import FeedMonitor
from router.engine.intake import append_filings, event_outputs, ingest_file
from router.errors import InputError
from router.feeds.tables import read_filings
from router.log.interface import Log, Output
from router.model.inputs import DeadLetter, Disposition, Filing, ManualEvent, Shipment
from router.model.registry_values import FeedActivity, Party
from tests.feeds.samples import X12_MANIFEST

RULES = Rules()
LINE = {"scac": "NVXA", "bill_of_lading": "B1", "disposition_code": "1C", "action_at": "2026-07-14T08:12"}


async def values(log: Log, topic: str) -> list[object]:
    batches = log.read([topic], until_end=True)
    return [decode_value(record.value) async for batch in batches for record in batch if record.value is not None]


def lines(path: Path, *changes: dict[str, object] | str) -> Path:
    written = (change if isinstance(change, str) else json.dumps(LINE | change) for change in changes)
    path.write_text("".join(f"{line}\n" for line in written))
    return path


async def test_an_event_goes_to_dispositions_and_one_that_stops_to_urgent_too(log: Log, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {}, {"disposition_code": "1H"}, {"disposition_code": "QQ"})
    intake = await ingest_file(log, path, RULES)
    assert (intake.events, intake.urgent, intake.dead_letters) == (3, 2, 0)
    urgent = [value.disposition_code for value in await values(log, topics.URGENT) if isinstance(value, Disposition)]
    assert urgent == ["1H", "QQ"]
    assert len(await values(log, topics.DISPOSITIONS)) == 3


async def test_an_unreadable_event_stops_its_bill_and_without_a_bill_is_a_dead_letter(log: Log, tmp_path: Path) -> None:
    intake = await ingest_file(log, lines(tmp_path / "a.jsonl", {"action_at": "never"}, "garbage", {}), RULES)
    assert (intake.events, intake.dead_letters) == (1, 2)
    assert [isinstance(value, DeadLetter) for value in await values(log, topics.URGENT)] == [True]
    (letter,) = await values(log, topics.DEAD_LETTERS)
    assert isinstance(letter, DeadLetter)
    assert letter.content == b"garbage"
    assert letter.source.endswith("a.jsonl:record 2")
    assert any("record 1" in problem for problem in intake.problems)


async def test_each_event_carries_its_source_and_the_time_it_was_received(log: Log) -> None:
    await ingest_file(log, FILES / "2-do-not-load.camir", RULES, source="desk 7", received_at=1_800_000_000_000)
    (event,) = await values(log, topics.DISPOSITIONS)
    assert isinstance(event, Disposition)
    assert (event.source or "").startswith("desk 7:")
    assert event.received_at == 1_800_000_000_000


async def test_batches_are_bounded_in_records_and_in_bytes(log: Log) -> None:
    batches = intake.Batches(log)
    small = Output(topics.DISPOSITIONS, b"k", b"v")
    assert not batches.add([small] * (intake.BATCH_RECORDS - 1))
    assert batches.add([small])
    await batches.flush()
    assert batches.add([Output(topics.DISPOSITIONS, b"k", b"v" * intake.BATCH_BYTES)])
    ends = await log.end_offsets(topics.DISPOSITIONS)
    assert sum(ends.values()) == intake.BATCH_RECORDS


async def test_progress_counts_every_byte(log: Log, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *[{}] * 1000)
    read: list[int] = []
    await ingest_file(log, path, RULES, read.append)
    assert sum(read) == path.stat().st_size


MESSAGES = {
    "X12": ((FILES / "1-on-file.x12").read_text(), 3),
    "CAMIR": ((FILES / "2-do-not-load.camir").read_text(), 1),
    "JSON Lines": (json.dumps(LINE) + "\n", 1),
}


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_message_in_a_pipe_is_on_the_log_once_it_is_complete(log: Log, tmp_path: Path, name: str) -> None:
    message, count = MESSAGES[name]
    os.mkfifo(tmp_path / "pipe")
    monitor = FeedMonitor(log, "cbp", RULES)
    feeding = asyncio.create_task(ingest_file(log, tmp_path / "pipe", RULES, monitor=monitor))
    with await asyncio.to_thread((tmp_path / "pipe").open, "w") as pipe:
        for written in (1, 2):
            pipe.write(message[:50])
            pipe.flush()
            await asyncio.sleep(0.3)
            pipe.write(message[50:])
            pipe.flush()
            async with asyncio.timeout(20):
                while len(await values(log, topics.DISPOSITIONS)) < written * count:
                    await asyncio.sleep(0.02)
            assert not feeding.done()
    assert (await feeding).events == 2 * count
    first, last = (await values(log, topics.DISPOSITIONS))[:: 2 * count - 1]
    assert isinstance(first, Disposition)
    assert isinstance(last, Disposition)
    assert (first.received_at or 0) < (last.received_at or 0)
    assert None in monitor.last_active or "2704" in monitor.last_active


async def test_messages_for_others_are_no_activity(log: Log, tmp_path: Path) -> None:
    isa, gs, *_ = (FILES / "1-on-file.x12").read_text().splitlines()
    path = tmp_path / "997.x12"
    path.write_text(f"{isa}{gs}ST*997*0001~AK1*SO*1~AK9*A*1*1*1~SE*4*0001~GE*1*501~IEA*1*000000501~")
    intake = await ingest_file(log, path, RULES, monitor=FeedMonitor(log, "cbp", RULES))
    assert intake.others == {"997": 1}
    assert not [value for value in await values(log, topics.REGISTRY) if isinstance(value, FeedActivity)]


async def test_a_message_that_stops_in_the_middle_of_a_pipe_counts_as_cut(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "QUIET_SECONDS", 0.3)
    os.mkfifo(tmp_path / "pipe")
    feeding = asyncio.create_task(ingest_file(log, tmp_path / "pipe", RULES))
    message = (FILES / "2-do-not-load.camir").read_text()
    with await asyncio.to_thread((tmp_path / "pipe").open, "w") as pipe:
        pipe.write(message[: message.index("ZCR")])
        pipe.flush()
        async with asyncio.timeout(20):
            while not await values(log, topics.URGENT):
                await asyncio.sleep(0.02)
        pipe.write(json.dumps(LINE) + "\n")
    assert (await feeding).events == 2


async def test_a_wait_for_a_pipe_ends_when_it_is_cancelled(log: Log, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    feeding = asyncio.create_task(ingest_file(log, tmp_path / "pipe", RULES))
    await asyncio.sleep(0.1)
    feeding.cancel()
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await feeding


async def test_unreadable_rows_of_filings_are_returned(log: Log) -> None:
    wrong = InputError("wrong", place="row 2")
    imported = await append_filings(log, [Filing("NVXA", "B1"), wrong, Filing("NVXA", "B2")])
    assert (imported.count, imported.problems) == (2, [wrong])
    assert len(await values(log, topics.FILINGS)) == 2


@pytest.mark.parametrize("bill_type", ["12", "2", "empty"])
async def test_an_empty_filed_by_an_nvocc_is_refused_with_what_to_do(log: Log, bill_type: str) -> None:
    """CBP Trade Act FAQ, vessel mode, section 16. Known by its role, an alias of that party, or its master bill."""
    await import_parties(log, [Party("NVXA", roles=("NVOCC",), aliases=("NVXZ",)), Party("SLTC", roles=("carrier",))])
    under_sltc = Shipment(carrier_scac="OCNX", master_bill="SLTCMB1")
    filed = [
        Filing("NVXA", "B1", bill_type, source="filings.csv:row 2"),
        Filing("NVXZ", "B2", bill_type, source="filings.csv:row 3"),
        Filing("FWDX", "B3", bill_type, shipment=under_sltc, source="filings.csv:row 4"),
        Filing("SLTC", "B4", bill_type, shipment=under_sltc, source="filings.csv:row 5"),
        Filing("FWDX", "B5", bill_type, source="filings.csv:row 6"),
        Filing("NVXA", "B6", "30", source="filings.csv:row 7"),
    ]
    imported = await append_filings(log, filed)
    assert [problem.place for problem in imported.problems] == [f"filings.csv:row {row}" for row in (2, 3, 4)]
    assert all("bill_type" in problem.reason for problem in imported.problems)
    filed_bills = {filing.bill_of_lading for filing in await values(log, topics.FILINGS) if isinstance(filing, Filing)}
    assert filed_bills == {"B4", "B5", "B6"}


async def test_an_nvoccs_empty_in_a_manifest_is_put_aside_and_stops_nothing(log: Log, tmp_path: Path) -> None:
    await import_parties(log, [Party("NVXA", roles=("NVOCC",))])
    (tmp_path / "f.309").write_bytes(X12_MANIFEST.replace(b"12*SHANGHAI**OCNX", b"12*SHANGHAI**NVXA"))
    for _ in range(2):
        intake = await ingest_file(log, tmp_path / "f.309", RULES, monitor=FeedMonitor(log, "cbp", RULES))
        assert (intake.filings, intake.events, intake.dead_letters) == (2, 0, 1)
    (letter,) = await values(log, topics.DEAD_LETTERS)
    assert isinstance(letter, DeadLetter)
    assert "an NVOCC files it" in letter.reason
    assert letter.scac is None
    (again,) = read_filings([letter.content], "f", 5)
    assert isinstance(again, Filing)
    assert (again.bill_of_lading, again.bill_type) == ("EMPTY1", "12")


HOLD = Disposition("OCN", "MB1", "1H", 0)
LETTER = DeadLetter("abc", "why", "FILE", "x12", b"", 0, "NVXA", "H1")


def calm(_: Disposition) -> bool:
    return False


def pressing(_: Disposition) -> bool:
    return True


def test_a_disposition_is_keyed_by_its_bill() -> None:
    (output,) = event_outputs(HOLD, calm)
    assert (output.topic, output.key) == (topics.DISPOSITIONS, b"OCN MB1")
    assert output.value is not None
    assert decode_value(output.value) == HOLD


def test_an_urgent_disposition_goes_past_the_backlog_too() -> None:
    assert [output.topic for output in event_outputs(HOLD, pressing)] == [topics.URGENT, topics.DISPOSITIONS]


def test_a_vessel_event_is_keyed_by_its_vessel() -> None:
    voyage = Shipment("OCNX", imo_number="9074729", vessel_name="OCEAN EXEMPLAR", voyage_number="026E")
    event = Disposition(None, None, "AAD", 0, shipment=voyage)
    assert event_outputs(event, calm)[0].key == b"vessel:9074729:OCNX:026E"
    unnumbered = event._replace(shipment=voyage._replace(imo_number=None))
    assert event_outputs(unnumbered, calm)[0].key == b"vessel:OCEAN EXEMPLAR:OCNX:026E"


def test_an_unparsed_event_with_a_bill_goes_past_the_backlog() -> None:
    outputs = event_outputs(LETTER, calm)
    assert [output.topic for output in outputs] == [topics.URGENT, topics.DISPOSITIONS]
    assert {output.key for output in outputs} == {b"NVXAH1"}


def test_an_unparsed_event_without_a_bill_goes_to_the_dead_letters() -> None:
    (output,) = event_outputs(LETTER._replace(scac=None, bill_of_lading=None), calm)
    assert (output.topic, output.key) == (topics.DEAD_LETTERS, b"abc")


def test_of_manual_events_a_placement_alone_goes_past_the_backlog() -> None:
    said = ManualEvent("OCN", "MB1", "m1", "PLACE", 0, "me", "phone", "6H")
    assert [output.topic for output in event_outputs(said, calm)] == [topics.URGENT, topics.DISPOSITIONS]
    for action in ("LIFT", "RELEASE"):
        (output,) = event_outputs(said._replace(action=action), pressing)
        assert (output.topic, output.key) == (topics.DISPOSITIONS, b"OCN MB1")
