"""Alarms for the operators, on `snp.alerts`: raised once, kept while they stand, ended once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from router import codec, topics
from router.log.interface import Log, Output
from router.model.eastern import DAY
from router.model.registry_values import Party

ENDED_DAYS: Final = 7
"""So long an alarm that is over can be seen."""


class Alert(NamedTuple):
    """As in `schemas/alert.avsc`."""

    id: str
    kind: str
    party: str
    bill: str | None
    notice_id: str | None
    since: int
    raised_at: int
    ended_at: int | None
    text: str
    contact_name: str | None = None
    contact_phone: str | None = None
    contact_email: str | None = None


def alert_for(party: Party, id: str, kind: str, since: int, now: int, text: str) -> Alert:
    contact = (party.contact_name, party.contact_phone, party.contact_email)
    return Alert(id, kind, party.scac, None, None, since, now, None, text, *contact)


class Raised(NamedTuple):
    """What one look changed."""

    new: tuple[Alert, ...]
    ended: tuple[Alert, ...]


async def read_alerts(log: Log) -> dict[str, Alert]:
    """By id, those that ended of late too."""
    alerts: dict[str, Alert] = {}
    async for batch in log.read([topics.ALERTS], until_end=True):
        for record in batch:
            if record.value is None:
                alerts.pop(record.key.decode(), None)
            else:
                alerts[record.key.decode()] = Alert(**codec.decode(record.value)[1])
    return alerts


async def settle_alerts(log: Log, prefix: str, standing: Iterable[Alert], now: int) -> Raised:
    """Write what changed among the alarms whose id begins with `prefix`: those that stand now and did not before, or
    are of another kind; and the end of those that no longer stand. One that stood before is not written again."""
    before = {id: alert for id, alert in (await read_alerts(log)).items() if id.startswith(prefix)}
    current = {alert.id: alert for alert in standing}
    new = tuple(alert for alert in current.values() if not _is_known(before.get(alert.id), alert))
    ended = tuple(
        alert._replace(ended_at=now) for id, alert in before.items() if alert.ended_at is None and id not in current
    )
    old = (
        alert for id, alert in before.items()
        if id not in current and alert.ended_at is not None and now - alert.ended_at > ENDED_DAYS * DAY
    )  # fmt: skip
    outputs = [
        Output(topics.ALERTS, alert.id.encode(), codec.encode("alert", alert._asdict())) for alert in (*new, *ended)
    ]
    outputs += [Output(topics.ALERTS, alert.id.encode(), None) for alert in old]
    if outputs:
        await log.append(outputs)
    return Raised(new, ended)


def _is_known(before: Alert | None, alert: Alert) -> bool:
    return before is not None and before.ended_at is None and (before.kind, before.since) == (alert.kind, alert.since)
