"""Text by strangers as people read it: bytes as text, control characters escaped."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_STEERING: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except the line feed, line separators, changes of text direction, and unpaired surrogates."""

FORMULA: Final = re.compile(r"[=@]|[+-](?![0-9 ().-]*$)")
"""Beginnings that spreadsheets take for a formula. A number or a telephone number is none."""


def harmless(text: str) -> str:
    """Text by strangers, with each character that could steer a terminal or reverse a line escaped (`\\u202e`)."""
    return text if text.isprintable() else _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def readable(content: bytes) -> str:
    """UTF-8 bytes as text; anything else as Latin-1, one character a byte."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def json_line(fields: dict[str, Any]) -> str:
    """JSON on one line, letters of every script unescaped, control characters harmless."""
    return harmless(json.dumps(fields, ensure_ascii=False))


def csv_cell(value: object) -> str:
    """A value as text. A spreadsheet takes text that begins like a formula for one: such text gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple) and not any(isinstance(one, dict | list) for one in value):
        return csv_cell("; ".join(map(str, value)))
    if isinstance(value, dict | list):
        return harmless(json.dumps(value, ensure_ascii=False))
    text = harmless(str(value)).replace("\n", " ")
    return f"'{text}" if FORMULA.match(text) else text
