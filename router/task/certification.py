"""What a party that is being certified gets instead of live notices: a fixed set of samples, marked as tests.

The samples are the router's own decisions on an invented story, so they are in every field what live notices are; only
flag and id are put in afterwards. CBP asks its participants for the same: to show that they read every kind before they
are sent any in earnest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from router import codec
from router.decide.bill import decide
from router.decide.bill_state import BillState
from router.decide.consequences import conclude
from router.decide.identity import BillRecord, identity, key_of, keyed_id
from router.decide.notices import CATCH_UP, Entered
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.log.interface import Output
from router.model.eastern import MINUTE, to_milliseconds
from router.model.identifiers import bill_key
from router.model.inputs import PLACE, Confirmation, DeadLetter, Disposition, Filing, ManualEvent, PaperBill
from router.model.links import LinkFact
from router.model.registry_values import RESYNC, Line, Party, RegistryNote, Request, Sailing, party_topic
from router.task.outputs import Origin, outputs_of

CERTIFYING: Final = "certifying"
TEST: Final = "TEST"
SAMPLE_PREFIX: Final = "sample-"
"""Begins the id of every sample, and of nothing else: ids of live notices are hex digits."""

_BEGIN: Final = to_milliseconds(datetime(2026, 7, 14, 8, 0))
_RULES: Final = Rules()
"""The defaults, whatever the installation's are: the set is the same everywhere."""

CARRIER: Final = "ZZZC"
NVOCC: Final = "ZZZN"
_BOX: Final = "CSQU3054383"
_AFLOAT: Final[dict[str, Any]] = {
    "carrier_scac": CARRIER,
    "imo_number": "9074729",
    "vessel_name": "SAMPLE VESSEL",
    "voyage_number": "001E",
    "manifest_sequence_number": "000001",
    "port_of_unlading": "2704",
    "arrival_date": "2026-07-28",
    "container_numbers": (_BOX,),
}
OWN, EMPTY, NOTIFIED, ABOARD = "SNPTEST00001", "SNPTEST00002", "SNPTEST00003", "SNPTEST00004"
PAPER = "SNPTEST00005"


class Sample(NamedTuple):
    """One step of the story; it brings the party exactly one notice."""

    name: str
    says: str
    """For people: what the notice is an example of."""
    record: BillRecord | Sailing | Request
    bill: str | None = None
    """Of a sailing that changes, or of a request: the bill that is looked at again."""


def begins(certifying: Collection[str], value: object, registry: Registry) -> Party | None:
    """The party that is to get its samples now that `value` stands in the registry: one that became `certifying`, or
    one whose topic was missing and is there."""
    party: Party | None = None
    if isinstance(value, Party) and value.status == CERTIFYING and value.scac not in certifying:
        party = value
    elif isinstance(value, RegistryNote) and value.kind == "back":
        party = next((registry.parties[scac] for scac in certifying if party_topic(scac) == value.key), None)
    return party if party is not None and party.topic not in registry.missing_topics else None


def sample_outputs(scac: str, offset: int) -> Iterator[tuple[Sample, Output]]:
    """A party's samples in order, with what goes to its topic. `offset` is that of the registry's record that made it
    `certifying`: the same record, decided again, gives the same ids; another one gives others."""
    stage = _Stage(scac)
    for number, sample in enumerate(story(scac), 1):
        (output,) = stage.tell(sample.record, sample.bill)
        yield sample, _marked(output, f"{SAMPLE_PREFIX}{offset}-{number:02}-{scac}")


def _marked(output: Output, notice_id: str) -> Output:
    assert output.value is not None
    kind, fields = codec.decode(output.value)
    fields |= {"flags": [*fields["flags"], TEST], "notice_id": notice_id}
    return output._replace(value=codec.encode(kind, fields))


class _Stage:
    """The decision core with one party on it, and nothing around."""

    def __init__(self, scac: str) -> None:
        self._topic = Party(scac).topic
        self._registry = Registry()
        self._registry.apply(Party(scac))
        self._registry.apply(_sailing())
        self._registry.apply(RegistryNote("tick", "tick", _BEGIN))
        self._states: dict[str, BillState | None] = {}
        self.tell(_Bill(scac, EMPTY).filing(bill_type="12", manifested_quantity=100), None)
        self.tell(
            PaperBill(_Bill(scac, PAPER, snps=(NVOCC,)).filing(), _BEGIN, "CBPF1302", "sample", received_at=_BEGIN),
            None,
        )
        self.tell(_Bill(NVOCC, ABOARD).event("2H", 0), None)  # before the party has anything to do with it

    def tell(self, record: BillRecord | Sailing | Request, bill: str | None) -> list[Output]:
        """What a record brings the party."""
        if isinstance(record, Sailing | Request):
            assert bill is not None
            self._registry.apply(record)
            key, before = bill, self._states[bill]
            assert before is not None
            entered = Entered(before.copy(), CATCH_UP)
            if isinstance(record, Request):
                entered = Entered(before.copy(), RESYNC, again=frozenset({record.scac}))
            decision = conclude(before, entered, self._registry, _RULES)
        else:
            key = key_of(record)
            decision = decide(self._states.get(key), record, Context(self._registry, _RULES))
        self._states[key] = decision.state
        outputs = outputs_of(key, decision, Origin("", 0, None, _BEGIN, 0), _RULES)
        return [output for output in outputs if output.topic == self._topic]


