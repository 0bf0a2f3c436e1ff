"""A stage for the trade's stories: all of them told side by side on one real log, each with a ship of its own.

A story is a generator. It says what happens, then yields: everything said so far is routed, and the story looks at what
each party received. So a log of fifty stories costs as many runs of the router as the longest has steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from router import topics
from router.codec import encode_value
from router.codec.packed import BILL_STATE
from router.decide.bill_state import AssessedBill, BillState, assess_bill
from router.decide.identity import key_of
from router.decide.rules import Rules
from router.engine.administration import append_tick, import_parties, import_sailings, prepare, wanted_topics
from router.engine.intake import event_outputs
from router.engine.worker import Worker, WorkSettings
from router.log.interface import AdministeredLog, Output, Record
from router.model.identifiers import container_check_digit
from router.model.inputs import (
    Clearance,
    Confirmation,
    DeadLetter,
    Disposition,
    FedRecord,
    Filing,
    ManualEvent,
    disposition_of,
    filing_of,
)
from router.model.registry_values import Line, Party, Sailing
from tests.checking.harness import decoded
from tests.checking.samples import at, called

PARTITIONS: Final = 2
QUICK: Final = WorkSettings(idle_seconds=0.1)
PIECES: Final = 120

Notice = dict[str, Any]
Telling = Callable[["Story"], Iterator[None]]


@dataclass
class Story:
    """One story's ship, bills and boxes, and what came of them. Names are made its own by its number."""

    number: int
    notices: Mapping[tuple[str, str], list[Notice]]
    """By party and bill key."""
    bills: Mapping[str, AssessedBill]
    sailings: list[Sailing] = field(default_factory=list)
    parties: list[Party] = field(default_factory=list)
    fed: list[FedRecord] = field(default_factory=list)

    @property
    def imo(self) -> str:
        digits = f"9{self.number:05}"
        return digits + str(sum(int(digit) * (7 - index) for index, digit in enumerate(digits)) % 10)

    @property
    def ship(self) -> dict[str, Any]:
        """A message's surroundings, on the operator's manifest."""
        return {
            "carrier_scac": "OCNX",
            "imo_number": self.imo,
            "vessel_name": f"STORY {self.number}",
            "voyage_number": "026E",
            "arrival_date": "2026-07-28",
            "port_of_unlading": "2704",
        }

    def box(self, index: int = 1) -> str:
        serial = f"CSQU{self.number:04}{index:02}"
        return f"{serial}{container_check_digit(serial)}"

    def key(self, bill: str) -> str:
        return f"{bill}{self.number:03}"

    # What happens

    def roster(self, *sailings: Sailing) -> None:
        """Sailings as imported; the usual one if none is named: OCNX operates, SLTC and THRD have slots."""
        self.sailings += sailings or (self.sailing(),)

    def sailing(self, **changes: Any) -> Sailing:
        lines = (
            Line("OCNX", "operator", "026E", "holds"),
            Line("SLTC", "charterer", "X26", "own"),
            Line("THRD", "charterer", "T26", "do-not-load"),
        )
        sailing = Sailing(f"STORY{self.number}", self.imo, f"STORY {self.number}", called("2026-07-28"), lines)
        return sailing._replace(**changes)

    def cbp(self, code: str, bill: str, minute: int = 0, **more: Any) -> None:
        """An event of CBP's, posted so many minutes after 14 July 2026, 8:00 Eastern, and received at once."""
        self.fed.append(self._event(code, bill, minute, more))

    def cbp_on_box(self, code: str, bill: str, box: str, minute: int = 0, **more: Any) -> None:
        level = {"container_numbers": (box,), "container_level": True}
        self.fed.append(self._event(code, bill, minute, level | more))

    def _event(self, code: str, bill: str, minute: int, more: Mapping[str, Any]) -> Disposition:
        key = self.key(bill)
        posted = {"action_at": at(minute), "received_at": at(minute), "quantity": PIECES}
        named = {"scac": key[:4], "bill_of_lading": key[4:], "disposition_code": code}
        return disposition_of(self.ship | posted | named | dict(more))

    def file(self, bill: str, minute: int = -60, **more: Any) -> None:
        """A filing from the filer's table."""
        self.fed.append(self.filing(bill, minute, **more))

    def filing(self, bill: str, minute: int = -60, **more: Any) -> Filing:
        key = self.key(bill)
        usual = self.ship | {"manifested_quantity": PIECES, "received_at": at(minute)}
        return filing_of(usual | {"scac": key[:4], "bill_of_lading": key[4:]} | more)

    # What came of it

    def received(self, party: str, bill: str) -> list[Notice]:
        return self.notices.get((party, self.key(bill)), [])

    def last(self, party: str, bill: str) -> Notice:
        received = self.received(party, bill)
        assert received, f"{party} received nothing about {bill}"
        return received[-1]

    def kinds(self, party: str, bill: str) -> list[str]:
        return [notice["kind"] for notice in self.received(party, bill)]

    def codes(self, party: str, bill: str) -> list[str]:
        return [notice["disposition_code"] for notice in self.received(party, bill)]

    def bill(self, bill: str) -> AssessedBill:
        return self.bills[self.key(bill)]

    def status(self, bill: str) -> str:
        return self.bill(bill).status.status


