"""Text that others wrote, fit to be shown: it can't steer a terminal, nor turn the words of a line around."""

from __future__ import annotations

import re
from typing import Final

_STEERING: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but the line feed; separators of lines, embeddings, overrides and isolates of direction; halves of
characters, which can't be written. Letters and marks of every script stay."""


def harmless(text: str) -> str:
    """The same, with what would steer written out: `\\u202e`."""
    return text if text.isprintable() else _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
