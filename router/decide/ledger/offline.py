"""What a bill keeps of the days when systems were down."""

from __future__ import annotations

from typing import NamedTuple

from router.decide.ledger.manual import Word


class Paper(NamedTuple):
    """A bill that was taken on paper."""

    delivered_at: int
    """To CBP; UTC milliseconds. The 24 hours run from here."""
    form: str
    by: str
    ticket: str | None
    electronic: bool = False
    """The electronic filing came, under the same number."""
    filed_as: str | None = None
    """The bill it was filed as, under another number: this one is superseded."""


class Offline(NamedTuple):
    """What a bill went through by hand and on paper: few have any of it."""

    words: dict[str, Word]
    """What was said by hand, by event id."""
    paper: Paper | None = None
    replaces: tuple[str, ...] = ()
    """Paper bills that were filed as this one, and whose words it took over."""

    @property
    def is_on_paper(self) -> bool:
        """Nobody has filed it electronically, that we know of."""
        return self.paper is not None and not self.paper.electronic and self.paper.filed_as is None

    @property
    def is_superseded(self) -> bool:
        return self.paper is not None and self.paper.filed_as is not None