class _Bill:
    """A bill of the story, to make records of."""

    def __init__(self, issuer: str, number: str, **known: Any) -> None:
        self.issuer, self.number, self.known = issuer, number, _AFLOAT | known
        self.key = bill_key(issuer, number)

    def event(self, code: str, minute: int, **more: Any) -> Disposition:
        at = _BEGIN + minute * MINUTE
        usual = self.known | {"quantity": 100, "entry_type": "01", "entry_number": "SNP00000018", "received_at": at}
        return Disposition(self.issuer, self.number, code, at, **usual | more)

    def filing(self, **more: Any) -> Filing:
        return Filing(self.issuer, self.number, **self.known | {"received_at": _BEGIN} | more)

    def word(self, code: str, minute: int) -> ManualEvent:
        at = _BEGIN + minute * MINUTE
        said = (PLACE, at, "sample", "phone", code)
        return ManualEvent(self.issuer, self.number, "sample", *said, received_at=at)

    def confirmation(self, *covers: str) -> Confirmation:
        return Confirmation(self.issuer, self.number, covers, "sample", "sample", _BEGIN)


def story(scac: str) -> tuple[Sample, ...]:
    """The samples of a party, in order. It is filer of three bills, one of them taken on paper, second notify party of
    one, and gets slots on a ship that carries another's."""
    paper = _Bill(scac, PAPER, snps=(NVOCC,))
    own, empty = _Bill(scac, OWN, snps=(NVOCC,), master_bill=f"{CARRIER}SNPTEST00009"), _Bill(scac, EMPTY)
    notified, aboard = _Bill(NVOCC, NOTIFIED, snps=(scac,)), _Bill(NVOCC, ABOARD)
    unreadable = DeadLetter("sample", "a sample", "sample", "x12", b"", 0, scac, OWN, received_at=_BEGIN)
    stopped = LinkFact(own.key, f"container:{_BOX[:10]}", "BOX", active=True, do_not_load=True)
    hold, early = own.event("1H", 4), own.event("1C", 3, remarks="SAMPLE REMARKS")
    filed = paper.filing(received_at=_BEGIN + 1)
    resync = Request("sample", RESYNC, scac, scac, _BEGIN)
    covers = [_event_id(event) for event in (hold, early)]
    return (
        Sample("on-file", "CBP has the bill", own.event("55", 0)),
        Sample("do-not-load", "a do-not-load", own.event("6H", 1)),
        Sample("lading-allowed", "the do-not-load is lifted", own.event("6I", 2)),
        Sample("hold", "a hold", hold),
        Sample("released-while-held", "a 1C that frees nothing, since the hold stands", early),
        Sample("hold-lifted", "no hold left, but the release was posted before", own.event("1I", 5)),
        Sample("confirmed", "an operator's word settles that doubt", own.confirmation(*covers)),
        Sample("taken-back", "CBP takes the release back", own.event("4A", 6)),
        Sample("part-released", "a release for part of the pieces", own.event("1C", 7, quantity=40)),
        Sample("unreadable", "an event that could not be read stops the bill", unreadable),
        Sample("read-after-all", "that event read after all", own.event("1M", 8, remarks="SAMPLE", retry_of="sample")),
        Sample("container-stopped", "its container is stopped by another bill in it", stopped),
        Sample("container-free", "that container is free again", stopped._replace(active=False)),
        Sample("released", "the rest is released: all of it may be delivered", own.event("1C", 9, quantity=60)),
        Sample("deleted", "the filer deleted the bill", own.event("54", 10)),
        Sample("closed", "an empty arrived", empty.event("1C", 11)),
        Sample("in-bond", "it may move in bond, not be delivered", notified.event("1J", 12)),
        Sample("filed", "a filing changes what is known of a bill", notified.filing(manifested_quantity=80)),
        Sample("unknown-code", "a code that nobody knows stops the bill", notified.event("QQQ", 13)),
        Sample("by-phone", "a hold relayed by phone, on a bill taken on paper", paper.word("1H", 14)),
        Sample("told-again", "that bill's electronic filing came: all of it again", filed),
        Sample("resynced", "what a resync brings: the status now", resync, own.key),
        Sample("caught-up", "slots on the ship: the status now, details withheld", _sailing(scac), aboard.key),
        Sample("granted", "a hold lifted, told by the agreement", aboard.event("2I", 14)),
        Sample("vessel", "an event of the vessel: no bill", _vessel_event()),
        Sample("no-longer-notified", "no slots any more: the last word on that bill", _sailing(), aboard.key),
    )


def _event_id(event: Disposition) -> str:
    return keyed_id(b"", identity(event, key_of(event)))


def _sailing(*charterers: str) -> Sailing:
    lines = (
        Line(CARRIER, "operator", "001E", "holds"),
        *(Line(scac, "charterer", "X01", "all") for scac in charterers),
    )
    return Sailing("SAMPLE", _AFLOAT["imo_number"], _AFLOAT["vessel_name"], _AFLOAT["arrival_date"], lines)


def _vessel_event() -> Disposition:
    at = _BEGIN + 15 * MINUTE
    afloat = {name: value for name, value in _AFLOAT.items() if name != "container_numbers"}
    return Disposition(None, None, "DV", at, received_at=at, **afloat)
