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


_NOISE: Final = "[^*,;|0-9]"
"""A character that is no digit and separates no elements of another format."""


def _with_one_fault(digits: tuple[str, ...]) -> str:
    """The digits with one place less, or with another character in or before one; the first is whole."""
    faults: set[str] = set()
    for place in range(1, len(digits)):
        for instead in ("", _NOISE, _NOISE + digits[place]):
            faults.add("".join((*digits[:place], instead, *digits[place + 1 :])))
    return f"(?:{'|'.join(sorted(faults))})"


_DATE_AND_TIME: Final = ("[23]", "[0-9]", "[01]", "[0-9]", "[0-3]", "[0-9]", "[0-2]", "[0-9]", "[0-5]")
"""YYMMDDHHM of an ACR, from 2020 on; three more digits follow. Bill numbers have digits too."""
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
    r"(?P<first>.{1,6})(?=[A-Z]{2}[0-9]{2}[01][0-9][0-3][0-9][0-2][0-9][0-5][0-9]{3})",
    rf"(?P<first>.{{1,6}})(?=(?<!R02)[A-Z]{{2}}{_with_one_fault(_DATE_AND_TIME)}[0-9]{{3}})",
    r"(?:^|(?<=[\r\n~#]))(?:A.?C.?R|CAR|ARC|.?CR|A.?R|AC).?(?P<first>[^*,;|]{10})(?=.{0,4}[0-9]{3}.?[0-9]{2,}.?[0-9]{3})",
)
"""Separators or blanks may be missing, doubled or replaced, and an ACR may have lost its name or its end."""
_FROM_ISA05: Final = re.compile(
    rf"(?P<separator>[^\w\s]|\t)(?:[0-9]{{2}}|ZZ)(?P=separator){_ELEMENT}{{2,15}}(?P=separator)(?:[0-9]{{2}}|ZZ)(?P=separator)"
    rf"(?:{_ELEMENT}{{2,15}}(?P=separator)[0-9]{{6}}(?P=separator)|{_ELEMENT}{{0,15}}\Z)",
    re.IGNORECASE | re.DOTALL,
)
_UP_TO_ISA05: Final = 40
"""Places of an ISA that has lost its name, before this element."""
_FROM_ISA09: Final = re.compile(
    r"(?P<separator>[^\w\s]|\t)[0-9]{6}(?P=separator)[0-9\r\n]{4,6}(?P=separator).{1,3}?(?P=separator)[0-9\r\n]{5,7}"
    r"(?P=separator)[0-9\r\n]{9,11}",
    re.DOTALL,
)
_UP_TO_ISA09: Final = 76
"""Places of an ISA before this element, and some more."""
_ISA08: Final = 16
_SHORT_OF_ISA09: Final = 55
"""A terminator so many places before ISA09 precedes the ISA; a nearer one may be damage within it."""

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
    whole_acrs = {place for match in in_order if "second" not in match.re.groupindex for place in range(*match.span())}
    apart = starts | whole_acrs
    damaged = (match for pattern in _DAMAGED for match in pattern.finditer(text) if match.start() not in apart)
    for match in (*in_order, *damaged):
        for name in ("first", "second"):
            if name in match.re.groupindex and match[name].strip():
                yield match.span(name)
    for match in _FROM_ISA05.finditer(text):
        if match.start() not in ends:
            yield from _before(text, match.start(), match["separator"])
    for match in _FROM_ISA09.finditer(text):
        start, end = max(0, match.start() - _UP_TO_ISA09), match.start() - _ISA08
        if not any(start <= place < end for place in starts):
            yield from _elements_between(text, start, end, match["separator"])


def _elements_between(text: str, start: int, end: int, separator: str) -> Iterator[tuple[int, int]]:
    """The texts between the separators of a damaged ISA, which begins after the last terminator."""
    reach = end + _ISA08 - _SHORT_OF_ISA09
    start = max(start, *(text.rfind(terminator, 0, max(0, reach)) + 1 for terminator in '~\r\n"'))
    for found in re.finditer(rf"[^{re.escape(separator)}]+", text[start : max(start, end)]):
        yield start + found.start(), start + found.end()


def _before(text: str, end: int, separator: str) -> Iterator[tuple[int, int]]:
    """The three elements that end at a place: ISA02 to ISA04."""
    for _ in range(3):
        start = text.rfind(separator, max(0, end - _UP_TO_ISA05), max(0, end)) + 1
        start = start or max(0, end - _UP_TO_ISA05)
        if text[start:end].strip():
            yield start, end
        end = start - 1
