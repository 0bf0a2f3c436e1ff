"""Notices with every kind of value that a field can have; a seed always yields the same ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from router.codec import NOTICE_KINDS, encode
from router.codec.published import raw_schema
from router.log.interface import Output

PARTY = "SLTC"
TOPIC = f"snp.party.{PARTY}"
_FIRST_MOMENT, _LAST_MOMENT = 1_600_000_000_000, 1_900_000_000_000
_TEXTS = ("", "A", "NVXA", "TEST", "CSQU3054383", 'quote " and \\ and / and \n line', "Zürich–東京 🚢", "x" * 300)


def notices(count: int, seed: int = 7) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kinds and fields, each with its own `notice_id`."""
    generator = random.Random(seed)
    schemas = {kind: raw_schema(kind) for kind in NOTICE_KINDS}
    for number in range(count):
        kind = generator.choice(NOTICE_KINDS)
        fields = {field["name"]: _any(field["type"], generator) for field in schemas[kind]["fields"]}
        yield kind, fields | {"notice_id": f"{number:08x}", "recipient": PARTY}


def outputs(count: int, seed: int = 7) -> list[Output]:
    """The same notices as records of the party's topic."""
    return [
        Output(TOPIC, f"NVXAHBL{number % 100:09}".encode(), encode(kind, fields), (("kind", kind.encode()),))
        for number, (kind, fields) in enumerate(notices(count, seed))
    ]


def _any(schema: Any, generator: random.Random) -> Any:
    if isinstance(schema, list):
        return None if generator.random() < 0.3 else _any(schema[1], generator)
    if schema == "string":
        return generator.choice(_TEXTS)
    if schema == "boolean":
        return generator.random() < 0.5
    if schema in ("int", "long"):
        return generator.choice((0, 1, -1, 63, 64, 8191, 8192, 2**31, 2**53 - 1, generator.randrange(10**6)))
    if schema.get("logicalType") == "timestamp-millis":
        unit = generator.choice((1, 1000, 60_000))
        return generator.randrange(_FIRST_MOMENT, _LAST_MOMENT) // unit * unit
    if schema["type"] == "array":
        return [_any(schema["items"], generator) for _ in range(generator.choice((0, 0, 1, 2, 5)))]
    return {field["name"]: _any(field["type"], generator) for field in schema["fields"]}
