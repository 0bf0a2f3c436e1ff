"""`audit verify` on a log that a router has routed: it is whole, and whoever changes the file is found out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from router import codec, topics
from router.demo.story import FILES, set_up
from router.desk.audit_check import ExportedHead, Verified, exported, read_exported, read_heads, verify
from router.desk.operator_deeds import relay
from router.engine.administration import AuditEntry, acting_from, audit_output, os_user
from router.engine.audit_seals import AUDIT_SEAL
from router.engine.worker import Worker
from router.errors import InputError
from router.feeds.forms import ManualForm
from router.log.interface import AdministeredLog, Output
from router.log.sqlite.store import checksum
from router.log.url import open_log
from tests.desk.installation import BILL, QUICK, RULES, route

NOW = 1_784_030_400_000


@pytest.fixture(autouse=True)
def without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.desk.audit_check.AGAIN_SECONDS", 0.0)


async def routed(path: Path, deeds: int = 4) -> Path:
    async with open_log(f"sqlite:///{path}/snp.db") as log:
        await fill(log, deeds)
    return path / "snp.db"


async def fill(log: AdministeredLog, deeds: int = 4) -> None:
    """Route a history of one bill, with sealed deeds."""
    await set_up(log)
    await route(log, FILES / "1-on-file.x12")
    for number in range(deeds):
        form = ManualForm.model_validate(
            {
                "scac": BILL[:4],
                "bill_of_lading": BILL[4:],
                "action": "PLACE" if number % 2 == 0 else "LIFT",
                "code": "1H",
                "said_at": NOW + number,
                "by": "J. Doe",
            }
        )
        await relay(log, RULES, form, NOW + number)
    await Worker(log, RULES, QUICK, until_idle=True).run()


async def verified(path: Path, *heads: str) -> dict[tuple[str, int], Verified]:
    async with open_log(f"sqlite:///{path}") as log:
        known = read_exported([line.encode() for line in heads], "heads")
        return {(one.topic, one.partition): one for one in await verify(log, known)}


async def faults(path: Path, *heads: str) -> list[tuple[str, str]]:
    """Topic and kind of each fault."""
    return [(one.topic, fault.kind) for one in (await verified(path, *heads)).values() for fault in one.faults]


class File:
    """A log's file in the hands of somebody who knows its format, checksums included."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path)

    def ids(self, topic: str) -> list[int]:
        """Records of the partition of the topic that has most."""
        first, partitions = self.connection.execute(
            "SELECT first_place, partitions FROM topics WHERE name = ?", (topic,)
        ).fetchone()
        found = [
            [one for (one,) in self.connection.execute(
                "SELECT id FROM records WHERE id >= ? AND id < ? ORDER BY id", (place << 40, (place + 1) << 40)
            )]
            for place in range(first, first + partitions)
        ]  # fmt: skip
        return max(found, key=len)

    def row(self, identity: int) -> tuple[bytes, bytes, bytes | None, int]:
        row: tuple[bytes, bytes, bytes | None, int] = self.connection.execute(
            "SELECT key, value, headers, timestamp FROM records WHERE id = ?", (identity,)
        ).fetchone()
        return row

    def write(self, topic: str, rows: list[tuple[bytes, bytes, bytes | None, int]]) -> None:
        """Replace the partition's records."""
        ids = self.ids(topic)
        place = ids[0] >> 40
        self.connection.execute("DELETE FROM records WHERE id >= ? AND id <= ?", (ids[0], ids[-1]))
        for identity, row in enumerate(rows, ids[0]):
            written = checksum(identity, *row)
            self.connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, NULL)", (identity, written, *row))
        end = (ids[0] & ((1 << 40) - 1)) + len(rows)
        self.connection.execute("UPDATE ends SET next_offset = ? WHERE place = ?", (end, place))
        self.connection.commit()

    def edit(self, topic: str, change: Callable[[list[tuple[bytes, bytes, bytes | None, int]]], None]) -> None:
        rows = [self.row(identity) for identity in self.ids(topic)]
        change(rows)
        self.write(topic, rows)


async def test_a_routed_log_is_whole_and_its_deeds_are_sealed(tmp_path: Path) -> None:
    path = await routed(tmp_path)
    found = await verified(path)
    assert all(one.faults == () for one in found.values())
    assert found[topics.AUDIT, 0].unsealed == ()
    assert found[topics.AUDIT, 0].entries == found[topics.AUDIT_SEALS, 0].entries >= 4
    assert sum(one.entries for (topic, _), one in found.items() if topic == topics.TIMELINE) >= 5


async def test_a_deed_that_no_router_has_seen_is_named_as_unproved(tmp_path: Path) -> None:
    path = await routed(tmp_path)
    async with open_log(f"sqlite:///{path}") as log:
        await log.append([audit_output(AuditEntry(NOW, "anna", "resync", "SLTC"))])
    audit = (await verified(path))[topics.AUDIT, 0]
    assert (audit.faults, len(audit.unsealed)) == ((), 1)
    assert "SLTC" in audit.unsealed[0]


