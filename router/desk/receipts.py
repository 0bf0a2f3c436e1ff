"""How far each party's webhook is, and what operators want of it: records of `snp.webhooks`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from router import codec, topics
from router.log.interface import Log, Output, Record

STATE: Final = b"state:"
ORDER: Final = b"order:"


class Refusal(NamedTuple):
    """A notice that the endpoint answered, and did not take."""

    offset: int
    notice_id: str
    bill: str
    since: int
    attempts: int
    error: str


class WebhookState(NamedTuple):
    """As in `schemas/webhook-state.avsc`."""

    scac: str
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
    def begin(self) -> int:
        """The offset from which its topic is read on."""
        return min((*self.open, self.taken_to))


class WebhookOrder(NamedTuple):
    """As in `schemas/webhook-order.avsc`."""

    scac: str
    paused: bool
    replay_from: int | None
    at: int


def state_output(state: WebhookState) -> Output:
    return Output(topics.WEBHOOKS, STATE + state.scac.encode(), codec.encode("webhook-state", state._asdict()))


def order_output(order: WebhookOrder) -> Output:
    return Output(topics.WEBHOOKS, ORDER + order.scac.encode(), codec.encode("webhook-order", order._asdict()))


class Known(NamedTuple):
    """What `snp.webhooks` says, by SCAC."""

    states: dict[str, WebhookState]
    orders: dict[str, WebhookOrder]

    def take_in(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.value is None:
                continue
            name, fields = codec.decode(record.value)
            if name == "webhook-order":
                self.orders[fields["scac"]] = WebhookOrder(**fields)
            elif name == "webhook-state":
                lists = {key: tuple(fields[key]) for key in ("open", "set_aside")}
                refused = tuple(Refusal(**one) for one in fields["refused"])
                self.states[fields["scac"]] = WebhookState(**fields | lists | {"refused": refused})


async def read_webhooks(log: Log) -> Known:
    known = Known({}, {})
    async for batch in log.read([topics.WEBHOOKS], until_end=True):
        known.take_in(batch)
    return known
