"""Random stories for property-based tests: what is fed in, who is registered when, and what happens to the tasks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final, get_args

from hypothesis import strategies as st

from router.decide.codes import Effect, load_codes
from router.model.eastern import DAY, MINUTE, is_first_pass, to_milliseconds
from router.model.inputs import (
    LIFT,
    PLACE,
    RELEASE,
    Disposition,
    Filing,
    ManualEvent,
    PaperBill,
    PaperMatch,
    disposition_of,
    filing_of,
)
from router.model.registry_values import Line, Outage, Party, RegistryNote, Request, Sailing, Scope, party_topic
from tests.checking.harness import Fed, Harness, Registered
from tests.checking.samples import (
    ABOARD,
    BOX,
    HOUSE,
    IMO,
    MASTER,
    OTHER_BOX,
    OTHER_HOUSE,
    START,
    at,
    called,
    dead_letter,
)

CODES: Final = load_codes()
REGULAR: Final = "SLTCREG000055555"
SPLIT: Final = "NVXAHBL000012999"
BILLS: Final = (HOUSE, OTHER_HOUSE, MASTER, REGULAR, SPLIT)
SCACS: Final = ("OCNX", "SLTC", "THRD", "NVXA", "NVXB")
SECRET_REMARKS: Final = "REMARKS-NOT-FOR-ALL"
SECRET_CALLER: Final = "WHO-SAID-SO"
SECRET_ENTRY: Final = "ENT99"
OTHER_IMO: Final = "9321483"
AUTUMN: Final = to_milliseconds(datetime(2026, 11, 1, 0, 30))
"""Half an hour before the hour that autumn repeats."""

BEFORE_IT_WAS_POSTED: Final = -2 * DAY // MINUTE

_STATE_CHANGING: Final = sorted(
    code.code for code in CODES.codes.values() if code.effect not in (Effect.INFO, Effect.ALERT, Effect.VESSEL)
)
_PLAIN: Final = sorted(code.code for code in CODES.codes.values() if code.effect in (Effect.INFO, Effect.ALERT))
_COMMON: Final = (
    "1C",
    "1C",
    "1C",
    "1H",
    "1I",
    "6H",
    "6I",
    "55",
    "55",
    "69",
    "4A",
    "4E",
    "1A",
    "1B",
    "54",
    "56",
    "1J",
    "1Z",
    "12",
    "64",
)

codes = st.one_of(st.sampled_from(_COMMON), st.sampled_from(_COMMON), st.sampled_from(_STATE_CHANGING))
any_code = st.one_of(codes, codes, st.sampled_from(_PLAIN), st.just("Z?"))
_WORD_CODES: Final = {PLACE: ("1H", "6H", "1A", "Z?"), LIFT: (None, "1H", "6I"), RELEASE: (None, "1C", "1B", "1J")}
quantities = st.sampled_from((None, 40, 60, 100, 100, 100, 250))
moments = st.one_of(st.integers(0, 12).map(at), st.integers(0, 200).map(lambda minute: AUTUMN + minute * MINUTE))

_VOYAGES: Final = (
    {},
    ABOARD,
    ABOARD,
    ABOARD | {"carrier_scac": "SLTC", "voyage_number": "X26"},
    ABOARD | {"imo_number": OTHER_IMO, "vessel_name": "OTHER", "voyage_number": "900W", "arrival_date": "2026-09-01"},
)


@st.composite
def dispositions(draw: st.DrawFn, bills: tuple[str, ...] = BILLS) -> Disposition:
    bill = draw(st.sampled_from(bills))
    boxes = draw(st.sampled_from(((), (), (BOX,), (OTHER_BOX,), (BOX, OTHER_BOX), (BOX[:10],))))
    posted = draw(moments)
    second = draw(st.sampled_from((None, None, 0, 10, 30, 59)))
    fields = dict(
        scac=bill[:4],
        bill_of_lading=bill[4:],
        disposition_code=draw(any_code),
        action_at=posted + (second or 0) * 1000,
        action_second=second,
        pass_unknown=is_first_pass(posted // MINUTE) and draw(st.booleans()),
        unknown_zone=draw(st.sampled_from((None,) * 19 + ("LT",))),
        quantity=draw(quantities),
        entry_type=draw(st.sampled_from((None, "01"))),
        entry_number=draw(st.sampled_from((None, "0000000", f"{SECRET_ENTRY}AAA", f"{SECRET_ENTRY}BBB"))),
        container_numbers=boxes,
        container_level=bool(boxes) and draw(st.booleans()),
        transaction_port=draw(st.sampled_from((None, "2704", "2709", "1303"))),
        reversal=draw(st.sampled_from((False,) * 7 + (True,))),
        resent=draw(st.sampled_from((False,) * 7 + (True,))),
        remarks=draw(st.sampled_from((None, f"{SECRET_REMARKS} {bill[:4]}"))),
        snps=draw(st.sampled_from(((), ("OCNX",), ("2:SLTC",), ("OCNX", "SLTC"), ("17:270412345",)))),
        master_bill=draw(st.sampled_from((None, MASTER))) if bill.startswith("NVX") else None,
        original_bill=draw(st.sampled_from((None, HOUSE))) if bill == SPLIT else None,
        received_at=posted + draw(st.sampled_from((0, 1, 2, 3, 4, 5, 5, BEFORE_IT_WAS_POSTED))) * MINUTE,
        uncertain=draw(st.sampled_from((None,) * 7 + ("MESSAGE", "BILL"))),
        **draw(st.sampled_from(_VOYAGES)),
    )
    return disposition_of(fields)


@st.composite
def copies(draw: st.DrawFn, steps: list[Any]) -> list[Disposition]:
    """Some of the story's events again, read whole or from damaged input."""
    told = [step for step in steps if isinstance(step, Disposition)]
    again = draw(st.lists(st.sampled_from(told), max_size=4)) if told else []
    return [one._replace(uncertain=draw(st.sampled_from((None, "MESSAGE", "BILL")))) for one in again]


