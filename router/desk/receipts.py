"""Receipts: the notices a party has read, by its consumer group or its webhook.

Records are counted, not offsets: a Kafka topic also has transaction markers between two offsets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from router import codec, topics
from router.codec.packed import Packed
from router.log.interface import AdministeredLog, Output, Record
from router.model.registry_values import Party

STATE: Final = b"state:"
ORDER: Final = b"order:"


class Receipt(NamedTuple):
    """The part of its topic that a party has read."""

    next_offset: int = 0
    open: frozenset[int] = frozenset()
    """Offsets before `next_offset` that were not read."""
    unknown: str | None = None
    """Why reading is unknown, as a phrase; the other fields then mean nothing."""
    disbelieved: int | None = None
    """The offset that was given as read, if it is none of the topic's: then somebody has to look."""

    def has_read(self, offset: int) -> bool:
        return self.unknown is None and offset < self.next_offset and offset not in self.open

    @property
    def begin(self) -> int:
        """First offset that may be unread."""
        return min((*self.open, self.next_offset))


class Refusal(NamedTuple):
    """A notice that the endpoint answered with a refusal; it is tried again."""

    offset: int
    notice_id: str
    bill: str
    since: int
    attempts: int
    error: str


class WebhookState(NamedTuple):
    """Progress of a party's webhook, a record of `snp.webhooks`."""

    party: str
    taken_to: int = 0
    open: tuple[int, ...] = ()
    delivered_at: int | None = None
    delivered_notice: str | None = None
    paused: bool = False
    disabled: str | None = None
    failing_since: int | None = None
    attempts: int = 0
    last_error: str | None = None
    last_error_at: int | None = None
    refused: tuple[Refusal, ...] = ()
    set_aside: tuple[str, ...] = ()
    order_at: int = 0

    @property
    def receipt(self) -> Receipt:
        return Receipt(self.taken_to, frozenset(self.open))


class WebhookOrder(NamedTuple):
    """An operator's order for a party's webhook, a record of `snp.webhooks`."""

    party: str
    paused: bool
    replay_from: int | None
    at: int


WEBHOOK_STATE: Final = Packed(21, "webhook-state", WebhookState)
WEBHOOK_ORDER: Final = Packed(22, "webhook-order", WebhookOrder)


def state_output(state: WebhookState) -> Output:
    return Output(topics.WEBHOOKS, STATE + state.party.encode(), WEBHOOK_STATE.encode(state))


def order_output(order: WebhookOrder) -> Output:
    return Output(topics.WEBHOOKS, ORDER + order.party.encode(), WEBHOOK_ORDER.encode(order))


class WebhookRecords(NamedTuple):
    """Latest state and latest order of each webhook, by SCAC."""

    states: dict[str, WebhookState]
    orders: dict[str, WebhookOrder]

    def apply(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.value is None:
                continue
            value = codec.decode_value(record.value)
            if isinstance(value, WebhookOrder):
                self.orders[value.party] = value
            elif isinstance(value, WebhookState):
                self.states[value.party] = value


async def read_webhooks(log: AdministeredLog) -> WebhookRecords:
    records = WebhookRecords({}, {})
    async for batch in log.read([topics.WEBHOOKS], until_end=True):
        records.apply(batch)
    return records


async def read_receipts(log: AdministeredLog, parties: Iterable[Party]) -> dict[str, Receipt]:
    """Read each party's receipt, by id: from its webhook if it has one, else from its production group.

    A party may commit any offset, so each is compared with the topic. Its end is asked for last: a party that reads on
    meanwhile is still believed.
    """
    parties = list(parties)
    states = (await read_webhooks(log)).states if any(party.webhook_url for party in parties) else {}
    receipts = {party.id: await _receipt(log, party, states.get(party.id)) for party in parties}
    extents = await log.extents([party.topic for party in parties])
    return {party.id: _checked(receipts[party.id], party, extents.get(party.topic)) for party in parties}


def _checked(receipt: Receipt, party: Party, extent: range | None) -> Receipt:
    """The receipt, if the party can have read so far."""
    if extent is None:
        return Receipt(unknown=f"there is no topic {party.topic}")
    offset = receipt.next_offset
    if receipt.unknown is not None or extent.start <= offset <= extent.stop:
        return receipt
    if offset == 0:
        fault = f"it has read nothing, and the first {extent.start:,} offsets of {party.topic} are deleted"
    elif 0 <= offset < extent.start:
        fault = f"it has read up to offset {offset}, and {party.topic} begins at {extent.start}: the rest is deleted"
    else:
        has = "webhook has" if party.webhook_url is not None else f"group {party.production_group} has"
        fault = f"its {has} offset {offset} as read, and {party.topic} ends at {extent.stop}"
    return Receipt(unknown=fault, disbelieved=offset)


async def _receipt(log: AdministeredLog, party: Party, webhook: WebhookState | None) -> Receipt:
    if party.webhook_url is not None:
        return webhook.receipt if webhook is not None else Receipt()
    if party.production_group is None:
        return Receipt(unknown="no production_group and no webhook_url is registered")
    committed = await log.committed(party.production_group, [party.topic])
    if committed is None:
        return Receipt(unknown="this log keeps no consumer groups")
    return Receipt(committed.get(party.topic, 0))
