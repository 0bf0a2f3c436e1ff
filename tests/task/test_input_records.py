"""The registry is read by every task: what another program writes there that can't be is skipped, and said."""

from __future__ import annotations

import pytest

from router import topics
from router.codec import encode_value
from router.decide.registry import Registry
from router.log.interface import Record
from router.model.inputs import Shipment
from router.model.links import IndexFact, Stop
from router.model.registry_values import (
    MOST_ALIASES,
    MOST_LINES,
    Line,
    Outage,
    Party,
    RegistryNote,
    RegistryValue,
    registry_key,
)
from router.task.input_records import apply_registry_record
from tests.checking.harness import Harness
from tests.checking.samples import (
    BOX_KEY,
    HOUSE,
    IMO,
    OTHER_HOUSE,
    PARTIES,
    START,
    called,
    dead_letter,
    event,
    filing,
    sailing,
)

NAMES = ("../..", "a/b", "NV\x00A", ".", "NV A", "nvxa", "N", "NVXAA", "ÑVXA", "NVХA", "", "NVXA\n", "NV1", "FIRMS:NV1")
"""One of them has a Cyrillic letter in it."""
CROWD = tuple(Line(f"A{chr(65 + n // 26)}{chr(65 + n % 26)}", "charterer", None, "all") for n in range(MOST_LINES + 1))

HOSTILE = (
    *(Party(name) for name in NAMES),
    *(Party("NVXA", aliases=(name,)) for name in NAMES),
    Party("NVXA", status="dead"),
    Party("NVXA", aliases=("AB",) * (MOST_ALIASES + 1)),
    Party("NVXA", "x" * 1_000_000),
    *(sailing(lines=(Line(name, "operator", "026E", "all"),)) for name in NAMES),
    sailing(lines=(Line("OCNX", "captain", "026E", "all"),)),
    sailing(lines=(Line("OCNX", "operator", "026E", "everything"),)),
    sailing(lines=CROWD),
    sailing(calls=called("some day")),
    RegistryNote("installation", "other", 0, "no hex"),
)


def as_record(value: RegistryValue, offset: int = 7) -> Record:
    return Record(topics.REGISTRY, 0, offset, registry_key(value), encode_value(value), (), 0)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: f"{type(value).__name__} {str(value)[:60]!r}")
def test_what_can_not_be_is_passed_over_named_with_its_place_and_what_to_do(value: RegistryValue) -> None:
    registry = Registry()
    for good in (*PARTIES, sailing()):
        apply_registry_record(registry, as_record(good))
    before = (registry.parties.copy(), registry.roster.records.copy())
    assert apply_registry_record(registry, as_record(value)) is None
    assert (registry.parties, registry.roster.records) == before
    (said,) = registry.damaged.values()
    assert said.startswith("snp.registry, partition 0, offset 7: ")
    assert "Write it again" in said
    assert len(said) < 600


def test_a_record_that_is_written_again_is_damaged_no_more() -> None:
    registry = Registry()
    apply_registry_record(registry, as_record(Party("NVXA"))._replace(value=b"garbage"))
    assert "snp-router import parties" in registry.damaged[b"party:NVXA"]
    apply_registry_record(registry, as_record(Party("NVXA")))
    assert (registry.damaged, list(registry.parties)) == ({}, ["NVXA"])


def test_the_router_goes_on_past_all_of_them_also_after_a_restart() -> None:
    router = Harness(2, now=START)
    router.roster(*PARTIES, sailing())
    router.feed(filing(), event("1C", 1))
    router.pump()
    for value in HOSTILE:
        router.register(value)
    router.feed_bytes(topics.REGISTRY, b"party:SLTC", b"garbage")
    router.register(Outage("o", "DECLARED", -(2**62), carrier="OCNX"), Outage("p", "DECLARED", 2**62, carrier="OCNX"))
    router.feed(event("6H", 2))
    router.pump()
    for task in range(2):
        router.restart(task)
    router.roster(*PARTIES, sailing())
    router.feed(event("1H", 3))
    router.pump()
    assert router.kinds("NVXA", HOUSE) == ["release", "hold", "hold"]
    reasons = [letter["reason"] for letter in router.latest(topics.DEAD_LETTERS).values()]
    assert len(reasons) == len(set(map(encode_value, HOSTILE))) + 1
    assert {record.topic for record in router.party_records()} <= {f"snp.party.{party.id}" for party in PARTIES}


