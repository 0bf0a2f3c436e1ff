"""One edit of a valid CAMIR transmission frees nothing, joins nothing to another bill and loses no stop."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

import pytest

from router.feeds.bounded_input import ReadResult
from router.feeds.camir import read_camir
from router.feeds.camir_records import LAYOUT
from router.feeds.camir_structure import _GRAMMAR
from router.feeds.formats import read_dead_letter
from router.model.inputs import DeadLetter, Disposition

SEPARATORS: Final = ("", "\n", "~", "*", "#", "\r\n", "~\r\n")
EDITS: Final = ("drop", "double", "swap", "cut", "noise", "glue", "rename", "lower", "less", "more")
EDITS_OF_TRIMMED: Final = EDITS[:-2]
"""Without blanks to show the length, a value with a place less or more is another value."""
STOPS: Final = ("1H", "6H", "7H", "2Q")
CODES: Final = (*STOPS, "1C", "1I", "1J", "55", "69", "6I")
NOISE: Final = "\x00\x07\x1b\xe9\xa0"
"""Characters that no field may have, but for remarks."""
TRIALS: Final = 1500


class Edit(NamedTuple):
    name: str
    first: int
    """Place of the first record that it changes."""
    last: int
    content: str


def transmission(random: Random) -> list[str]:
    """Two vessels, several ports and issuers, and each bill's own parties, master and container."""
    records, bill = [], 0
    for vessel in range(random.randint(1, 2)):
        records.append(
            f"M01OCN{'XY'[vessel]}11PA{('OCEAN EXEMPLAR', 'SEA EXAMPLE')[vessel]:<23}026E {'':5}000001 907472{vessel}"
        )
        for port in range(random.randint(1, 2)):
            name = ("OCEAN EXEMPLAR", "SEA EXAMPLE")[vessel]
            records.append(f"R01OCN{'XY'[vessel]}270{port}{name:<23}026E 000001260728")
            if random.random() < 0.3:
                records += ["R06AAD2607280510", "R03FIRST US PORT ARRIVAL"]
            for issuer in random.sample(("NVXA", "NVXB", "NVXC"), random.randint(1, 2)):
                records.append(f"J01{issuer}")
                for _ in range(random.randint(1, 3)):
                    bill += 1
                    records += bill_records(random, bill)
    records = ["ACROCNX      RC26071414120500031", *records]
    return [record.ljust(80) for record in (*records, f"ZCROCNX      RC{'':19}{len(records) - 1:05}")]


def bill_records(random: Random, bill: int) -> Iterator[str]:
    entry = "01AB100045215" if random.random() < 0.4 else ""
    code, has_more = random.choice(CODES), random.random() < 0.8
    reversal, continued = random.choice(" N"), "1" if has_more else " "
    yield f"R02HBL{bill:09}{code}{120:010}{entry:<17}26071408{bill:02}{'':12}{reversal}{continued}"
    if has_more:
        container = f"CSQU{bill:07}" if random.random() < 0.3 else ""
        yield f"R022704Z999{'':12}{container:<14}OB OCNXMB{bill:07}"
    yield from (f"B04SNPSN{bill:02}" for _ in range(random.randint(0, 2)))
    if random.random() < 0.5:
        yield f"R03REMARK OF {bill}"
    if random.random() < 0.5:
        yield f"R05MSKU{bill:07}"


def joined(records: list[str], separator: str) -> str:
    return "".join(record + separator for record in records)


def edited(random: Random, records: list[str], separator: str) -> Edit:
    place = random.randrange(len(records))
    text = records[place]
    length = len(text.rstrip())
    kind = random.choice(EDITS if records[0].endswith(" ") else EDITS_OF_TRIMMED)
    before, after = records[:place], records[place + 1 :]
    if kind == "drop":
        return Edit(kind, place, place, joined([*before, *after], separator))
    if kind == "double":
        return Edit(kind, place, place, joined([*before, text, *records[place:]], separator))
    if kind == "swap":
        # Bills and their details may stand in another order in a valid message too.
        pairs = [at for at in range(len(records) - 1) if is_out_of_order(records[at + 1], records[at])]
        place = random.choice(pairs)
        swapped = [*records[:place], records[place + 1], records[place], *records[place + 2 :]]
        return Edit(kind, place, place + 1, joined(swapped, separator))
    if kind == "cut":
        content = joined(records, separator)
        end = random.randrange(len(content.rstrip()) - len(separator) - 1)
        first = next(at for at in range(len(records)) if len(joined(records[: at + 1], separator)) > end)
        return Edit(kind, first, len(records), content[:end])
    if kind == "glue":
        end, start = random.randrange(3, length + 1), random.choice((0, random.randrange(80)))
        return Edit(
            kind, place, place + 1, joined([*before, text[:end] + "".join(after[:1])[start:], *after[1:]], separator)
        )
    if kind == "lower":
        return Edit(kind, -1, -1, joined([*before, text[:3].lower() + text[3:], *after], separator))
    at = random.randrange(3, length)
    if kind == "rename":
        at = random.randrange(3)
        changed = text[:at] + "Q" + text[at + 1 :]
    if kind == "noise":
        changed = text[:at] + random.choice(NOISE) + text[at + 1 :]
    else:
        changed = text[:at] + ("" if kind == "less" else random.choice("A0 ") + text[at]) + text[at + 1 :]
    return Edit(kind, place, place, joined([*before, changed, *after], separator))


