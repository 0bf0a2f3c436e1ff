"""One edit of a valid message, and the judge of its outcome beside the outcome of the whole message.

The promise: damage that leaves an invalid structure, count, length or value yields no release and no authority more,
tells no party of a bill more, and loses no stop that is still readable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple

from router import topics
from router.feeds.bounded_input import OtherMessage
from router.feeds.formats import read_events
from router.model.registry_values import Line, Party
from tests.checking.harness import Harness
from tests.checking.messages import (
    OLD_VERSION,
    PARTIES,
    STOPS,
    BillEvent,
    avro_file,
    camir_records,
    json_lines,
    some_events,
    whole_bills,
    x12_segments,
)
from tests.checking.samples import at, sailing

RECEIVED: Final = at(24 * 60)
CARRIERS: Final = ("OCNX", "HARX", "NVXA", "NVXB", "NVXC")
HEADERS: Final = ("ISA", "GS*", "ST*", "M10", "P4*", "SE*", "GE*", "IEA", "ACR", "M01", "R01", "ZCR")
SYNC_MARKER: Final = 16
"""Bytes at the end of each block of an Avro file."""
NOISE: Final = ("\x00", "\x07", "!", "^", "é", "\xa0", "?", "_", ";")
"""Texts that no value of the messages may have."""


class Pieces(NamedTuple):
    """A message's segments, records or lines, and the text after each."""

    format: str
    texts: list[str]
    end: str

    def whole(self) -> str:
        return "".join(text + self.end for text in self.texts)

    def replaced(self, place: int, *texts: str) -> str:
        return self._replace(texts=[*self.texts[:place], *texts, *self.texts[place + 1 :]]).whole()


class Damaged(NamedTuple):
    edit: str
    content: str
    harmless: bool = False
    """True if the message says the same, so that nothing at all may differ."""


Edit = Callable[[Pieces, Random], Damaged | None]


def dropped(pieces: Pieces, random: Random) -> Damaged | None:
    place = random.randrange(len(pieces.texts))
    return Damaged(f"drop {pieces.texts[place]!r}", pieces.replaced(place))


def doubled(pieces: Pieces, random: Random) -> Damaged | None:
    place = random.randrange(len(pieces.texts))
    text = pieces.texts[place]
    return Damaged(f"double {text!r}", pieces.replaced(place, text, text), pieces.format == "jsonl")


def swapped(pieces: Pieces, random: Random) -> Damaged | None:
    """Two neighbours of which one is a header or trailer. Details of neighbouring events may be exchanged in a valid
    message too, so no reader can tell."""
    places = [
        place
        for place in range(len(pieces.texts) - 1)
        if any(text[:3] in HEADERS for text in pieces.texts[place : place + 2])
    ]
    if not places:
        return None
    place = random.choice(places)
    one, other = pieces.texts[place : place + 2]
    if OLD_VERSION in pieces.texts[1] and {one[:3], other[:3]} == {"P4*", "X4*"}:
        return None  # a port without a bill, and one with two, are valid
    texts = [*pieces.texts[:place], other, one, *pieces.texts[place + 2 :]]
    return Damaged(f"swap {one!r} and {other!r}", pieces._replace(texts=texts).whole())


def cut(pieces: Pieces, random: Random) -> Damaged | None:
    """The end is missing; of the last piece at least one character that counts."""
    whole = pieces.whole()
    length = random.randrange(len(whole) - len(pieces.texts[-1]) - len(pieces.end) + len(pieces.texts[-1].rstrip()) - 1)
    if pieces.format == "jsonl" and whole[length : length + 1] in ("\n", ""):
        return None
    if pieces.format == "avro" and whole[:length].endswith(whole[-SYNC_MARKER:]):
        return None  # a file of fewer blocks is valid
    return Damaged(f"cut at {length} of {len(whole)}", whole[:length])


def glued(pieces: Pieces, random: Random) -> Damaged | None:
    """The end of a piece is missing."""
    if len(pieces.texts) < 2:
        return None
    place = random.randrange(len(pieces.texts) - 1)
    one, other = pieces.texts[place : place + 2]
    texts = [*pieces.texts[:place], one + other, *pieces.texts[place + 2 :]]
    if pieces.end == "~\n":
        content = "".join(text + ("\n" if place == index else pieces.end) for index, text in enumerate(pieces.texts))
        return Damaged(f"glue {one!r} and {other!r}", content)
    return Damaged(f"glue {one!r} and {other!r}", pieces._replace(texts=texts).whole())


def broken(pieces: Pieces, random: Random) -> Damaged | None:
    """The end of a piece comes within it."""
    if not pieces.end:
        return None
    place = random.randrange(len(pieces.texts))
    text = pieces.texts[place]
    at_place = random.randrange(1, len(text.rstrip()))
    if pieces.format == "camir" and pieces.end == "\n":
        return None  # a record with its blanks trimmed, and a line that is none
    return Damaged(f"break {text!r} at {at_place}", pieces.replaced(place, text[:at_place], text[at_place:]))


