"""Masks of the credentials in CBP's messages: ISA02 and ISA04 of X12, and the access code in CAMIR's ACR 8-13.

They are found in damaged text too: in lower case, in UTF-16 or EBCDIC, wrapped in another format, glued to other text,
or below a header that has lost its name. A header in order loses only its credentials; in a damaged one, everything
that may be one is masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from router.feeds.manifest_masks import cargo_details

MASK: Final = "X"
"""Replaces each character of a credential."""
EBCDIC: Final = "cp037"
"""Its letters and digits are those of cp500 and cp1047 too. Each byte is one character."""

_SHORTEST: Final = 4
"""Characters of a credential, or of a part of one, that is looked for in a reason."""


def _patterns(*sources: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(source, re.IGNORECASE | re.DOTALL) for source in sources)


_ELEMENT: Final = r"(?:(?!(?P=separator)).)"
_IN_ORDER: Final = _patterns(
    rf"ISA(?P<separator>\W)\w{{2}}(?P=separator)(?P<first>{_ELEMENT}{{0,10}})(?P=separator)\w{{2}}(?P=separator)"
    rf"(?P<second>{_ELEMENT}{{0,10}})(?=(?P=separator)\w{{2}}(?P=separator))",
    r"ACR[A-Z0-9 ]{4}(?P<first>.{6}).{2}[0-9 ]{6}",
)
_DAMAGED: Final = _patterns(
    r"(?:(?<![A-Z])|(?=ISA[^ ]))ISA(?P<separator>[^\w\r\n])(?=.{0,14}?(?P=separator))(?P<first>.{1,42})",
    r"(?:(?<![A-Z])|(?=ACR.{6,40}?[0-9]{12}))ACR(?=.{6,40}?[0-9]{8})(?P<first>.{1,20})",
    r"(?:^|(?<=[0-9\r\n~#]))(?<!R0[0-9])ACR(?P<first>.{1,10})",
    r"(?<![A-Z])ACR(?=[^\"<]{10,90}?(?:[MJR]0[0-9]|ZCR))(?P<first>.{1,10})",
    r"(?P<first>.{6})(?=[A-Z]{2}[0-9]{2}[01][0-9][0-3][0-9][0-2][0-9][0-5][0-9]{3})",
)
"""Separators or blanks may be missing, doubled or replaced, and an ACR may have lost its name or its end."""
_FROM_ISA05: Final = re.compile(
    rf"(?P<separator>[^\w\s]|\t)(?:[0-9]{{2}}|ZZ)(?P=separator){_ELEMENT}{{2,15}}(?P=separator)(?:[0-9]{{2}}|ZZ)(?P=separator)"
    rf"(?:{_ELEMENT}{{2,15}}(?P=separator)[0-9]{{6}}(?P=separator)|{_ELEMENT}{{0,15}}\Z)",
    re.IGNORECASE | re.DOTALL,
)
_UP_TO_ISA05: Final = 40
"""Places of an ISA that has lost its name, before this element."""

_EBCDIC_WORD: Final = re.compile(rb"[\x81-\x89\x91-\x99\xa2-\xa9\xc1-\xc9\xd1-\xd9\xe2-\xe9\xf0-\xf9]{4}")
"""Letters and digits in EBCDIC."""


def masked(content: bytes) -> tuple[bytes, frozenset[str]]:
    """The content, at the same length, without the credentials of any header in it and the cargo of any manifest; and
    the credentials."""
    found: set[str] = set()
    content = _masked(content, found, "latin-1")
    if _EBCDIC_WORD.search(content):
        content = _masked(content, found, EBCDIC)
    return content, frozenset(found)


def without(secrets: frozenset[str], text: str) -> str:
    """The text of a reason, which may quote the input, without words of what was masked in it."""
    if not secrets:
        return text
    words = frozenset(word for secret in secrets for word in re.findall(rf"\w{{{_SHORTEST},}}", secret.upper()))

    def hidden(match: re.Match[str]) -> str:
        word = match[0].upper()
        known = any(word in secret or secret in word for secret in words)
        return MASK * len(word) if known else match[0]

    return re.sub(rf"\w{{{_SHORTEST},}}", hidden, text)


def _masked(content: bytes, found: set[str], encoding: str) -> bytes:
    text = content.decode(encoding)
    places = None
    if "\x00" in text:  # UTF-16
        places = [place for place, character in enumerate(text) if character != "\x00"]
        text = text.replace("\x00", "")
    kept = bytearray(content)
    (mask,) = MASK.encode(encoding)
    credentials = list(_credentials(text))
    found.update(text[start:end] for start, end in credentials)
    for start, end in (*credentials, *cargo_details(text)):
        for place in range(start, end):
            if not text[place].isspace():
                kept[places[place] if places else place] = mask
    return bytes(kept)


def _credentials(text: str) -> Iterator[tuple[int, int]]:
    """First place and end of each stretch to mask."""
    in_order = [match for pattern in _IN_ORDER for match in pattern.finditer(text)]
    starts, ends = {match.start() for match in in_order}, {match.end() for match in in_order}
    damaged = (match for pattern in _DAMAGED for match in pattern.finditer(text) if match.start() not in starts)
    for match in (*in_order, *damaged):
        for name in ("first", "second"):
            if name in match.re.groupindex and match[name].strip():
                yield match.span(name)
    for match in _FROM_ISA05.finditer(text):
        if match.start() not in ends:
            yield from _before(text, match.start(), match["separator"])


def _before(text: str, end: int, separator: str) -> Iterator[tuple[int, int]]:
    """The three elements that end at a place: ISA02 to ISA04."""
    for _ in range(3):
        start = text.rfind(separator, max(0, end - _UP_TO_ISA05), max(0, end)) + 1
        start = start or max(0, end - _UP_TO_ISA05)
        if text[start:end].strip():
            yield start, end
        end = start - 1
