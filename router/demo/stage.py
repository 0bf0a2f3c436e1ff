"""Where a day of an outage is played: a real log and a real router, by the story's own clock."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from router import topics
from router.decide.dead_letters import disposition_json
from router.decide.rules import Rules
from router.desk.manual import relay
from router.engine.administration import import_parties, import_sailings, prepare, tell_time
from router.engine.feed_activity import DEFAULT_FEED, FeedActivityLog
from router.engine.intake import chunks_of, take_in, take_in_filings
from router.engine.worker import Worker, WorkSettings
from router.feeds.forms import ManualForm, checked
from router.feeds.tables import read_parties, read_sailings
from router.log.interface import Log
from router.model.eastern import to_milliseconds
from router.model.inputs import Disposition, Filing, PaperBill
from router.model.registry_values import RegistryNote, party_topic
from router.plain import plain_value
from router.task.outputs import registry_output

FILES: Final = Path(__file__).parent
PARTIES: Final = ("NVXA", "NVXB", "SLTC", "HARX", "OCNX")
PARTITIONS: Final = 4
MARK: Final = "demo"
"""Kind of the registry note that tells a demo's file from everybody else's."""
WORK: Final = WorkSettings(idle_seconds=0.05)


def moment(text: str) -> int:
    """Eastern, as CBP posts."""
    return to_milliseconds(datetime.fromisoformat(text))


class Act(NamedTuple):
    """What happened on the stage, and what parties were told of it."""

    at: int
    happens: str
    notices: list[dict[str, Any]]
    """Party by party, in their order."""
    feed_status: list[dict[str, Any]]


Play = Callable[["Stage"], AsyncIterator[Act]]


class Scenario(NamedTuple):
    name: str
    title: str
    begins: str
    play: Play


class Stage:
    """One router on one log. `now` is the story's time; nothing else knows another."""

    def __init__(self, log: Log, begins: str, work: WorkSettings = WORK) -> None:
        self.log = log
        self.rules = Rules()
        self.now = moment(begins)
        self._work = work
        self._seen: dict[str, int] = {}
        self._hearing = FeedActivityLog(log, DEFAULT_FEED, self.rules)

    async def set_up(self) -> None:
        """Topics, the demo's parties and its sailing."""
        await prepare(self.log, PARTITIONS)
        await self.log.append([registry_output(RegistryNote(MARK, MARK, self.now))])
        await tell_time(self.log, self.now)
        await import_parties(self.log, read_parties(chunks_of(FILES / "parties.csv"), "parties.csv").values)
        await import_sailings(self.log, read_sailings(chunks_of(FILES / "sailings.csv"), "sailings.csv").values)

    async def file(self, filings: Iterable[Filing | PaperBill]) -> None:
        await take_in_filings(self.log, filings)

    async def feed(self, name: str, events: Sequence[Disposition]) -> None:
        """CBP's messages, as they come now: in this order, whenever they were posted."""
        lines = "".join(disposition_json(event._replace(received_at=0)) + "\n" for event in events)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(lines)
            intake = await take_in(
                self.log, path, self.rules.codes, source=name, received_at=self.now, hearing=self._hearing
            )
        assert not intake.problems, intake.problems

    async def say(self, bill: str, action: str, code: str | None = None, source: str = "CBP Los Angeles") -> None:
        """What CBP says by phone, entered at once."""
        fields = {
            "scac": bill[:4], "bill_of_lading": bill[4:], "action": action, "code": code, "said_at": self.now,
            "by": "duty desk", "channel": "phone", "source": source,
        }  # fmt: skip
        await relay(self.log, self.rules, checked(ManualForm, fields), self.now)

    async def act(self, happens: str) -> Act:
        """Route what there is, and look what parties were told since the last act."""
        await self.route()
        notices = [one for scac in PARTIES for one in await self._new(party_topic(scac))]
        return Act(self.now, happens, notices, await self._new(topics.FEED_STATUS))

    async def route(self) -> None:
        await Worker(self.log, self.rules, self._work, until_idle=True, clock=lambda: self.now).run()

    async def wait(self, until: str) -> None:
        """Time goes by."""
        self.now = moment(until)
        await self.route()

    async def _new(self, topic: str) -> list[dict[str, Any]]:
        begin = {(topic, 0): self._seen.get(topic, 0)}
        found = []
        async for batch in self.log.read([topic], until_end=True, begin=begin):
            for record in batch:
                self._seen[topic] = record.offset + 1
                found.append(plain_value(record.value or b""))
        return found
