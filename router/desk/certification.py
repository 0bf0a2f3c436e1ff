"""Where a party's certification stands, and opening and closing its tap."""

from __future__ import annotations

from typing import NamedTuple

from router import codec
from router.desk.receipts import Receipt, read_receipts
from router.engine.administration import import_parties
from router.errors import UsageError
from router.log.interface import AdministeredLog
from router.model.registry_values import Party
from router.task.certification import SAMPLE_PREFIX, story


class SampleRead(NamedTuple):
    """One sample in a party's topic."""

    name: str
    kind: str
    status: str | None
    says: str
    notice_id: str
    read: bool


class Standing(NamedTuple):
    party: Party
    receipt: Receipt
    samples: tuple[SampleRead, ...]
    """The latest set; empty: none was written yet."""

    @property
    def is_complete(self) -> bool:
        return bool(self.samples) and all(sample.read for sample in self.samples)


async def read_standing(log: AdministeredLog, party: Party) -> Standing:
    """Which of its samples a party has read. Raises LogError."""
    receipt = (await read_receipts(log, [party]))[party.scac]
    samples: dict[str, SampleRead] = {}
    steps = story(party.scac)
    if party.topic in await log.topics():
        async for batch in log.read([party.topic], until_end=True):
            for record in batch:
                kind, fields = codec.decode(record.value or b"")
                number = fields["notice_id"].removeprefix(SAMPLE_PREFIX)
                if number == fields["notice_id"]:
                    continue
                step = steps[int(number.split("-")[1]) - 1]
                read = receipt.has_read(record.offset)
                values = (kind, fields["status"], step.says, fields["notice_id"], read)
                samples[step.name] = SampleRead(step.name, *values)
    return Standing(party, receipt, tuple(samples.values()))


async def change_status(log: AdministeredLog, party: Party, status: str) -> bool:
    """Whether that changed anything. What follows, the router does: who is live anew gets the status now of its open
    bills. Raises UsageError for a party that never subscribes."""
    if party.status == "external":
        raise UsageError(f"{party.scac} is registered as external: import it anew with another status")
    changes = await import_parties(log, [party._replace(status=status)], action=f"party {status}")
    return bool(changes.changed)