@st.composite
def filings(draw: st.DrawFn, bills: tuple[str, ...] = BILLS) -> Filing:
    bill = draw(st.sampled_from(bills))
    fields = dict(
        scac=bill[:4],
        bill_of_lading=bill[4:],
        bill_type=draw(st.sampled_from((None, "30", "00", "12"))),
        snps=draw(st.sampled_from(((), ("OCNX",), ("SLTC",)))),
        master_bill=draw(st.sampled_from((None, MASTER))) if bill.startswith("NVX") else None,
        manifested_quantity=draw(st.sampled_from((None, 100, 150))),
        container_numbers=draw(st.sampled_from(((), (BOX,), (OTHER_BOX,)))),
        received_at=START + draw(st.integers(0, 10**6)),
        declared_in=draw(st.sampled_from(("TABLE", "ORIGINAL", "AMENDMENT"))),
        **draw(st.sampled_from(_VOYAGES)),
    )
    return filing_of(fields)


@st.composite
def words(draw: st.DrawFn, bills: tuple[str, ...] = BILLS) -> ManualEvent:
    """Something said by phone. Of few ids, so that words are repeated, also with other content: then the first counts,
    which is why each id has its own."""
    bill = draw(st.sampled_from(bills))
    action = draw(st.sampled_from((PLACE, PLACE, LIFT, RELEASE)))
    code = draw(st.sampled_from(_WORD_CODES[action]))
    minute, quantity, box = draw(st.integers(0, 30)), draw(quantities), draw(st.sampled_from((None, None, BOX)))
    name = f"{bill} {action} {code} {minute} {quantity} {box}"
    said = at(minute)
    return ManualEvent(
        bill[:4], bill[4:], name, action, said, SECRET_CALLER, "phone", code, box, quantity, SECRET_CALLER, None, said
    )


@st.composite
def paper_bills(draw: st.DrawFn, bills: tuple[str, ...] = BILLS) -> PaperBill:
    filing = draw(filings(bills))._replace(declared_in="TABLE")
    return PaperBill(filing, START, "CBPF1302", SECRET_CALLER, received_at=filing.received_at)


@st.composite
def paper_matches(draw: st.DrawFn) -> PaperMatch:
    bill = draw(st.sampled_from(BILLS))
    return PaperMatch(bill[:4], bill[4:], draw(st.sampled_from(BILLS)), SECRET_CALLER, START)


@st.composite
def outages(draw: st.DrawFn, lines: bool = True) -> Outage:
    """Declared, changed or ended; with `lines`, also a line's own."""
    return Outage(
        draw(st.sampled_from(("o1", "o2"))),
        draw(st.sampled_from(("DECLARED", "SILENT"))),
        START,
        port=draw(st.sampled_from((None, "2704", "1303"))),
        carrier=draw(st.sampled_from((None, None, "OCNX", "SLTC"))) if lines else None,
        declared_by=SECRET_CALLER,
        until=draw(st.sampled_from((None, at(60)))),
        ended_at=draw(st.sampled_from((None, at(5)))),
    )


