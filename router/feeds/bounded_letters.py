"""Bounds the dead letters of one input: a small file can be unreadable a million times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from router.feeds.bounded_input import ReadResult, UnreadableInput
from router.model.inputs import DeadLetter

MOST_LETTERS: Final = 1_000
"""Dead letters of one input that are kept with their content."""
MOST_STOPS: Final = 65_536
"""Stops beyond that which are recognised when they come again. The oldest are forgotten first."""
COUNTED_BYTES: Final = 8 << 20
"""Content of the dead letters whose equals are counted."""
SHORT_CONTENT: Final = 200
"""Bytes of the content of a dead letter beyond `MOST_LETTERS`, which still stops its bill."""

LetterKey = tuple[str | None, ...]


def bounded_letters(results: Iterable[ReadResult], source: str) -> Iterator[ReadResult]:
    """The same results with each dead letter once, and at the end again with its count if it came several times.

    Beyond `MOST_LETTERS`, a bill's letter has the beginning of its content, and the others are one letter with a count.
    """
    letters = _Letters(source)
    for result in results:
        if not isinstance(result, DeadLetter):
            yield result
        elif (letter := letters.admitted(result)) is not None:
            yield letter
    yield from letters.counted()


class _Letters:
    def __init__(self, source: str) -> None:
        self._source = source
        self._times: dict[LetterKey, int] = {}
        self._counted: dict[LetterKey, DeadLetter] = {}
        self._counted_bytes = 0
        self._stops: dict[LetterKey, None] = {}
        self._further: DeadLetter | None = None
        """Stands for the letters beyond the bound that name no bill."""

    def admitted(self, letter: DeadLetter) -> DeadLetter | None:
        """The letter to write, if any."""
        key: LetterKey = (letter.id, letter.scac, letter.bill_of_lading)
        if key in self._times:
            self._times[key] += 1
            return None
        if len(self._times) < MOST_LETTERS:
            self._times[key] = 1
            if self._counted_bytes + len(letter.content) <= COUNTED_BYTES:
                self._counted_bytes += len(letter.content)
                self._counted[key] = letter
            return letter
        return self._one_more(letter) if letter.bill_of_lading is None else self._stop(letter)

    def counted(self) -> Iterator[DeadLetter]:
        """The letters that came several times, with their count."""
        for key, letter in self._counted.items():
            if (times := self._times[key]) > 1:
                yield letter._replace(times=times)
        if self._further is not None and self._further.times > 1:
            yield self._further

    def _stop(self, letter: DeadLetter) -> DeadLetter | None:
        stop: LetterKey = (letter.scac, letter.bill_of_lading, letter.disposition_code)
        if stop in self._stops:
            return None
        if len(self._stops) >= MOST_STOPS:
            del self._stops[next(iter(self._stops))]
        self._stops[stop] = None
        return letter._replace(content=letter.content[:SHORT_CONTENT])

    def _one_more(self, letter: DeadLetter) -> DeadLetter | None:
        """The letter that stands for all further ones, when the first of them comes."""
        if self._further is not None:
            size, times = self._further.content_size + letter.content_size, self._further.times + 1
            self._further = self._further._replace(content_size=size, times=times)
            return None
        reason = (
            f"more than {MOST_LETTERS:,} parts of this input can't be read. From {letter.source} on they are counted "
            f"here and not kept: correct the input and feed it in again. The first: {letter.reason}"
        )
        first = UnreadableInput(f"{self._source} {letter.id}".encode())
        further = first.dead_letter(reason, self._source, letter.format, letter.received_at)
        self._further = further._replace(content=b"", content_size=letter.content_size)
        return self._further
