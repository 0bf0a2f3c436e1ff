"""The rules: a removed hold's effect on earlier releases, by code; and a change of the rules, which frees nothing by
itself."""

from __future__ import annotations

from dataclasses import Field, fields, replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.decide.bill_state import assess_bill
from router.decide.codes import CodeTable, Effect, load_codes, with_extra
from router.decide.identity import BillRecord
from router.decide.port_areas import PortAreas
from router.decide.rules import Rules, UnknownRules, rules_of, settings_of
from router.decide.status import (
    DO_NOT_LOAD,
    HELD,
    RELEASE_PREDATES_HOLD,
    RELEASE_UNCONFIRMED,
    RELEASED,
)
from router.errors import FatalLogError
from router.model.inputs import PLACE, ManualEvent, Snapshot, SnapshotHold
from tests.checking.samples import HOUSE, at, dead_letter, event, filing, with_fields
from tests.decide import stories
from tests.decide.one_bill import OneBill

ADDED = event("55", 0)
CODES = load_codes()


def changed(rules: Rules, **changes: Any) -> Rules:
    """The next number of the rules."""
    return replace(rules, number=rules.number + 1, earlier=(*rules.earlier, rules), **changes)


def with_codes(**changes: dict[str, Any]) -> CodeTable:
    """The bundled table with changed columns, by code."""
    rows = {code: one._replace(**changes.get(code, {})) for code, one in CODES.codes.items()}
    return CodeTable("changed", rows.values())


FRESH = Rules()
PREVIOUS = changed(FRESH, release_after_hold="previous")


# Exceptions by code of the hold


def test_an_exam_may_be_an_exception_from_fresh() -> None:
    """1C, then an exam (7H) that CBP lifts (7I): routine trade needs no person. A hold of another code does."""
    rules = Rules(release_after_hold_exceptions={"7H": "previous"})
    assert OneBill(ADDED, event("1C", 1), event("7H", 2), event("7I", 3), rules=rules).status == RELEASED
    one = OneBill(ADDED, event("1C", 1), event("1H", 2), event("1I", 3), rules=rules)
    assert (one.status, one.doubts) == (RELEASE_UNCONFIRMED, (RELEASE_PREDATES_HOLD,))


def test_a_code_may_be_an_exception_from_previous() -> None:
    rules = Rules(release_after_hold="previous", release_after_hold_exceptions={"1H": "fresh"})
    assert OneBill(ADDED, event("1C", 1), event("7H", 2), event("7I", 3), rules=rules).status == RELEASED
    one = OneBill(ADDED, event("1C", 1), event("1H", 2), event("1I", 3), rules=rules)
    assert one.doubts == (RELEASE_PREDATES_HOLD,)


def test_one_hold_under_fresh_suffices_to_need_a_new_release() -> None:
    rules = Rules(release_after_hold_exceptions={"7H": "previous"})
    events = [event("1C", 1), event("7H", 2), event("1H", 2), event("1I", 3), event("7I", 4)]
    assert OneBill(ADDED, *events, rules=rules).doubts == (RELEASE_PREDATES_HOLD,)


def test_a_snapshot_goes_by_the_codes_of_its_holds_too() -> None:
    snapshot = Snapshot(filing(), at(5), 100, at(0), (SnapshotHold("7H", None, None, at(1)),))
    assert OneBill(snapshot, event("7I", 6)).status == RELEASE_UNCONFIRMED
    rules = Rules(release_after_hold_exceptions={"7H": "previous"})
    assert OneBill(snapshot, event("7I", 6), rules=rules).status == RELEASED


# A change of the rules


def test_a_release_that_a_hold_has_outdated_stays_so_under_later_rules() -> None:
    one = OneBill(ADDED, event("1C", 1), event("1H", 2))
    one.rules = PREVIOUS
    one.enter(event("1I", 3))
    assert one.doubts == (RELEASE_PREDATES_HOLD,)
    one.enter(event("1C", 4))
    assert one.status == RELEASED


def test_a_later_hold_goes_by_the_later_rules() -> None:
    one = OneBill(ADDED, event("1C", 1))
    one.rules = PREVIOUS
    one.enter(event("1H", 2), event("1I", 3))
    assert one.status == RELEASED
    one.rules = changed(PREVIOUS, release_after_hold="fresh")
    assert one.status == RELEASED
    one.enter(event("1H", 4), event("1I", 5))
    assert one.doubts == (RELEASE_PREDATES_HOLD,)