class Stage:
    """Stories on one log, with what was read of it so far."""

    def __init__(self, log: AdministeredLog, rules: Rules) -> None:
        self.notices: defaultdict[tuple[str, str], list[Notice]] = defaultdict(list)
        self.bills: dict[str, AssessedBill] = {}
        self._log = log
        self._rules = rules
        self._offsets: dict[str, int] = {}

    async def tell(self, tellings: Sequence[Telling], parties: Sequence[Party]) -> dict[str, Exception | None]:
        """The end of each story by name: None, or the exception by which it failed."""
        await self._log.create_topics(await wanted_topics(self._log, PARTITIONS))
        await prepare(self._log, PARTITIONS)
        await append_tick(self._log)
        await import_parties(self._log, parties)
        stories = {one.__name__: Story(number, self.notices, self.bills) for number, one in enumerate(tellings)}
        under_way = {one.__name__: one(stories[one.__name__]) for one in tellings}
        ends: dict[str, Exception | None] = {}
        while under_way:
            for name, telling in list(under_way.items()):
                try:
                    next(telling)
                except StopIteration:
                    ends[name] = None
                except Exception as error:  # noqa: BLE001 - a failed story does not end the others
                    ends[name] = error
                if name in ends:
                    del under_way[name]
            await self._route(list(stories.values()))
        return ends

    async def _route(self, stories: Sequence[Story]) -> None:
        parties = [party for story in stories for party in story.parties]
        sailings = [sailing for story in stories for sailing in story.sailings]
        outputs = [output for story in stories for record in story.fed for output in self._outputs(record)]
        for story in stories:
            story.parties, story.sailings, story.fed = [], [], []
        if parties:
            await import_parties(self._log, parties)
        if sailings:
            await import_sailings(self._log, sailings)
        if outputs:
            await self._log.append(outputs)
        await Worker(self._log, self._rules, QUICK, until_idle=True).run()
        await self._look()

    def _outputs(self, record: FedRecord) -> list[Output]:
        if isinstance(record, Disposition | DeadLetter | ManualEvent):
            return event_outputs(record, self._rules.codes.is_urgent)
        topic = topics.DISPOSITIONS if isinstance(record, Clearance | Confirmation) else topics.FILINGS
        return [Output(topic, key_of(record).encode(), encode_value(record))]

    async def _look(self) -> None:
        names = [name for name in await self._log.topics() if name.startswith(topics.PARTY_PREFIX)]
        self.notices.clear()
        async for record in self._records(names):
            party = record.topic.removeprefix(topics.PARTY_PREFIX)
            self.notices[party, record.key.decode()].append(msgspec.json.decode(msgspec.json.encode(decoded(record))))
        async for record in self._records([topics.BILLS]):
            if record.value is not None and not record.key.startswith(topics.POSITION_KEY):
                state: BillState = BILL_STATE.decode(record.value)
                self.bills[state.key] = assess_bill(state, self._rules)

    async def _records(self, names: list[str]) -> AsyncIterator[Record]:
        async for batch in self._log.read(names, until_end=True):
            for record in batch:
                yield record