def test_a_record_of_the_wrong_topic_is_no_record_there() -> None:
    router = Harness(1, now=START)
    router.roster(*PARTIES, sailing())
    router.feed(filing(), event("1C", 1))
    router.pump()
    misplaced = {
        topics.REGISTRY: event("1H", 2),
        topics.DISPOSITIONS: Party("EVIL"),
        topics.FILINGS: IndexFact(f"container:{BOX_KEY}", OTHER_HOUSE, True, (Stop(OTHER_HOUSE, ("e",), True),)),
        topics.INDEX: dead_letter(),
        topics.LINKS: RegistryNote("tick", "tick", 2**50),
    }
    for topic, value in misplaced.items():
        router.feed_bytes(topic, HOUSE.encode(), encode_value(value))
    router.pump()
    assert len(router.latest(topics.DEAD_LETTERS)) == len(misplaced)
    assert router.status(HOUSE) == "HELD"
    assert "EVIL" not in router.shards[0].registry.parties
    assert router.shards[0].registry.now == START


@pytest.mark.parametrize("shipment", [Shipment(), Shipment(imo_number=IMO)], ids=["nothing", "a vessel"])
def test_an_event_under_a_bills_key_that_names_no_bill_stops_that_bill(shipment: Shipment) -> None:
    router = Harness(1, now=START)
    router.roster(*PARTIES, sailing())
    value = event("6H", 1)._replace(scac=None, bill_of_lading=None, shipment=shipment)
    router.feed_bytes(topics.DISPOSITIONS, HOUSE.encode(), encode_value(value))
    router.pump()
    (letter,) = router.latest(topics.DEAD_LETTERS).values()
    assert letter["reason"].startswith("its key names a bill, and its value none")
    assert router.status(HOUSE) == "HELD"


@pytest.mark.parametrize("factor", [1000, 0.001])
def test_a_time_of_receipt_in_another_unit_frees_nothing(factor: float) -> None:
    router = Harness(1, now=START)
    router.roster(*PARTIES, sailing())
    release = event("1C", 1)
    router.decide(filing(), event("55", 0), release._replace(received_at=int(release.received_at * factor)))
    (letter,) = router.latest(topics.DEAD_LETTERS).values()
    assert "received" in letter["reason"]
    assert router.status(HOUSE) == "HELD"


def test_a_date_that_is_none_is_near_every_other() -> None:
    """Of bills it comes from other programs' records; the index compares it with what other bills say."""
    router = Harness(1, now=START)
    router.roster(*PARTIES)
    router.feed(filing(), filing(OTHER_HOUSE, arrival_date="2026-13-45"))
    router.feed(event("6H", 1, bill=OTHER_HOUSE, arrival_date="2026-13-45"))
    router.pump()
    assert router.status(HOUSE) == "DO_NOT_LOAD"


def test_a_bill_that_can_not_be_looked_at_stops_neither_the_walk_nor_what_comes() -> None:
    router = Harness(1, now=START)
    router.roster(*PARTIES, sailing())
    router.feed(filing(), event("1C", 1), filing(OTHER_HOUSE), event("1C", 1, bill=OTHER_HOUSE))
    router.pump()
    router.feed_bytes(topics.BILLS, HOUSE.encode(), b"garbage")
    router.restart(0)
    router.roster(sailing(lines=(*sailing().lines, Line("LATE", "charterer", "L26", "all"))), Party("LATE"))
    router.feed(event("6H", 2), event("6H", 2, bill=OTHER_HOUSE))
    router.pump()
    assert "hold" in router.kinds("LATE", OTHER_HOUSE)
    assert {letter["source"] for letter in router.latest(topics.DEAD_LETTERS).values()} >= {f"the bill {HOUSE}"}