def test_a_duplicate_under_later_rules_is_the_event_that_came_first() -> None:
    held = event("1H", 2)
    one = OneBill(ADDED, event("1C", 1), held)
    one.rules = PREVIOUS
    one.enter(held, with_fields(held, resent=True), with_fields(held, snps=("SLTC",)), filing(), event("1I", 3))
    assert one.doubts == (RELEASE_PREDATES_HOLD,)


def test_sums_of_events_keep_it() -> None:
    few = Rules(fold_after_events=8)
    one = OneBill(ADDED, event("1C", 1), event("1H", 2), rules=few)
    one.rules = changed(few, release_after_hold="previous")
    one.enter(event("1I", 3), *(event("1M", 10 + minute) for minute in range(20)))
    assert one.state is not None
    assert one.state.folded is not None
    assert one.doubts == (RELEASE_PREDATES_HOLD,)


def test_a_snapshot_keeps_the_rules_under_which_it_came() -> None:
    snapshot = Snapshot(filing(), at(5), 100, at(0), (SnapshotHold("1H", None, None, at(1)),))
    one = OneBill(snapshot)
    one.rules = PREVIOUS
    assert one.enter(event("1I", 6)).bill is not None
    assert one.doubts == (RELEASE_PREDATES_HOLD,)


@pytest.mark.parametrize("change", [{"do_not_load": False}, {"effect": Effect.INFO}, {"at_destination": True}])
def test_a_row_of_the_code_table_changes_no_hold_that_stands(change: dict[str, Any]) -> None:
    one = OneBill(ADDED, event("6H", 1))
    one.rules = changed(FRESH, codes=with_codes(**{"6H": change}))
    one.enter(event("6H", 2))
    assert one.status == DO_NOT_LOAD
    assert not one.now.holds[0].at_destination


def test_an_unreadable_do_not_load_stays_one() -> None:
    one = OneBill(ADDED, dead_letter(code="6H"))
    one.rules = changed(FRESH, codes=with_codes(**{"6H": {"do_not_load": False}}))
    one.enter(event("1M", 5))
    assert one.status == DO_NOT_LOAD


def test_a_hold_by_hand_is_matched_within_the_hours_that_were_in_force() -> None:
    """Two days apart, 1H by phone and CBP's 1H are two holds; that CBP lifts its own doesn't end the other."""
    said = ManualEvent(HOUSE[:4], HOUSE[4:], "one", PLACE, at(0), "CBP", "phone", "1H", None, None, "me", None, at(0))
    two_days = 2 * 24 * 60
    one = OneBill(ADDED, said, event("1H", two_days), event("1I", two_days + 1))
    assert one.status == HELD
    one.rules = changed(FRESH, manual_match_hours=24 * 14)
    one.enter(event("1M", two_days + 2))
    assert one.status == HELD


def test_no_event_is_judged_by_other_rules_than_those_under_which_it_came() -> None:
    """A command that has read the rules before the bill is to be given again."""
    assert PREVIOUS.at(1) is FRESH
    assert PREVIOUS.at(2) is PREVIOUS
    with pytest.raises(UnknownRules, match="number 3"):
        PREVIOUS.at(3)


# The rules as a record


def test_every_setting_is_in_the_record_by_itself() -> None:
    assert settings_of(FRESH).keys() == {one.name for one in fields(Rules)} - {"number", "earlier"}


@pytest.mark.parametrize("one", fields(Rules), ids=lambda one: one.name)
def test_each_setting_comes_back_from_the_record_as_it_was(one: Field[Any]) -> None:
    """For a new kind of setting, name a value that is not its default here."""
    other: dict[str, Any] = {
        "codes": with_extra("code,meaning,agency,effect\nZQ,news,CBP,INFO\n", "ours.csv"),
        "release_after_hold": "previous",
        "release_after_hold_exceptions": {"7H": "previous"},
        "history_complete_from": frozenset({"55", "69"}),
        "port_areas": PortAreas([("1401", "1402"), ("2704", "2709")]),
        "usage": "test",
        "x420_meanings": {"Y": "resent"},
        "accepted_versions": frozenset({"008010"}),
        "extra_segments": frozenset({"ZZ"}),
    }
    if one.name in ("number", "earlier"):
        return
    usual = getattr(FRESH, one.name)
    value = not usual if isinstance(usual, bool) else other.get(one.name) or usual + 1
    record = msgspec.msgpack.decode(msgspec.msgpack.encode(settings_of(replace(FRESH, **{one.name: value}))))
    back = getattr(rules_of(record, FRESH), one.name)
    if isinstance(value, CodeTable):
        assert (back.version, back.codes) == (value.version, value.codes)
    elif isinstance(value, PortAreas):
        assert back.members() == value.members()
    else:
        assert back == value
        assert type(back) is type(value)