def is_out_of_order(first: str, second: str) -> bool:
    is_continuation = first.startswith("R022704") and second.startswith("R02HBL")
    return is_continuation or any(record.startswith(("ACR", "M01", "R01", "R06", "ZCR")) for record in (first, second))


def read(content: str) -> list[ReadResult]:
    return list(read_camir([content.encode("latin-1")], "FILE", 5))


class Outcome(NamedTuple):
    certain: frozenset[Disposition]
    parties: frozenset[tuple[str, str]]
    """Bills with the parties, masters and containers that their events name."""
    stopped: frozenset[tuple[str, str | None]]
    bills: frozenset[str]
    """Bills that are meant beyond doubt."""


def outcome(results: list[ReadResult]) -> Outcome:
    certain: set[Disposition] = set()
    parties: set[tuple[str, str]] = set()
    stopped: set[tuple[str, str | None]] = set()
    bills: set[str] = set()
    is_short = any(isinstance(event, Disposition) and event.uncertain == "BILL" for event in results)
    for event in results:
        if not isinstance(event, Disposition | DeadLetter) or event.bill_of_lading is None:
            continue
        key = f"{event.scac}{event.bill_of_lading}"
        stopped.add((key, event.disposition_code))
        if not is_short:
            bills.add(key)
        if isinstance(event, DeadLetter):
            continue
        if event.uncertain is None:
            shipment = event.shipment._replace(vessel_name=None)
            certain.add(event._replace(source="", remarks=None, shipment=shipment, transmitted_at=None))
        if event.uncertain != "BILL":
            named = (
                *event.snps,
                event.shipment.master_bill,
                *event.container_numbers,
                *event.shipment.container_numbers,
            )
            parties |= {(key, one) for one in named if one}
    return Outcome(frozenset(certain), frozenset(parties), frozenset(stopped), frozenset(bills))


def readable_stops(records: list[str], edit: Edit) -> Iterator[tuple[str, str]]:
    """Stops above or below the edit, if their issuer is on the same side of it, or only a detail is damaged."""
    issuer, place_of_issuer = "", 0
    for place, record in enumerate(records):
        if record.startswith("J01"):
            issuer, place_of_issuer = record[3:7], place
        is_bill = record.startswith("R02HBL")
        if (
            is_bill
            and record[15:17] in STOPS
            and (place + (record[67:68] == "1") < edit.first or edit.last < place_of_issuer)
        ):
            yield issuer + record[3:15], record[15:17]


@pytest.mark.parametrize("seed", range(10))
def test_one_edit_frees_nothing_tells_nobody_and_loses_no_stop(seed: int):
    random = Random(seed)
    for _ in range(TRIALS // 10):
        records, separator = transmission(random), random.choice(SEPARATORS)
        if separator and random.random() < 0.4:
            records = [record.rstrip() for record in records]
        whole = outcome(read(joined(records, separator)))
        assert len(whole.certain) == len(whole.bills)
        edit = edited(random, records, separator)
        results = read(edit.content)
        found, shown = outcome(results), (edit.name, separator, edit.first, edit.content)
        assert found.certain <= whole.certain, shown
        assert found.parties <= whole.parties, shown
        assert found.bills <= whole.bills, shown
        assert set(readable_stops(records, edit)) <= found.stopped, shown
        if edit.name == "lower":
            assert found == whole, shown
        letters = [event for event in results if isinstance(event, DeadLetter) and event.in_doubt]
        again = [event for letter in letters for event in read_dead_letter(letter, 5)]
        assert not any(isinstance(event, Disposition) and event.uncertain is None for event in again), shown


def test_every_record_of_the_grammar_has_a_layout_and_every_state_is_reached():
    kinds = {kind for state in _GRAMMAR.values() for kind in state}
    assert kinds == set(LAYOUT)
    reached, waiting = {"start", "lost"}, ["start", "lost"]
    while waiting:
        for state in _GRAMMAR[waiting.pop()].values():
            if state not in reached:
                reached.add(state)
                waiting.append(state)
    assert reached == set(_GRAMMAR)
