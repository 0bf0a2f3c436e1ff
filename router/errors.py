"""Every error this project raises on purpose, and what its catcher may do.

The tree is flat and small. A library's exceptions are translated into one of these once, at the edge where
the library is called; inside, only these travel.
"""

from __future__ import annotations


class RouterError(Exception):
    """Root of all our errors. Its text says what was wrong, where, and what to do."""


class UsageError(RouterError):
    """What the caller asked for can't be done as asked: a setting, an option, a name. Fix it and call again."""


class InputError(RouterError):
    """One piece of input can't be read. The rest of the input is not affected; the piece goes to the dead letters."""

    def __init__(self, reason: str, *, place: str = "") -> None:
        super().__init__(f"{place}: {reason}" if place else reason)
        self.reason = reason
        self.place = place


class LogError(RouterError):
    """The log could not do what was asked of it."""


class TaskMoved(LogError):
    """The task belongs to another owner now: let it go, what was not committed is undone. Not a fault."""


class TaskRetry(LogError):
    """The outcome of the last step is in doubt or it failed for now: close the task, open it again, go on from its
    restored position."""


class FatalLogError(LogError):
    """Going on would be wrong or useless (wrong topics, no rights, a damaged file): stop the process and show this."""


class DestinationMissing(LogError):
    """Topics that the outputs name do not exist or refuse us. Nothing was written; decide again without them."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        super().__init__(
            f"no such destination: {', '.join(topics)}. The notices wait (`snp-router tail --waiting`) until "
            "the topic is there"
        )
        self.topics = topics


class RegistryError(RouterError):
    """An external schema registry does not answer (`status` is None), or not with what was asked for."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status

    @property
    def is_an_answer(self) -> bool:
        """It said no. Otherwise asking again may help."""
        return self.status is not None and self.status < 500
