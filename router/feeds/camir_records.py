"""From bytes to CAMIR records, however they are separated: not at all, by line breaks, or by `*`, `~` or `#`.

Whatever the bytes and however they are cut into chunks, the records are the same and memory is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from router.feeds.camir_layout import RECORD_LENGTH
from router.feeds.evidence import MASK, Evidence, blocks

ENCODING: Final = "latin-1"
"""CBP's text is ASCII; in latin-1 any other byte is a character too, so that none can stop the reader."""

BLANKS: Final = " \t\r\n\v\f\x00\x1a\xef\xbb\xbf"

_NAME: Final = r"(?:ACR|ZCR|[A-Z][0-9]{2})"
_RECORD: Final = re.compile(_NAME)
_SEPARATED: Final = re.compile(rf"[^\r\n]{{3,{RECORD_LENGTH}}}?([*~#])\s*{_NAME}")
_FRAME: Final = re.compile(r"ACR.{10}[A-Z]{2}[0-9]{6}")
_REACH: Final = 21
"""Length of what `_FRAME` looks at."""


def read_records(chunks: Iterable[bytes]) -> Iterator[str | Evidence]:
    """Records in their order, each at most 80 long; what isn't one comes as evidence, credentials masked."""
    reader = _Reader()
    for block in blocks(chunks):
        yield from reader.read(block.decode(ENCODING), final=False)
    yield from reader.read("", final=True)


class _Reader:
    def __init__(self) -> None:
        self._text = ""
        self._separator: re.Pattern[str] | None = None
        self._begun = False
        self._garbage: Evidence | None = None

    def read(self, text: str, final: bool) -> Iterator[str | Evidence]:
        self._text += text
        if not self._begun and not self._begin(final):
            return
        if self._separator is not None:
            self._text = self._separator.sub("\n", self._text)
        *lines, self._text = self._text.replace("\r", "\n").split("\n")
        for line in lines:
            yield from self._line(line, whole=True)
        yield from self._line(self._text, whole=False, final=final)

    def _begin(self, final: bool) -> bool:
        """Tell from the first two records how records are separated; one file comes from one sender."""
        self._text = self._text.lstrip(BLANKS)
        if len(self._text) < 2 * RECORD_LENGTH and not final:
            return False
        match = _SEPARATED.match(self._text)
        if match is not None:
            # A separator stands before a record or at the end: in free text the same character is text.
            self._separator = re.compile(rf"{re.escape(match[1])}(?=\s*(?:{_NAME}|$))")
        self._begun = True
        return True
