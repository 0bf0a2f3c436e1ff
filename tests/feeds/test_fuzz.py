"""Any bytes end in events and dead letters: no exception, bounded records, and no difference between chunks."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import InputError
from router.feeds.formats import FORMATS, read_dead_letter, read_events
from router.feeds.tables import read_bills, read_filings, read_parties, read_sailings
from router.model.inputs import CONTENT_LIMIT, DeadLetter, Disposition, Filing, Snapshot, SnapshotHold
from tests.feeds import samples
from tests.feeds.samples import published, read_published
from tests.feeds.test_formats import ONE_OF_EACH

JSON_LINE = (
    b'{"scac":"NVXA","bill_of_lading":"H1","disposition_code":"1H","action_at":"2026-07-14T08:12","snps":"A;B"}\n'
)
CSV = (
    b"scac,bill_of_lading,snps,status_at,sailing_id,imo_number,role\nNVXA,H1,OCNX;SLTC,2026-07-14,S1,9074729,operator\n"
)
WELL_FORMED = (
    samples.X12_DO_NOT_LOAD,
    samples.X12_HOLD_AND_RELEASE,
    samples.X12_NOMINATION_AND_ARRIVAL,
    samples.one_line(samples.X12_HOLD_AND_RELEASE),
    samples.CAMIR_DO_NOT_LOAD,
    samples.CAMIR_REMOVED_AND_RELEASED,
    b"".join(samples.records(samples.CAMIR_ARRIVAL)),
    b"~".join(samples.records(samples.CAMIR_DO_NOT_LOAD)),
    JSON_LINE * 3,
    CSV,
    *ONE_OF_EACH.values(),
)
PIECES = (
    b"~",
    b"*",
    b"\n",
    b"\r\n",
    b"X4*",
    b"ISA*",
    b"IEA*1*1~",
    b"ST*350*0001~",
    b"R02",
    b"ACR",
    b"ZCR",
    b"\x00",
    b"\xff",
    b'"',
    b"{",
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A well-formed file with some places cut, doubled or overwritten."""
    content = bytearray(draw(st.sampled_from(WELL_FORMED)) + draw(st.sampled_from((b"", *WELL_FORMED))))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 40))
        content[place : place + length] = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20), st.just(b"")))
    return bytes(content)


ANY_BYTES = st.one_of(mutated(), st.binary(max_size=300), st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join))


def in_chunks(content: bytes, sizes: list[int]) -> Iterable[bytes]:
    place = 0
    for size in sizes:
        yield content[place : place + size]
        place += size
    yield content[place:]


@settings(max_examples=300, deadline=None)
@given(ANY_BYTES)
def test_any_bytes_are_read_to_their_end_and_every_event_fits_its_schema(content: bytes):
    for event in read_events([content], "FILE", 5):
        assert isinstance(event, Disposition | DeadLetter)
        assert read_published(type(event), published(event)) == event
        if isinstance(event, DeadLetter):
            assert event.reason
            assert len(event.content) <= CONTENT_LIMIT
            assert all(isinstance(again, Disposition | DeadLetter) for again in read_dead_letter(event, 6))


@settings(max_examples=200, deadline=None)
@given(ANY_BYTES, st.lists(st.integers(0, 50), max_size=60))
def test_chunks_change_nothing(content: bytes, sizes: list[int]):
    for read in (*(known.read for known in FORMATS.values()), read_events):
        whole = list(read([content], "FILE", 5))
        assert list(read(in_chunks(content, sizes), "FILE", 5)) == whole


@settings(max_examples=150, deadline=None)
@given(ANY_BYTES)
def test_tables_of_any_bytes_have_rows_or_problems(content: bytes):
    for table in (read_parties, read_sailings):
        assert all(isinstance(problem, InputError) for problem in table([content], "FILE").problems)
    for stream in (read_filings, read_bills):
        for row in stream([content], "FILE", 5):
            if not isinstance(row, InputError):
                assert_kept_whole(row)


def assert_kept_whole(row: Filing | Snapshot) -> None:
    """It fits its published schema, and what a snapshot adds to its filing fits UTF-8 and 64 bits."""
    filing = row.filing if isinstance(row, Snapshot) else row
    assert read_published(Filing, published(filing)) == filing
    if isinstance(row, Snapshot):
        own = json.loads(json.dumps(row[1:], ensure_ascii=False).encode())
        assert row == Snapshot(filing, *own[:-1], tuple(SnapshotHold(*hold) for hold in own[-1]))
        numbers = [value for part in (row, *row.holds) for value in part if isinstance(value, int)]
        assert all(abs(number) < 1 << 63 for number in numbers)
