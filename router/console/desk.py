"""What the console's pages work with: the log, the index made from it, who watches, and who may."""

from __future__ import annotations

from dataclasses import dataclass, field

from router.console.access import Access
from router.console.follower import Follower
from router.console.index import Index
from router.console.live import Hub
from router.decide.audience import audience_of
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.desk.receipts import Unread
from router.desk.views import BillView, NotFoundError, is_in_stopped_box
from router.log.interface import AdministeredLog
from router.task.state_records import decode_state


@dataclass
class Watched:
    """What was last asked for (`router/console/watching.py`)."""

    unread: list[Unread] = field(default_factory=list)
    """Of each live party; first who has left something unread for longest."""


@dataclass(frozen=True)
class Desk:
    log: AdministeredLog
    rules: Rules
    index: Index
    hub: Hub
    follower: Follower
    access: Access
    watched: Watched = field(default_factory=Watched)

    @property
    def registry(self) -> Registry:
        return self.follower.registry

    async def bill(self, key: str) -> BillView:
        """All that is known of a bill, as of the index. Raises NotFoundError."""
        value = await self.index.state(key)
        if value is None:
            raise NotFoundError(f"nothing is known of bill {key}")
        state = decode_state(value)
        known, after = state.assess(self.rules)
        audience = audience_of(key, known, is_in_stopped_box(state), self.registry)
        return BillView(key, state, known, after, self.registry, audience, tuple(await self.index.history(key)))