@pytest.mark.parametrize("topic", [topics.TIMELINE, topics.AUDIT, topics.AUDIT_SEALS])
@pytest.mark.parametrize("deed", ["change", "remove", "insert", "swap", "remove the last"])
async def test_whoever_changes_the_file_is_found_out(tmp_path: Path, topic: str, deed: str) -> None:
    path = await routed(tmp_path)

    def change(rows: list[tuple[bytes, bytes, bytes | None, int]]) -> None:
        assert len(rows) >= 4
        if deed == "change":
            rows[2] = (b"NVXAOTHER", *rows[2][1:])
        elif deed == "remove":
            del rows[2]
        elif deed == "insert":
            rows.insert(2, rows[0])
        elif deed == "swap":
            rows[1], rows[2] = rows[2], rows[1]
        else:
            del rows[-1]

    File(path).edit(topic, change)
    found = await faults(path)
    assert {of_topic for of_topic, _ in found} >= {topic} if topic != topics.AUDIT_SEALS else found
    kinds = {kind for of_topic, kind in found if of_topic == topic}
    expected = {
        "change": {"changed"}, "remove": {"missing"}, "remove the last": {"missing"}, "insert": {"out of place"},
        "swap": {"missing", "out of place"},
    }  # fmt: skip
    if topic == topics.AUDIT:
        expected |= {"insert": {"inserted"}, "swap": {"missing", "inserted"}}
    assert kinds == expected[deed]


@pytest.mark.parametrize("topic", [topics.TIMELINE, topics.AUDIT, topics.AUDIT_SEALS])
async def test_a_start_cut_by_retention_is_no_fault(tmp_path: Path, topic: str) -> None:
    path = await routed(tmp_path)
    file = File(path)
    file.connection.execute("UPDATE topics SET retention_days = 1 WHERE name = ?", (topic,))
    for identity in file.ids(topic)[:2]:
        file.connection.execute("DELETE FROM records WHERE id = ?", (identity,))
    file.connection.commit()
    assert await faults(path) == []


@pytest.mark.parametrize("topic", [topics.TIMELINE, topics.AUDIT, topics.AUDIT_SEALS])
async def test_a_start_that_is_gone_from_a_topic_without_retention_is_missing(tmp_path: Path, topic: str) -> None:
    path = await routed(tmp_path)
    File(path).edit(topic, lambda rows: rows.__delitem__(slice(2)))
    assert (topic, "missing") in await faults(path)


async def test_a_row_that_is_gone_from_the_file_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    path = await routed(tmp_path)
    file = File(path)
    file.connection.execute("DELETE FROM records WHERE id = ?", (file.ids(topics.TIMELINE)[1],))
    file.connection.commit()
    assert (topics.TIMELINE, "unreadable") in await faults(path)


async def test_history_written_anew_with_its_positions_is_found_by_exported_heads_alone(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = await routed(tmp_path / "old"), await routed(tmp_path / "new", 5)
    async with open_log(f"sqlite:///{old}") as log:
        kept = [codec_line(head) for head in exported(await read_heads(log), NOW)]
    assert await faults(new) == []
    assert "head differs" in {kind for _, kind in await faults(new, *kept)}
    async with open_log(f"sqlite:///{old}") as log:
        await route(log, FILES / "2-do-not-load.camir")
    assert await faults(old, *kept) == []
    results = (await verified(old, *kept)).values()
    assert sum(one.compared for one in results) == sum(one.head is not None and one.head.number > 0 for one in results)


def codec_line(head: ExportedHead) -> str:
    return msgspec.json.encode(head).decode()


async def test_a_line_that_is_no_head_is_refused_with_its_place() -> None:
    with pytest.raises(InputError, match="heads, line 2"):
        read_exported([b"", b'{"topic": 1}'], "heads")


async def test_bytes_that_are_no_entry_stop_nothing_and_are_sealed(tmp_path: Path) -> None:
    path = await routed(tmp_path)
    async with open_log(f"sqlite:///{path}") as log:
        await log.append([Output(topics.AUDIT, b"\xff" * 5000, b"\x00garbage"), Output(topics.AUDIT, b"", None)])
        await Worker(log, RULES, QUICK, until_idle=True).run()
        seals = [record async for batch in log.read([topics.AUDIT_SEALS], until_end=True) for record in batch]
    assert all(len(AUDIT_SEAL.decode(one.value or b"").subject) <= 100 for one in seals)
    found = await verified(path)
    assert (found[topics.AUDIT, 0].unsealed, found[topics.AUDIT, 0].faults) == ((), ())


async def test_an_entry_names_the_machine_s_user_whatever_name_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "somebody-else")
    with acting_from("192.0.2.7"):
        output = audit_output(AuditEntry(NOW, "J. Doe", "resync", "SLTC", os_user="forged", address="forged"))
    _, fields = codec.decode(output.value or b"")
    assert (fields["by"], fields["os_user"], fields["address"]) == ("J. Doe", os_user(), "192.0.2.7")
    assert os_user() != "somebody-else"
