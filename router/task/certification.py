"""Certification: the fixed set of samples, marked as tests, that a certifying party gets instead of live notices.

The samples are the router's own decisions on an invented story, so every field is as in live notices; only flag and id
are changed afterwards. CBP asks the same of its participants: to show that they can read every kind before going live.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from router import codec
from router.decide.account import RELEASE_PREDATES_HOLD
from router.decide.bill import decide
from router.decide.bill_state import AssessedBill
from router.decide.consequences import conclude
from router.decide.identity import BillRecord, identity, key_of, keyed_id
from router.decide.notices import CATCH_UP, TEST, AppliedRecord
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.log.interface import Output
from router.model.eastern import MINUTE, to_milliseconds
from router.model.identifiers import bill_key, is_valid_scac
from router.model.inputs import (
    PLACE,
    Confirmation,
    DeadLetter,
    Disposition,
    Filing,
    ManualEvent,
    PaperBill,
    disposition_of,
    filing_of,
)
from router.model.links import LinkFact, Stop
from router.model.party_ids import usual_type
from router.model.registry_values import RESYNC, Line, Party, PortCall, RegistryNote, Request, Sailing, party_topic
from router.task.outputs import Origin, outputs_of

CERTIFYING: Final = "certifying"
SAMPLE_PREFIX: Final = "sample-"
"""Prefix of every sample's id. Ids of live notices are hex digits."""

_BEGIN: Final = to_milliseconds(datetime(2026, 7, 14, 8, 0))
_RULES: Final = Rules()
"""The default rules, so that the samples are the same in every installation."""

CARRIER: Final = "ZZZC"
NVOCC: Final = "ZZZN"
WITHOUT_SCAC: Final = "ZZZP"
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
    """One step of the story, which gives the party exactly one notice."""

    name: str
    shows: str
    """For people: the case that the notice is an example of."""
    record: BillRecord | Sailing | Request
    bill: str | None = None
    """The bill to review after a changed sailing or a request."""


def party_to_certify(certifying: Collection[str], value: object, registry: Registry) -> Party | None:
    """The party whose samples are due after a registry value: one that became `certifying`, or whose missing topic is
    back."""
    party: Party | None = None
    if isinstance(value, Party) and value.status == CERTIFYING and value.id not in certifying:
        party = value
    elif isinstance(value, RegistryNote) and value.kind == "back":
        party = next(
            (registry.parties[party_id] for party_id in certifying if party_topic(party_id) == value.key), None
        )
    return party if party is not None and party.topic not in registry.missing_topics else None


def sample_outputs(party_id: str, offset: int) -> Iterator[tuple[Sample, Output]]:
    """A party's samples in order, with the records for its topic.

    `offset` is that of the registry record that made it `certifying`. The same record, decided again, gives the same
    ids; another one gives others.
    """
    stage = _SampleBills(party_id)
    for number, sample in enumerate(story(party_id), 1):
        (output,) = stage.outputs(sample.record, sample.bill)
        yield sample, _marked(output, f"{SAMPLE_PREFIX}{offset}-{number:02}-{party_id}")


def _marked(output: Output, notice_id: str) -> Output:
    assert output.value is not None
    kind, fields = codec.decode(output.value)
    fields |= {"flags": [*fields["flags"], TEST], "notice_id": notice_id}
    return output._replace(value=codec.encode(kind, fields))


class _SampleBills:
    """The decision core with one party, without tasks and log."""

    def __init__(self, party_id: str) -> None:
        scac = _scac(party_id)
        party = Party(party_id, aliases=() if scac == party_id else (scac,), id_type=usual_type(party_id) or "SCAC")
        self._topic = party.topic
        self._registry = Registry()
        self._registry.apply(party)
        self._registry.apply(_sailing())
        self._registry.apply(RegistryNote("tick", "tick", _BEGIN))
        self._bills: dict[str, AssessedBill | None] = {}
        self.outputs(_Bill(scac, EMPTY).filing(bill_type="12", manifested_quantity=100), None)
        self.outputs(
            PaperBill(_Bill(scac, PAPER, snps=(NVOCC,)).filing(), _BEGIN, "CBPF1302", "sample", received_at=_BEGIN),
            None,
        )
        self.outputs(_Bill(NVOCC, ABOARD).event("2H", 0), None)  # before the party has a ground to be notified of it

    def outputs(self, record: BillRecord | Sailing | Request, bill: str | None) -> list[Output]:
        """The party's notices after a record."""
        if isinstance(record, Sailing | Request):
            assert bill is not None
            self._registry.apply(record)
            key, before = bill, self._bills[bill]
            assert before is not None
            applied = AppliedRecord(before.state, CATCH_UP)
            if isinstance(record, Request):
                applied = AppliedRecord(
                    before.state, RESYNC, renotify=frozenset({self._registry.party_id(record.scac)})
                )
            decision = conclude(before, applied, self._registry, _RULES)
        else:
            key = key_of(record)
            decision = decide(self._bills.get(key), record, Context(self._registry, _RULES))
        self._bills[key] = decision.bill
        outputs = outputs_of(key, decision, Origin("", 0, None, _BEGIN, 0))
        return [output for output in outputs if output.topic == self._topic]


