"""Whether a router lives, and whether it is ready, with the reasons where it isn't."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

STUCK_SECONDS: Final = 60.0
"""The loop takes a turn at least once a poll, which lasts a second: so long without one, it hangs."""

RESTORING: Final = "restoring"
ROUTING: Final = "routing"


@dataclass(slots=True)
class Health:
    """Told by the loop, read by `/live` and `/ready`."""

    tasks: dict[int, str] = field(default_factory=dict)
    """Tasks that are ours, and what each is at: `restoring` or `routing`."""
    _turns: dict[int, float] = field(default_factory=dict)

    def at(self, task: int, stage: str) -> None:
        self.tasks[task] = stage
        self._turns[task] = time.monotonic()

    def let_go(self, task: int) -> None:
        self.tasks.pop(task, None)
        self._turns.pop(task, None)

    def hanging(self) -> list[str]:
        """Reasons to start the process anew. Restoring a large state is no hanging: it takes what it takes."""
        now = time.monotonic()
        return [
            f"task {task} has done nothing for {now - turn:.0f} s"
            for task, turn in sorted(self._turns.items())
            if self.tasks[task] == ROUTING and now - turn > STUCK_SECONDS
        ]

    def unready(self) -> list[str]:
        """Reasons why this process routes nothing (yet)."""
        if not self.tasks:
            return ["no task is assigned to this process: another has them all, or the log can't be reached"]
        return [
            f"task {task} is restoring its state" for task, stage in sorted(self.tasks.items()) if stage == RESTORING
        ]