def retagged(pieces: Pieces, random: Random) -> Damaged | None:
    """Another character in a name."""
    place = random.randrange(len(pieces.texts))
    text = pieces.texts[place]
    index = random.randrange(2)
    return Damaged(f"rename {text!r} at {index}", pieces.replaced(place, text[:index] + "Q" + text[index + 1 :]))


def recased(pieces: Pieces, random: Random) -> Damaged | None:
    """Names in lower case, which may be read as they are meant."""
    place = random.randrange(len(pieces.texts))
    text = pieces.texts[place]
    return Damaged(f"lower-case {text!r}", pieces.replaced(place, text[:3].lower() + text[3:]))


def garbled(pieces: Pieces, random: Random) -> Damaged | None:
    """A character that no value may have. Remarks may have any."""
    places = [place for place, text in enumerate(pieces.texts) if not text.startswith(("K1", "R03"))]
    place = random.choice(places)
    text = pieces.texts[place]
    if pieces.format == "jsonl":
        field = random.choice(("scac", "bill_of_lading", "disposition_code", "action_at", "quantity"))
        index = text.index(f'"{field}": ') + len(field) + 5
    else:
        index = random.choice([index for index, letter in enumerate(text) if letter.isalnum()])
    noise = random.choice(NOISE)
    return Damaged(
        f"put {noise!r} into {text!r} at {index}", pieces.replaced(place, text[:index] + noise + text[index + 1 :])
    )


def shifted(pieces: Pieces, random: Random) -> Damaged | None:
    """An element separator more or less, or a place more or less of a record."""
    place = random.randrange(len(pieces.texts))
    text = pieces.texts[place]
    if pieces.format == "x12" and text[:2] == "X4":
        stars = [index for index, letter in enumerate(text) if letter == "*"]
        index = random.choice(stars[:9])
        changed = text[:index] + random.choice(("", "**")) + text[index + 1 :]
    elif pieces.format == "camir" and text[:3] == "R02":
        index = random.randrange(3, 50)
        changed = text[:index] + random.choice(("", "0" + text[index])) + text[index + 1 :]
    else:
        return None
    return Damaged(f"shift {text!r} at {index}", pieces.replaced(place, changed))


def wrapped(pieces: Pieces, random: Random) -> Damaged | None:
    """Line breaks every 80 characters, or blanks before each line."""
    if pieces.end != "~":
        return None
    whole = pieces.whole()
    width, line_break = random.choice((72, 80)), random.choice(("\n", "\r\n"))
    content = line_break.join(whole[place : place + width] for place in range(0, len(whole), width))
    return Damaged(f"wrap at {width}", content, harmless=True)


def lost_byte(pieces: Pieces, random: Random) -> Damaged | None:
    """A byte less, or one more, within a block of an Avro file."""
    whole = pieces.whole()
    begin = whole.index("avro.schema")
    place = random.randrange(begin, len(whole) - 1)
    byte = whole[place]
    if whole[place - 1] == byte or whole[place + 1] == byte:
        return None
    return Damaged(f"byte {place} of {len(whole)}", whole[:place] + random.choice(("", byte * 2)) + whole[place + 1 :])


_NAMED: Final = (dropped, doubled, swapped, cut, retagged, recased, garbled, shifted)
EDITS: Final[dict[str, tuple[Edit, ...]]] = {
    "x12": (*_NAMED, glued, broken, wrapped),
    "camir": (*_NAMED, broken),
    "jsonl": (doubled, cut, glued, broken, garbled),
    "avro": (cut, lost_byte),
}


def some_message(random: Random) -> tuple[list[BillEvent], Pieces]:
    events = some_events(random)
    name = random.choice(("x12", "x12", "x12", "camir", "camir", "camir", "jsonl", "avro"))
    if name == "avro":
        return events, Pieces(name, [avro_file(events, random.choice(("null", "deflate")))], "")
    if name == "x12":
        version = random.choice(("006050", "006050", OLD_VERSION))
        segments = x12_segments(events, random.randint(1, 2), version)
        return events, Pieces(name, segments, random.choice(("~", "~\n")))
    if name == "camir":
        return events, Pieces(name, camir_records(events), random.choice(("", "\n", "~")))
    return events, Pieces(name, json_lines(events), "\n")


class Outcome(NamedTuple):
    """Everything of which damage may make no more."""

    heard: frozenset[tuple[str, str]]
    """Parties with the bills that they heard of."""
    deliverable: frozenset[str]
    authorised: frozenset[tuple[str, str]]
    """Bills with their authorities and, by container, what is allowed for it."""
    stopped: frozenset[str]
    releases: Counter[tuple[str, str]]
    reports: frozenset[object]
    """Dead letters, waiting bills with their reasons, and doubts of bills, at which operators look."""


