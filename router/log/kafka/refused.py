"""Topics that exist but refuse us. The metadata does not tell, only a failed transaction does; so it is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable


class RefusedTopics:
    """Shared by all producers of a log. A topic is forgotten after a pause, and then tried again."""

    def __init__(self, pause_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._pause_seconds = pause_seconds
        self._now = now
        self._until: dict[str, float] = {}

    def add(self, topics: Iterable[str]) -> None:
        self._until |= dict.fromkeys(topics, self._now() + self._pause_seconds)

    def among(self, topics: Iterable[str]) -> set[str]:
        if not self._until:
            return set()
        now = self._now()
        self._until = {topic: until for topic, until in self._until.items() if until > now}
        return self._until.keys() & set(topics)
