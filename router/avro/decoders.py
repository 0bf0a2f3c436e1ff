"""From bytes to values: lines for each field, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from router.avro.compiled import Schema, Source, kind_of

Decode = Callable[[bytes, int], tuple[Any, int]]
"""From a buffer and a place in it to the value there and the place after it. Raises IndexError beyond the end and
ValueError for what can't be; a caller must check that the last place is the buffer's end."""

Builder = type[tuple[Any, ...]] | Callable[[tuple[Any, ...]], Any]
"""What a record becomes: a NamedTuple with its fields, or what a function makes of them, in the schema's order."""


class _Decoders(Source):
    def __init__(self, varied: Collection[str], builds: Mapping[str, Builder]) -> None:
        super().__init__(varied)
        self._builds = builds

    def record(self, schema: Schema) -> str:
        return self.named(schema, self._record)

    def _record(self, schema: Schema) -> str:
        names = [field["name"] for field in schema["fields"]]
        places = [f"value_{place}" for place in range(len(names))]
        lines = [
            line
            for place, field in zip(places, schema["fields"], strict=True)
            for line in self.value(field["type"], place, varied=field["name"] in self._varied)
        ]
        build = self._builds.get(schema["name"])
        values = f"({', '.join(places)},)"
        if build is None:
            made = "{" + ", ".join(f"{name!r}: {place}" for name, place in zip(names, places, strict=True)) + "}"
        elif isinstance(build, type):
            made = f"new({self.word(build)}, {values})"
        else:
            made = f"{self.word(build)}({values})"
        return self.function("data, place", (*lines, f"return {made}, place"))

    def value(self, schema: Schema, value: str, *, varied: bool) -> list[str]:
        """Lines that set the variable `value` and move `place` on. A string may seem to end beyond the buffer's end:
        then whatever is read next raises, or else the last place isn't the end."""
        if isinstance(schema, list):
            inner = self.value(schema[1], value, varied=varied)
            return [
                "branch = data[place]; place += 1",
                f"if branch == 0: {value} = None",
                "else:",
                "    if branch != 2: no_branch()",
                *(f"    {line}" for line in inner),
            ]
        kind = kind_of(schema)
        if kind in ("string", "bytes"):
            part = "data[start:place]"
            text = part if kind == "bytes" else f"{part}.decode()" if varied else f"TEXT[{part}]"
            return [
                "size = SIZES[data[place]]; start = place + 1",
                "if size < 0: size, start = decode_size(data, place)",
                f"place = start + size; {value} = {text}",
            ]
        if kind in ("int", "long"):
            return [
                f"{value} = NUMBERS[data[place]]",
                f"if {value} is None: {value}, place = decode_long(data, place)",
                "else: place += 1",
            ]
        if kind == "boolean":
            return [f"{value} = data[place] == 1; place += 1"]
        if kind == "array":
            item = [*self.value(schema["items"], "item", varied=varied), "add(item)"]
            words = ("values = []; add = values.append", "return tuple(values), place + 1", "()")
            return self._blocks(value, words, item)
        if kind == "map":
            key, item = (
                self.value(part, name, varied=varied) for part, name in (("string", "key"), (schema["values"], "item"))
            )
            entry = [*key, *item, "values[key] = item"]
            return self._blocks(value, ("values = {}", "return values, place + 1", "{}"), entry)
        return [f"{value}, place = {self.record(schema)}(data, place)"]

    def _blocks(self, value: str, words: tuple[str, str, str], item: list[str]) -> list[str]:
        """`words`: how it begins, how it ends, and what it is when empty."""
        first, last, empty = words
        name = self.function(
            "data, place",
            (
                first,
                "while data[place]:",
                "    count = SIZES[data[place]]",
                "    if count < 0: count, place = decode_block(data, place)",
                "    else: place += 1",
                "    for _ in range(count):",
                *(f"        {line}" for line in item),
                last,
            ),
        )
        return [f"if data[place]: {value}, place = {name}(data, place)", f"else: {value} = {empty}; place += 1"]


def decoder(schema: Schema, builds: Mapping[str, Builder], varied: Collection[str] = ()) -> Decode:
    """A function from bytes to a record's value: what `builds` makes of it, by its name, or else a dict; an array
    becomes a tuple. `varied` as for `encoder`."""
    source = _Decoders(varied, builds)
    decode: Decode = source[source.record(schema)]
    return decode
