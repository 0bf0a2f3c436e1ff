"""The list of notices: a recount of the histories under any filter, however old; each row is on one page."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router import topics
from router.codec.packed import BILL_STATE
from router.decide.consequences import HistoryEntry, Notified
from router.desk.bill_index import BillIndex
from router.desk.index_notices import KINDS, NoticeFilter, notices_of
from router.log.interface import Record
from router.task.outputs import TIMELINE_ENTRY, Origin, TimelineEntry
from tests.desk.test_bill_query import NOW, RULES, life
from tests.desk.walking import backwards, forwards

BILLS = {
    "NVXAHBL1": ("OCEAN EXEMPLAR", "2704"),
    "NVXAHBL2": ("OCEAN EXEMPLAR", "1303"),
    "NVXAHBL3": (None, None),
}
"""Vessel and port of each."""

SENT = st.lists(
    st.tuples(st.sampled_from(["SLTC", "NVXA", "RIVL"]), st.sampled_from([*KINDS])),
    max_size=3,
    unique_by=lambda one: one[0],
)
DECISIONS = st.lists(st.tuples(st.sampled_from([*BILLS]), st.integers(0, 5), SENT, st.booleans()), max_size=25)
FILTERS = st.builds(
    NoticeFilter,
    st.sampled_from(["", "SLTC", "HARX"]),
    st.sampled_from(["", *KINDS]),
    st.sampled_from(["", "EXEMPLAR", "%"]),
    st.sampled_from(["", "2704"]),
    st.booleans(),
)
Decision = tuple[str, int, list[tuple[str, str]], bool]


def timeline(number: int, decision: Decision) -> Record:
    bill, minutes, sent, stops = decision
    notified = tuple(Notified(party, kind, "DISPOSITION", ()) for party, kind in sent)  # type: ignore[arg-type]
    entry = HistoryEntry(
        bill, number, "DISPOSITION", f"e{number}", "1H", NOW, f"remark {number}", False, None, "HELD", (), (),
        f"d{number}", notified, (), 0, do_not_load=stops,
    )  # fmt: skip
    value = TIMELINE_ENTRY.encode(TimelineEntry(entry, Origin("cbp.dispositions", number, None, NOW + minutes, 0)))
    return Record(topics.TIMELINE, 0, number, bill.encode(), value, (), NOW)


def bills() -> list[Record]:
    from msgspec.structs import replace

    made = []
    for number, (key, (vessel, port)) in enumerate(BILLS.items()):
        state = life(("55",), vessel, None, port, "CSQU3054383").state
        made.append(Record(topics.BILLS, 0, number, key.encode(), BILL_STATE.encode(replace(state, key=key)), (), NOW))
    return made


def fits(wanted: NoticeFilter, decision: Decision) -> bool:
    """The filter's meaning, told again."""
    bill, _, sent, stops = decision
    vessel, port = BILLS[bill]
    kinds = {kind for party, kind in sent if wanted.party in ("", party)}
    return all((
        bool(kinds),
        not wanted.kind or wanted.kind in kinds,
        wanted.vessel in (vessel or ""),
        wanted.port in ("", port),
        stops or not wanted.do_not_load,
    ))  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@settings(max_examples=40, deadline=None)
@given(decisions=DECISIONS, wanted=FILTERS, size=st.integers(1, 6), batch=st.integers(1, 9))
def test_a_filter_finds_each_fitting_decision_once_however_old(
    folder: Path, decisions: list[Decision], wanted: NoticeFilter, size: int, batch: int
) -> None:
    async def check() -> None:
        index = BillIndex(folder / "index.db")
        await index.open()
        try:
            records = [*bills(), *(timeline(number, one) for number, one in enumerate(decisions))]
            for start in range(0, len(records), batch):
                await index.write_records(records[start : start + batch], RULES)
            await index.write_records(records, RULES)  # again, as after a crash
            fitting = [(NOW + one[1], one[0], number) for number, one in enumerate(decisions) if fits(wanted, one)]
            everything = [row async for row in index.every_row(notices_of(wanted))]
            shown = [(row.fields["at"], row.fields["bill"], row.fields["sequence"]) for row in everything]
            assert shown == sorted(fitting, reverse=True)
            assert await forwards(index, notices_of(wanted), size) == everything
            assert await backwards(index, notices_of(wanted), size) == everything
            assert [(row.vessel_name, row.port) for row in everything] == [BILLS[bill] for _, bill, _ in shown]
        finally:
            await index.close()
            for name in ("index.db", "index.db-wal", "index.db-shm"):
                (folder / name).unlink(missing_ok=True)

    asyncio.run(check())