class _Bill:
    """A bill of the story, which makes its records."""

    def __init__(self, issuer: str, number: str, **known: Any) -> None:
        self.issuer, self.number, self.known = issuer, number, _AFLOAT | known
        self.key = bill_key(issuer, number)

    def event(self, code: str, minute: int, **more: Any) -> Disposition:
        at = _BEGIN + minute * MINUTE
        usual = self.known | {"quantity": 100, "entry_type": "01", "entry_number": "SNP00000018", "received_at": at}
        named = {"scac": self.issuer, "bill_of_lading": self.number, "disposition_code": code, "action_at": at}
        return disposition_of(usual | more | named)

    def filing(self, **more: Any) -> Filing:
        named = {"scac": self.issuer, "bill_of_lading": self.number, "received_at": _BEGIN}
        return filing_of(self.known | named | more)

    def manual_hold(self, code: str, minute: int) -> ManualEvent:
        at = _BEGIN + minute * MINUTE
        placed = (PLACE, at, "sample", "phone", code)
        return ManualEvent(self.issuer, self.number, "sample", *placed, received_at=at)

    def confirmation(self, *covers: str) -> Confirmation:
        return Confirmation(
            *(self.issuer, self.number, covers, "sample", "sample", _BEGIN), doubts=(RELEASE_PREDATES_HOLD,)
        )


def _scac(party_id: str) -> str:
    """SCAC of the party in the story: a terminal or a broker, which has none, gets an invented one."""
    return party_id if is_valid_scac(party_id) else WITHOUT_SCAC


def story(party_id: str) -> tuple[Sample, ...]:
    """The samples of a party, in order. It files three bills, one of them on paper, is second notify party of another,
    and charters slots on a ship that carries a fourth party's."""
    scac = _scac(party_id)
    paper = _Bill(scac, PAPER, snps=(NVOCC,))
    own, empty = _Bill(scac, OWN, snps=(NVOCC,), master_bill=f"{CARRIER}SNPTEST00009"), _Bill(scac, EMPTY)
    notified, aboard = _Bill(NVOCC, NOTIFIED, snps=(scac,)), _Bill(NVOCC, ABOARD)
    unreadable = DeadLetter("sample", "a sample", "sample", "x12", b"", 0, scac, OWN, received_at=_BEGIN)
    stop = Stop(notified.key, ("sample",), do_not_load=True, seen_by=(scac,))
    stopped = LinkFact(own.key, f"container:{_BOX[:10]}", "BOX", active=True, stops=(stop,))
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
        Sample("confirmed", "an operator confirms that doubt", own.confirmation(*covers)),
        Sample("taken-back", "CBP revokes the release", own.event("4A", 6)),
        Sample("part-released", "a release for part of the pieces", own.event("1C", 7, quantity=40)),
        Sample("unreadable", "an event that could not be read stops the bill", unreadable),
        Sample("read-after-all", "that event read by a retry", own.event("1M", 8, remarks="SAMPLE", retry_of="sample")),
        Sample("container-stopped", "its container is stopped by another bill in it", stopped),
        Sample("container-free", "that container is free again", stopped._replace(active=False)),
        Sample("released", "the rest is released: the whole bill may be delivered", own.event("1C", 9, quantity=60)),
        Sample("deleted", "the filer deleted the bill", own.event("54", 10)),
        Sample("empty", "an empty container arrived", empty.event("1C", 11)),
        Sample("closed", "that container was exported", empty.event("51", 12)),
        Sample("in-bond", "it may move in bond, not be delivered", notified.event("1J", 13)),
        Sample("filed", "a filing changes the facts of a bill", notified.filing(manifested_quantity=80)),
        Sample("unknown-code", "an unknown code stops the bill", notified.event("QQQ", 14)),
        Sample("by-phone", "a hold relayed by phone, on a bill taken on paper", paper.manual_hold("1H", 15)),
        Sample("told-again", "that bill's electronic filing came: a reissue", filed),
        Sample("resynced", "a resync: the status now", resync, own.key),
        Sample("caught-up", "slots on the ship: the status now, details withheld", _sailing(scac), aboard.key),
        Sample("granted", "a lifted hold, shown by the agreement", aboard.event("2I", 15)),
        Sample("vessel", "an event of the vessel: no bill", _vessel_event()),
        Sample("no-longer-notified", "no slots any more: the last notice of that bill", _sailing(), aboard.key),
    )


def _event_id(event: Disposition) -> str:
    return keyed_id(b"", identity(event, key_of(event)))


def _sailing(*charterers: str) -> Sailing:
    lines = (
        Line(CARRIER, "operator", "001E", "holds"),
        *(Line(scac, "charterer", "X01", "all") for scac in charterers),
    )
    call = PortCall(None, _AFLOAT["arrival_date"])
    return Sailing("SAMPLE", _AFLOAT["imo_number"], _AFLOAT["vessel_name"], (call,), lines)


def _vessel_event() -> Disposition:
    at = _BEGIN + 15 * MINUTE
    afloat = {name: value for name, value in _AFLOAT.items() if name != "container_numbers"}
    named = {"scac": None, "bill_of_lading": None, "disposition_code": "DV", "action_at": at, "received_at": at}
    return disposition_of(afloat | named)