def outcome_of(content: str | None) -> Outcome:
    """The outcome of the message after the whole bills."""
    harness = Harness(2, now=at(0) + 1)
    harness.register(*(Party(scac) for scac in (*CARRIERS, *PARTIES)))
    harness.roster(sailing(lines=(Line("OCNX", "operator", "026E", "holds"), Line("THRD", "charterer", "T26", "own"))))
    earlier = "".join(text + "\n" for text in json_lines(whole_bills()))
    for text, received_at in ((earlier, RECEIVED), (content or "", RECEIVED + 60_000)):
        for result in read_events([text.encode("latin-1")], "FILE", received_at):
            if not isinstance(result, OtherMessage):
                harness.feed(result)
        harness.pump()
    bills = {}
    for letter_key in _bills_named(harness):
        if (bill := harness.bill(letter_key)) is not None:
            bills[letter_key] = bill
    notices = [
        (record.topic.removeprefix(topics.PARTY_PREFIX), record.key.decode(), dict(record.headers).get("kind"))
        for record in harness.party_records()
    ]
    heard = frozenset((party, key) for party, key, _ in notices)
    authorised: set[tuple[str, str]] = {(key, word) for key, bill in bills.items() for word in bill.status.authorises}
    for key, bill in bills.items():
        for box in bill.status.containers:
            authorised |= {(key, f"{box.number} {word}") for word in box.authorises}
            authorised |= {(key, f"{box.number} released")} if box.released else set()
    return Outcome(
        heard,
        frozenset(key for key, bill in bills.items() if bill.status.deliverable),
        frozenset(authorised),
        frozenset(key for key, bill in bills.items() if bill.status.holds),
        Counter((party, key) for party, key, kind in notices if kind == b"release"),
        frozenset(
            [
                *((key, doubt) for key, bill in bills.items() for doubt in bill.status.doubts),
                *(
                    (key, *map(str, (fields.get("reasons"), fields.get("parties"), fields.get("reason"))))
                    for topic in (topics.DEAD_LETTERS, topics.WAITING)
                    for key, fields in harness.latest(topic).items()
                ),
            ]
        ),
    )


def _bills_named(harness: Harness) -> set[str]:
    named = (record.key.decode() for topic in topics.FED for record in harness.records(topic))
    return {key for key in named if key[:4].strip().isascii()}


class Trial(NamedTuple):
    """A message, its damage, and the faults found."""

    seed: int
    format: str
    damaged: Damaged
    faults: tuple[str, ...]


def trial(seed: int) -> Trial | None:
    """One edit of one message; None if the edit drawn is none for it."""
    random = Random(seed)
    events, pieces = some_message(random)
    damaged = random.choice(EDITS[pieces.format])(pieces, random)
    if damaged is None or damaged.content == pieces.whole():
        return None
    before = outcome_of(None)
    whole = outcome_of(pieces.whole())
    after = outcome_of(damaged.content)
    faults = list(_faults(before, whole, after))
    if damaged.harmless and after != whole:
        faults.append("it says the same, but its outcome differs")
    if after != whole and after.reports <= whole.reports and damaged.content.strip():
        faults.append("the outcome differs, and no operator sees why")
    faults += [
        f"the {event.code} of {event.key} is still readable and lost"
        for event in _readable_stops(events, pieces, damaged)
        if event.key in whole.stopped and event.key not in after.stopped
    ]
    return Trial(seed, pieces.format, damaged, tuple(faults))


def _faults(before: Outcome, whole: Outcome, after: Outcome) -> list[str]:
    faults = []
    if more := after.heard - whole.heard - before.heard:
        faults.append(f"parties heard more: {sorted(more)}")
    if free := after.deliverable - whole.deliverable - before.deliverable:
        faults.append(f"bills may be delivered: {sorted(free)}")
    if allowed := after.authorised - whole.authorised - before.authorised:
        faults.append(f"allowed: {sorted(allowed)}")
    if released := after.releases - (whole.releases | before.releases):
        faults.append(f"releases more: {sorted(released)}")
    return faults


def _readable_stops(events: Sequence[BillEvent], pieces: Pieces, damaged: Damaged) -> list[BillEvent]:
    """Stops whose own piece came through whole, at its place."""
    if pieces.format == "x12":
        own = {event: next(text for text in x12_segments([event], 1) if text[:2] == "X4") for event in events}
        found = damaged.content.replace("\n", "").replace("\r", "").split("~")[:-1]
    elif pieces.format == "jsonl":
        own = {event: json_lines([event])[0] for event in events}
        found = damaged.content.split("\n")
    else:
        return []
    return [event for event in events if event.code in STOPS and own[event] in found]
