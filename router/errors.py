"""The errors that the router's packages raise for each other, and what their catcher may do.

A library's exceptions are translated into these where the library is called. Exceptions that don't leave their package,
and `NotFoundError`, the desk's kind of UsageError, are defined where they are used.
"""

from __future__ import annotations


class RouterError(Exception):
    """Root of all our errors. The text says what happened, where, and what to do."""


class UsageError(RouterError):
    """A setting, an option or a name that can't be used. Fix it and call again."""


class AddressTaken(RouterError):
    """An address to listen on that another program uses. Stop the process and show the text; a later start may find it
    free."""


class InputError(RouterError):
    """One piece of input that can't be read. Put it aside and go on with the rest."""

    def __init__(self, reason: str, *, place: str = "") -> None:
        super().__init__(f"{place}: {reason}" if place else reason)
        self.reason = reason
        self.place = place


class LogError(RouterError):
    """A failure of the log. Except for the kinds below, report it and give up what was asked for."""


class TaskMoved(LogError):
    """The task has another owner now. Let it go: what was not committed is undone. Not a fault."""


class TaskRetry(LogError):
    """The last step failed for now, or its outcome is unknown. Open the task again and go on from its position."""


class FatalLogError(LogError):
    """Wrong topics, missing rights, a damaged file. Stop the process and show the text."""


class InstanceIdTaken(LogError):
    """Another router has this one's `group_instance_id`. Stop the process and show the text; a later start may find it
    free."""


class InputLost(LogError):
    """Records of an input that were deleted before its task read them. The task stands still until an operator has
    judged what is missing; the others go on."""

    def __init__(self, topic: str, partition: int, begin: int, end: int) -> None:
        """`begin` is the first offset that was not read, `end` the first that is left. An `end` below `begin`: the
        topic was deleted and made again, so that nothing of what is left was read either."""
        where = f"{topic}, partition {partition}: it was read up to offset {begin}, and what is left "
        made_again = " of another topic of that name" if end < begin else ""
        super().__init__(
            f"{where}begins at {end}{made_again}: records were deleted before they were read. `snp-router lost-input "
            "list` shows what is missing; `snp-router lost-input accept` goes on without it"
        )
        self.topic = topic
        self.partition = partition
        self.begin = begin
        self.end = end


class DestinationMissing(LogError):
    """Output topics that do not exist or refuse us. Nothing was written: decide again without them."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        super().__init__(
            f"missing or refused topics: {', '.join(topics)}. Their notices wait (`snp-router tail --waiting`) until "
            "they can be written to"
        )
        self.topics = topics


class RegistryError(RouterError):
    """A failure of an external schema registry. Ask again unless `is_an_answer`."""

    def __init__(self, text: str, status: int | None = None) -> None:
        """`status` is that of the HTTP answer, None if there was none or it was not a registry's."""
        super().__init__(text)
        self.status = status

    @property
    def is_an_answer(self) -> bool:
        """True if the registry refused. Otherwise it may answer later."""
        return self.status is not None and self.status < 500


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error that is not a group, in a group or in those within it."""
    first = errors.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
