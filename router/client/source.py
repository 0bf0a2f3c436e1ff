"""Where a stream of notices comes from: a topic on Kafka, or in a file."""

from __future__ import annotations

from typing import Any, Protocol


class Source(Protocol):
    """Used by one coroutine: `open`, then `next` and `handled` in turn, then `close`."""

    async def open(self) -> None:
        """Raises UsageError, FatalLogError."""
        ...

    async def next(self) -> Any:
        """The next record, with `value` and, for messages, `place`. Waits as long as it takes. Raises FatalLogError."""
        ...

    def handled(self, record: Any) -> None:
        """What was to be done with the record is done: it need not come again."""
        ...

    async def close(self) -> None:
        """Keep what was handled, let go of everything. Raises nothing."""
        ...
