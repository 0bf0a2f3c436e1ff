"""Lists of parties and sailings: equal to a recount from the registry under any facets, and paged without gap or
repetition in every order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.decide.registry import Registry
from router.desk.bill_index import BillIndex
from router.desk.index_lists import Selection
from router.desk.index_reading import unread_of
from router.desk.index_registry import PARTY_ORDERS, SAILING_ORDERS, SHOWN, lines_of, parties_of, sailings_of
from router.desk.receipts import Receipt
from router.desk.unread_notices import DO_NOT_LOAD, HELD, Stop, UnreadNotices
from router.errors import UsageError
from router.model.registry_values import Line, Party, PortCall, Sailing
from tests.desk.walking import backwards, forwards

TODAY = "2026-07-25"
DAYS = ("2026-07-01", "2026-07-24", "2026-07-25", "2026-08-10")
SCACS = ("SLTC", "NVXA", "RIVL", "HARX", "OCNX")

PARTIES = st.dictionaries(
    st.sampled_from(SCACS),
    st.tuples(
        st.sampled_from(["Slot Charterer", "Nine % _ Lines", None]),
        st.sampled_from(["live", "suspended"]),
        st.sampled_from(["+1 555 0100", None]),
    ),
)
CALLS = st.lists(st.builds(PortCall, st.sampled_from(["2704", None]), st.sampled_from([*DAYS, None])), max_size=2)
LINES = st.lists(
    st.builds(Line, st.sampled_from(SCACS), st.just("charterer"), st.sampled_from(["026E", None]), st.just("own")),
    max_size=3,
    unique_by=lambda line: line.scac,
)
SAILINGS = st.dictionaries(
    st.sampled_from([f"S{number}" for number in range(8)]),
    st.tuples(st.sampled_from(["9074729", "9000001"]), st.sampled_from(["OCEAN EXEMPLAR", None]), CALLS, LINES),
)
STOPS = st.sets(st.tuples(st.sampled_from(SCACS), st.sampled_from("ABC"), st.sampled_from([DO_NOT_LOAD, HELD])))


@pytest.fixture(scope="module")
def loop() -> Iterable[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(loop: asyncio.AbstractEventLoop, tmp_path_factory: pytest.TempPathFactory) -> Iterable[BillIndex]:
    """One file for all examples: the registry replaces what was there."""
    made = BillIndex(tmp_path_factory.mktemp("index") / "index.db")
    loop.run_until_complete(made.open())
    yield made
    loop.run_until_complete(made.close())


async def names(index: BillIndex, selection: Selection[object], size: int) -> list[str]:
    """Names of the rows, the same by pages forwards, by pages backwards, and in an export."""
    everything = [row async for row in index.every_row(selection)]
    assert await forwards(index, selection, size) == everything
    assert await backwards(index, selection, size) == everything
    return [row[0] for row in everything]  # type: ignore[index]


def unread(stops: Iterable[tuple[str, str, str]], registry: Registry) -> list[UnreadNotices]:
    """Each party's unread stops; HARX can't be followed."""
    made = {
        one.id: UnreadNotices(one, Receipt(unknown="no group" if one.id == "HARX" else None))
        for one in registry.parties.values()
        if one.status == "live"
    }
    for party, bill, kind in sorted(stops):
        if party in made:
            made[party].stops[bill] = Stop(bill, kind, ord(bill) % 2, "n", was_released=False)
    return list(made.values())


@settings(max_examples=60, deadline=None)
@given(
    known=PARTIES, stops=STOPS, text=st.sampled_from(["", "sl", "% _", "0100"]), sort=st.sampled_from([*PARTY_ORDERS]),
    order=st.sampled_from(["", "asc", "desc"]), status=st.sampled_from(["", "live"]),
    reading=st.sampled_from(["", "do-not-load", "any", "unknown"]), size=st.integers(1, 4),
)  # fmt: skip
def test_parties_are_a_recount_of_the_registry(
    shared: BillIndex, loop: asyncio.AbstractEventLoop, known: dict[str, Party], stops: set[tuple[str, str, str]],
    text: str, sort: str, order: str, status: str, reading: str, size: int,
) -> None:  # fmt: skip
    registry = Registry()
    for scac, (name, standing, phone) in known.items():
        registry.apply(Party(scac, name, status=standing, contact_phone=phone))
    found = unread(stops, registry)
    kinds = {one.party.id: {stop.kind for stop in one.stops.values()} for one in found}

    def fits(party: Party) -> bool:
        searched = " ".join((party.id, party.name or "", party.contact_phone or "")).upper()
        by_reading = {
            "": True,
            "do-not-load": DO_NOT_LOAD in kinds.get(party.id, ()),
            "any": bool(kinds.get(party.id)),
            "unknown": party.id == "HARX" and party.status == "live",
        }
        return text.upper() in searched and status in ("", party.status) and by_reading[reading]

    async def check() -> None:
        await shared.write_registry(registry)
        await shared.write_unread(found)
        given = {"text": text, "sort": sort, "order": order, "status": status, "reading": reading}
        shown = await names(shared, parties_of({name: value for name, value in given.items() if value}), size)
        assert sorted(shown) == sorted(one.id for one in registry.parties.values() if fits(one))
        if sort == "unread" and order != "asc":
            counts = [len([1 for stop in one.stops.values() if stop.kind == DO_NOT_LOAD]) for one in found]
            by_party = dict(zip((one.party.id for one in found), counts, strict=True))
            assert [by_party.get(one, 0) for one in shown] == sorted(
                (by_party.get(one, 0) for one in shown), reverse=True
            )
        for kind, words in (("any", {DO_NOT_LOAD, HELD}), ("do-not-load", {DO_NOT_LOAD})):
            expected = sorted(one.party.id for one in found for stop in one.stops.values() if stop.kind in words)
            assert sorted(await names(shared, unread_of(kind=kind), size)) == expected

    loop.run_until_complete(check())


@settings(max_examples=60, deadline=None)
@given(
    known=SAILINGS, text=st.sampled_from(["", "s1", "ocean", "rivl", "%"]), sort=st.sampled_from(SAILING_ORDERS),
    order=st.sampled_from(["", "asc", "desc"]), show=st.sampled_from(SHOWN), size=st.integers(1, 4),
)  # fmt: skip
def test_sailings_are_a_recount_of_the_registry(
    shared: BillIndex, loop: asyncio.AbstractEventLoop,
    known: dict[str, tuple[str, str | None, list[PortCall], list[Line]]],
    text: str, sort: str, order: str, show: str, size: int,
) -> None:  # fmt: skip
    registry = Registry()
    for name, (imo, vessel, calls, lines) in known.items():
        registry.apply(Sailing(name, imo, vessel, tuple(calls), tuple(lines)))
    sailings = registry.roster.sailings()

    def fits(one: Sailing) -> bool:
        searched = " ".join((one.sailing_id, one.vessel_name or "", *(line.scac for line in one.lines))).upper()
        is_past = one.last_arrival_date is not None and one.last_arrival_date < TODAY
        return text.upper() in searched and (show == "all" or is_past == (show == "past"))

    async def check() -> None:
        await shared.write_registry(registry)
        given = {"text": text, "sort": sort, "order": order, "show": show}
        selection = sailings_of({name: value for name, value in given.items() if value}, TODAY)
        shown = await names(shared, selection, size)
        assert sorted(shown) == sorted(name for name, one in sailings.items() if fits(one))
        if sort == "arrival" and show == "coming" and order != "desc":
            first = [min((day for day in sailings[one].dates if day >= TODAY), default="~") for one in shown]
            assert first == sorted(first), "the next arrival first, those without a date last"
        for name, one in sailings.items():
            lines = [row async for row in shared.every_row(lines_of(name))]
            assert sorted(lines) == sorted(one.lines), "every line aboard"
            assert await forwards(shared, lines_of(name), size) == lines

    loop.run_until_complete(check())


async def test_a_word_that_selects_nothing_is_refused() -> None:
    for words in ({"status": "x"}, {"reading": "x"}, {"sort": "x"}, {"order": "x"}):
        with pytest.raises(UsageError, match="is none of"):
            parties_of(words)
    with pytest.raises(UsageError, match="is none of"):
        sailings_of({"show": "x"}, TODAY)


async def test_a_changed_party_replaces_what_was_known_of_it(index: BillIndex) -> None:
    registry = Registry()
    registry.apply(Party("SLTC", "before"))
    await index.write_registry(registry)
    registry.apply(Party("SLTC", "after"))
    await index.write_registry(registry)
    assert [one.name for one in (await index.page(parties_of({}))).rows] == ["after"]
