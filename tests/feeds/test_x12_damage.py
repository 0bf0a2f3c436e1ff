"""One edit of a valid X12 message frees nothing more, names no party more, and loses no stop that is still readable.

`benchmarks/damage.py` judges the same by what parties receive. Here it is the reader's own promise, in a thousandth of
the time.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from router.decide.identity import event_key, identity
from router.feeds.formats import read_dead_letter
from router.feeds.x12 import read_x12
from router.feeds.x12_interchanges import USUAL
from router.feeds.x12_segments import SEGMENTS, fault_of, is_whole_set
from router.model.identifiers import bill_key
from router.model.inputs import DeadLetter, Disposition
from tests.checking.damage import EDITS, Pieces
from tests.checking.messages import OLD_VERSION, PARTIES, STOPS, some_events, x12_segments
from tests.feeds.samples import RECEIVED_AT

TRIALS = 300
VESSELS = ("OCEAN EXEMPLAR", "OTHER VESSEL")


def read(content: str) -> list[Disposition | DeadLetter]:
    results = read_x12([content.encode("latin-1")], "FILE", RECEIVED_AT)
    return [one for one in results if isinstance(one, Disposition | DeadLetter)]


def certain(results: list[Disposition | DeadLetter]) -> set[tuple[str, tuple[str, ...]]]:
    """Events that may free, each with its containers."""
    events = (one for one in results if isinstance(one, Disposition) and one.uncertain is None)
    return {(identity(event, event_key(event)), event.container_numbers) for event in events}


def parties(results: list[Disposition | DeadLetter]) -> set[tuple[str, str]]:
    """Bills with their second notify parties, and with the vessel by which others are found."""
    events = [one for one in results if isinstance(one, Disposition)]
    named = {(event_key(event), name) for event in events for name in (*event.snps, event.shipment.vessel_name)}
    return {(key, name) for key, name in named if name in (*PARTIES, *VESSELS)}


def stopped(results: list[Disposition | DeadLetter]) -> set[tuple[str, str | None]]:
    return {
        (bill_key(one.scac, one.bill_of_lading), one.disposition_code)
        for one in results
        if one.scac is not None and one.bill_of_lading is not None
    }


def assert_no_more(content: str, whole: str, edit: str) -> None:
    """Holds for damage that can be seen: another value of the right kind makes another valid message."""
    before, after = read(whole), read(content)
    letters = [one for one in after if isinstance(one, DeadLetter)]
    bills = {key for key, _ in stopped(before)}
    if letters:
        assert certain(after) <= certain(before), edit
        assert {(key, name) for key, name in parties(after) if key in bills} <= parties(before), edit
    segments = whole.replace("\n", "").split("~")
    for text in content.replace("\n", "").split("~")[:-1]:
        if text[:2] == "X4" and text in segments and (x4 := text.split("*"))[7] in STOPS:
            assert (bill_key(x4[9], x4[1]), x4[7]) in stopped(after), edit
    for letter in letters:
        again = [one for one in read_dead_letter(letter, RECEIVED_AT) if isinstance(one, Disposition)]
        assert not certain(list(again)), edit


@settings(max_examples=TRIALS, deadline=None)
@given(st.integers(0, 1 << 32))
def test_one_edit_frees_nothing_and_names_nobody_more(seed: int):
    random = Random(seed)
    version = random.choice(("006050", OLD_VERSION))
    segments = x12_segments(some_events(random), random.randint(1, 3), version)
    pieces = Pieces("x12", segments, random.choice(("~", "~\n")))
    damaged = random.choice(EDITS["x12"])(pieces, random)
    if damaged is not None and damaged.content != pieces.whole():
        assert_no_more(damaged.content, pieces.whole(), damaged.edit)


@settings(max_examples=TRIALS, deadline=None)
@given(st.integers(0, 1 << 32))
def test_a_lost_stretch_joins_no_two_messages(seed: int):
    random = Random(seed)
    first = "~".join(x12_segments(some_events(random), 1)) + "~"
    second = "~".join(x12_segments(some_events(random), 2)) + "~"
    second = second.replace("703", "704").replace(*VESSELS)
    whole = first + second
    start = random.randrange(len(whole))
    end = random.randrange(start, len(whole))
    content = whole[:start] + whole[end:]
    if content.strip("~") and content not in (first, second):
        assert_no_more(content, whole, f"lost {whole[start:end]!r} at {start}")


ELEMENT = st.one_of(
    st.sampled_from(["", "1", "12", "ET", "OB", "NVXA", "HBL000012345", "20260714", "0812", "1H", "CSQU", "3054383"]),
    st.text(st.characters(min_codepoint=0, max_codepoint=255, exclude_characters="*~\r\n"), max_size=40),
)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(SEGMENTS.keys() - {"GS", "ST", "SE", "GE", "IEA"})), st.lists(ELEMENT, max_size=26))
def test_a_set_that_is_whole_at_first_sight_has_no_damaged_segment(name: str, elements: list[str]):
    """The pattern of a whole set accepts nothing that the table of segments refuses."""
    segment = "*".join((name, *elements))
    before = {"M10": "", "P4": "~M10*OCNX"}.get(name, "~M10*OCNX~P4*2704*20260728")
    before += "~X4*A*1***20260714*0812*1H**NVXA" if name in ("N9", "N7") else ""
    body = f"{before}~{segment}"
    if is_whole_set(body, 0, len(body), USUAL, references_lead=False):
        assert fault_of([name, *elements]) is None