def test_rules_of_a_later_version_of_the_router_stop_this_one() -> None:
    with pytest.raises(FatalLogError, match="rules 2 can't be followed: moon_phase is unknown"):
        rules_of(settings_of(FRESH) | {"moon_phase": "full"}, FRESH)
    with pytest.raises(FatalLogError, match="late_after_minutes"):
        rules_of(settings_of(FRESH) | {"late_after_minutes": "soon"}, FRESH)


_rows = st.fixed_dictionaries(
    {"do_not_load": st.booleans(), "effect": st.sampled_from((Effect.INFO, Effect.PLACE, Effect.LIFT))},
    optional={
        "authority": st.sampled_from(("TERMINAL_EXIT", None)),
        "shown_in_us": st.booleans(),
        "ends_authorities": st.booleans(),
    },
)
new_rules = st.builds(
    lambda rows, **changes: changed(FRESH, codes=with_codes(**rows), **changes),
    st.dictionaries(st.sampled_from(("1H", "6H", "1I", "6I", "1C", "1J", "55", "4E")), _rows, max_size=3),
    release_after_hold=st.sampled_from(("fresh", "previous")),
    release_after_hold_exceptions=st.dictionaries(
        st.sampled_from(("1H", "6H", "1A", "4A")), st.sampled_from(("fresh", "previous")), max_size=2
    ),
    history_complete_from=st.sampled_from((frozenset({"55"}), frozenset({"1C", "55"}))),
    manual_match_hours=st.sampled_from((1, 24, 300)),
    port_areas=st.sampled_from((PortAreas(), PortAreas([("2704", "2709", "1303")]))),
    four_eyes=st.booleans(),
)
names = st.sampled_from("abc")
records = st.lists(
    st.one_of(
        *[stories.dispositions((HOUSE,))] * 4,
        stories.filings((HOUSE,)),
        stories.words((HOUSE,)),
        st.builds(
            dead_letter, st.sampled_from("abc"), st.just(HOUSE), st.integers(0, 9), st.sampled_from((None, "6H"))
        ),
    ),
    min_size=1,
    max_size=20,
)
usual = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@usual
@given(records, new_rules)
def test_no_change_of_the_rules_changes_a_bill_by_itself(entered: list[BillRecord], rules: Rules) -> None:
    one = OneBill(*entered)
    if one.bill is None:
        return
    again = assess_bill(one.bill.state, rules)
    assert again.status._replace(holds=()) == one.now._replace(holds=())
    meaningless = [[hold._replace(meaning=None) for hold in status.holds] for status in (again.status, one.now)]
    assert meaningless[0] == meaningless[1]


@usual
@given(records, new_rules, st.data())
def test_nor_do_duplicates_and_filings_under_the_new_rules(
    entered: list[BillRecord], rules: Rules, data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(entered) | stories.filings((HOUSE,)), max_size=8))
    old, new = OneBill(*entered), OneBill(*entered)
    new.rules = rules
    old.enter(*again)
    new.enter(*again)
    if old.bill is not None:
        assert (new.status, new.doubts, new.now.authorises) == (old.status, old.doubts, old.now.authorises)


@usual
@given(records, records)
def test_without_a_later_hold_a_bill_ends_as_under_the_old_rules(
    before: list[BillRecord], after: list[BillRecord]
) -> None:
    old, new = OneBill(*before), OneBill(*before)
    new.rules = PREVIOUS
    known = ids_of(old)
    for record in after:
        old.enter(record)
        new.enter(record)
        if old.bill is None or any(set(lot.stale_by.values()) - known for lot in old.account.releases):
            return  # a hold that came later outdated a release: that is the new rules' to judge
        assert (new.status, new.doubts, new.now.authorises) == (old.status, old.doubts, old.now.authorises)


def ids_of(one: OneBill) -> set[str]:
    return set() if one.state is None else one.state.event_ids
