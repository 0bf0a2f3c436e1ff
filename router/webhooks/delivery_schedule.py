"""The schedule of one party's deliveries: its notices in memory, and when each may be posted. Pure.

Notices of a bill (or of a vessel's voyage) are posted one after the other in the topic's order; bills go in parallel.
An endpoint that is down is probed with one notice at a time, after growing pauses. A refused notice delays its own bill
only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from router.desk.receipts import Refusal, WebhookState
from router.log.interface import Record
from router.model.eastern import DAY, MILLISECONDS
from router.webhooks.sender import DELIVERED, DOWN, GONE, Outcome
from router.webhooks.webhook_settings import WebhookSettings

WINDOW: Final = 100
"""Notices of a party in memory at once; the others stay on the log."""
SHOWN_SET_ASIDE: Final = 20
MOST_DOUBLINGS: Final = 30


@dataclass(slots=True)
class PendingNotice:
    record: Record
    notice_id: str
    refused_since: int | None = None
    attempts: int = 0
    error: str = ""
    not_before: int = 0
    in_flight: bool = False


class DeliverySchedule:
    def __init__(self, state: WebhookState, settings: WebhookSettings, chance: Callable[[], float]) -> None:
        """`chance` returns numbers from 0 to 1; it varies the pauses, so that parties are not all tried at once."""
        self._state = state
        self._settings = settings
        self._chance = chance
        self._bills: dict[bytes, deque[PendingNotice]] = {}
        self._count = 0
        self._in_flight = 0
        self._not_before = 0
        self._now = 0
        self._owed = set(state.open)
        """Offsets still to be delivered from before a restart, and not added again yet."""
        self._refused = {refusal.offset: refusal for refusal in state.refused}

    @property
    def is_full(self) -> bool:
        return self._count >= WINDOW

    @property
    def is_stopped(self) -> bool:
        return self._state.paused or self._state.disabled is not None

    @property
    def state(self) -> WebhookState:
        pending = [one for bill in self._bills.values() for one in bill]
        refused = [_refusal(one) for one in pending if one.refused_since is not None]
        return self._state._replace(
            open=tuple(sorted({*self._owed, *(one.record.offset for one in pending)})),
            refused=tuple(sorted([*self._refused.values(), *refused])),
        )

    def add(self, record: Record, notice_id: str) -> None:
        """Add a notice, in the topic's order; one delivered before is skipped."""
        self._owed = {offset for offset in self._owed if offset >= record.offset}  # retention deleted the earlier ones
        if record.offset < self._state.taken_to and record.offset not in self._owed:
            return
        self._owed.discard(record.offset)
        pending = PendingNotice(record, notice_id)
        refusal = self._refused.pop(record.offset, None)
        if refusal is not None:
            pending.refused_since, pending.attempts, pending.error = refusal.since, refusal.attempts, refusal.error
        self._bills.setdefault(record.key, deque()).append(pending)
        self._count += 1
        self._state = self._state._replace(taken_to=max(self._state.taken_to, record.offset + 1))

    def next(self, now: int) -> PendingNotice | None:
        """Return a notice that may be posted now; it is in flight until `record_outcome`."""
        self._follow_clock(now)
        most = 1 if self._state.failing_since is not None else self._settings.concurrent_posts
        if self.is_stopped or self._in_flight >= most or now < self._not_before:
            return None
        for head in self._heads():
            if head.not_before <= now:
                head.in_flight = True
                self._in_flight += 1
                return head
        return None

    def _follow_clock(self, now: int) -> None:
        """Move all that waits back with a clock that was set back: pauses would last as much longer."""
        back = max(0, self._now - now)
        self._now = now
        if back:
            self._not_before -= back
            for bill in self._bills.values():
                bill[0].not_before -= back

    def wake_at(self) -> int | None:
        """Earliest time at which `next` may return a notice; None if the passing of time does not matter."""
        times = [head.not_before for head in self._heads()]
        return max(min(times), self._not_before) if times and not self.is_stopped else None

    def _heads(self) -> Iterator[PendingNotice]:
        return (bill[0] for bill in self._bills.values() if not bill[0].in_flight)

    def record_outcome(self, pending: PendingNotice, outcome: Outcome, now: int) -> None:
        self._follow_clock(now)
        pending.in_flight = False
        self._in_flight -= 1
        if outcome.kind == DELIVERED:
            self._remove(pending)
            self._state = self._state._replace(
                failing_since=None, attempts=0, delivered_at=now, delivered_notice=pending.notice_id
            )
            return
        self._state = self._state._replace(last_error=outcome.detail, last_error_at=now)
        if outcome.kind == GONE:
            self._state = self._state._replace(disabled=f"its endpoint {outcome.detail} and is gone for good")
        elif outcome.kind == DOWN:
            self._down(outcome, now)
        else:
            self._refuse(pending, outcome, now)

    def _down(self, outcome: Outcome, now: int) -> None:
        state = self._state
        since = now if state.failing_since is None else state.failing_since
        attempts = state.attempts + 1
        self._state = state._replace(failing_since=since, attempts=attempts)
        self._not_before = now + max(self._pause(attempts), int((outcome.retry_after or 0) * MILLISECONDS))
        if now - since > self._settings.give_up_days * DAY:
            reason = f"no delivery for {self._settings.give_up_days:g} days; last error: {outcome.detail}"
            self._state = self._state._replace(disabled=reason)

    def _refuse(self, pending: PendingNotice, outcome: Outcome, now: int) -> None:
        self._state = self._state._replace(failing_since=None, attempts=0)  # the endpoint answers
        pending.attempts += 1
        pending.error = outcome.detail
        if pending.refused_since is None:
            pending.refused_since = now
        pending.not_before = now + self._pause(pending.attempts)
        if now - pending.refused_since > self._settings.give_up_days * DAY:
            self._remove(pending)
            set_aside = (pending.notice_id, *self._state.set_aside)[:SHOWN_SET_ASIDE]
            self._state = self._state._replace(set_aside=set_aside)

    def _remove(self, pending: PendingNotice) -> None:
        bill = self._bills[pending.record.key]
        bill.popleft()
        self._count -= 1
        if not bill:
            del self._bills[pending.record.key]

    def _pause(self, attempts: int) -> int:
        """Milliseconds: between half and the whole of a pause that doubles with each attempt."""
        longest, first = self._settings.longest_pause_seconds, self._settings.first_pause_seconds
        pause = min(longest, first * 2 ** min(attempts - 1, MOST_DOUBLINGS))
        return int(pause * (0.5 + self._chance() / 2) * MILLISECONDS)

    def obey(self, *, paused: bool, order_at: int) -> None:
        """Follow an operator's order. Resuming also enables a disabled endpoint and tries it at once."""
        self._state = self._state._replace(paused=paused, order_at=order_at)
        if not paused:
            self._state = self._state._replace(disabled=None, failing_since=None, attempts=0)
            self._not_before = 0
            for head in self._heads():
                head.not_before = 0


def _refusal(one: PendingNotice) -> Refusal:
    assert one.refused_since is not None
    bill = one.record.key.decode()
    return Refusal(one.record.offset, one.notice_id, bill, one.refused_since, one.attempts, one.error)