rule_changes = st.fixed_dictionaries(
    {
        "release_after_hold": st.sampled_from(("fresh", "previous")),
        "release_after_hold_exceptions": st.dictionaries(
            st.sampled_from(("1H", "6H", "1A")), st.sampled_from(("fresh", "previous")), max_size=2
        ),
        "manual_match_hours": st.sampled_from((1, 24)),
    }
)
requests = st.builds(
    Request,
    st.sampled_from(("q1", "q2", "q3")),
    st.just("RESYNC"),
    st.sampled_from(SCACS),
    st.just("me"),
    st.just(START),
    st.none() | st.integers(-(2**63), 2**63 - 1),
)
_ticked = st.one_of(st.integers(0, 60).map(at), st.sampled_from((START - DAY, START + 3 * DAY, START + 366 * DAY)))
ticks = st.builds(RegistryNote, st.just("tick"), st.just("tick"), _ticked, st.none())

dead_letters = st.builds(dead_letter, st.sampled_from("abc"), st.sampled_from(BILLS), st.integers(0, 9))
fed: st.SearchStrategy[Fed] = st.one_of(
    *[dispositions()] * 5, filings(), filings(), dead_letters, words(), words(), paper_bills()
)


@st.composite
def parties(draw: st.DrawFn) -> Party:
    scac = draw(st.sampled_from(SCACS))
    return Party(scac, status=draw(st.sampled_from(("live", "live", "live", "suspended", "certifying", "external"))))


@st.composite
def sailings(draw: st.DrawFn) -> Sailing:
    scopes = st.sampled_from(get_args(Scope))
    lines = [Line("OCNX", "operator", "026E", draw(scopes))]
    for scac, voyage in (("SLTC", "X26"), ("THRD", "T26")):
        if draw(st.booleans()):
            lines.append(Line(scac, "charterer", voyage, draw(scopes)))
    lading = draw(st.sampled_from((None, "2026-07-15", "2026-07-20")))
    return Sailing("S1", IMO, "OCEAN EXEMPLAR", called("2026-07-28"), tuple(lines), lading)


notes = st.builds(
    RegistryNote,
    st.sampled_from(("missing", "back")),
    st.sampled_from([party_topic(scac) for scac in SCACS]),
    st.just(0),
)


@dataclass
class Story:
    """`steps` are fed in order; after each, the random generator says what the tasks do."""

    steps: list[Fed | Registered | dict[str, Any]]
    """A dictionary is a change of the rules."""
    random: Random


@st.composite
def stories(draw: st.DrawFn, roster: bool = True, lines: bool = True) -> Story:
    kinds = [fed, fed, fed, fed]
    steps: list[Any] = [*map(Party, SCACS), draw(sailings())]
    if roster:
        kinds += [parties(), sailings(), notes]  # type: ignore[list-item]
        kinds += [outages(lines), requests, ticks, paper_matches(), rule_changes]  # type: ignore[list-item]
    steps += draw(st.lists(st.one_of(*kinds), min_size=1, max_size=25))
    steps += draw(copies(steps))
    return Story(steps, draw(st.randoms(use_true_random=False)))


def tell(harness: Harness, step: Fed | Registered | dict[str, Any]) -> None:
    if isinstance(step, dict):
        harness.change_rules(**step)
    elif isinstance(step, Party | Sailing):
        harness.roster(step)
    elif isinstance(step, Registered):
        harness.register(step)
    else:
        harness.feed(step)


def live_through(story: Story, harness: Harness, trouble: bool = True) -> None:
    """Feed the story in, with tasks lagging, abandoning transactions and being restarted as it comes; then let all
    settle."""
    random = story.random
    for step in story.steps:
        tell(harness, step)
        if trouble:
            disturb(harness, random)
    harness.pump(random)


def disturb(harness: Harness, random: Random) -> None:
    partition = random.randrange(harness.partitions)
    match random.randrange(6):
        case 0 | 1:
            harness.transact(partition, random.randint(1, 5), random.randint(0, 2))
        case 2:
            harness.pump(random)
        case 3:
            harness.abandon(partition, random.randint(1, 5), random.randint(0, 2))
        case 4:
            harness.restart(partition)
        case _:
            pass
