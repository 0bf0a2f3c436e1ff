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
_SEPARATED: Final = re.compile(rf"[^\r\n]{{3,{RECORD_LENGTH}}}?([*~#])[\r\n]{{0,4}}{_NAME}")
_FRAME: Final = re.compile(r"ACR[A-Z0-9 ]{10}[A-Z]{2}")
_FRAME_LENGTH: Final = 15
_LOOK_AHEAD: Final = 8
"""As far as a separator has to see to tell that a record follows: line breaks and a name, and itself."""

_ACCESS_CODE: Final = slice(7, 13)


def read_records(chunks: Iterable[bytes]) -> Iterator[str | Evidence]:
    """Records in their order, each at most 80 long; what isn't one comes as evidence. Access codes are masked."""
    reader = _Reader()
    for block in blocks(chunks):
        yield from reader.read(block.decode(ENCODING), final=False)
    yield from reader.read("", final=True)


class _Reader:
    def __init__(self) -> None:
        self._raw = ""
        """Not yet looked at."""
        self._line = ""
        """The rest of the line we are in."""
        self._separator: re.Pattern[str] | None = None
        self._begun = False
        self._garbage: Evidence | None = None

    def read(self, text: str, final: bool) -> Iterator[str | Evidence]:
        self._raw += text
        if not self._begun and not self._begin(final):
            return
        *lines, self._line = (self._line + self._without_separators(final)).split("\n")
        for line in lines:
            yield from self._records(line, whole=True)
        if final:
            line, self._line = self._line, ""
            yield from self._records(line, whole=True)
        else:
            yield from self._records(self._line, whole=False)

    def _begin(self, final: bool) -> bool:
        """Tell from the first two records how records are separated; one file comes from one sender."""
        self._raw = self._raw.lstrip(BLANKS)
        if len(self._raw) < 2 * RECORD_LENGTH and not final:
            return False
        match = _SEPARATED.match(self._raw)
        if match is not None:
            # Only before a record or at the end: in free text the same character is text.
            self._separator = re.compile(rf"{re.escape(match[1])}(?=[\r\n]{{0,4}}(?:{_NAME}|\Z))")
        self._begun = True
        return True

    def _without_separators(self, final: bool) -> str:
        """What can be told of the raw text, with line breaks where records are separated."""
        end = len(self._raw) if final else max(0, len(self._raw) - _LOOK_AHEAD)
        text = self._raw
        if self._separator is not None:
            text = self._separator.sub("\n", text)
            # One character for another: what is held back stays the same length.
        text, self._raw = text[:end], self._raw[end:]
        return text.replace("\r", "\n")

    def _records(self, line: str, whole: bool) -> Iterator[str | Evidence]:
        """Cut a line into records of 80. What isn't a record is garbage up to the next frame or the end of
        the line."""
        place = 0
        while place < len(line) and (whole or len(line) - place >= RECORD_LENGTH):
            text = line[place : place + RECORD_LENGTH]
            if self._garbage is None and _RECORD.match(text):
                yield _masked(text)
                place += RECORD_LENGTH
            elif self._garbage is None and not text.strip(BLANKS):
                place += RECORD_LENGTH
            else:
                frame = _FRAME.search(line, place)
                end = frame.start() if frame else len(line) - (0 if whole else _FRAME_LENGTH - 1)
                self._garbage = self._garbage or Evidence()
                self._garbage.add(line[place:end].encode(ENCODING))
                place = end
                if frame:
                    yield from self._end_garbage()
        self._line = line[place:] if not whole else self._line
        if whole:
            yield from self._end_garbage()

    def _end_garbage(self) -> Iterator[Evidence]:
        if self._garbage is not None:
            yield self._garbage
        self._garbage = None


def _masked(record: str) -> str:
    """An ACR may hold an access code, which is nobody's to read."""
    code = record[_ACCESS_CODE]
    if not record.startswith("ACR") or not code.strip():
        return record
    return record[: _ACCESS_CODE.start] + MASK * len(code) + record[_ACCESS_CODE.stop :]
