"""Ports that count as one place: CBP releases cargo for the area. The table is `port_areas.csv`.

A row that nobody compared with its source is off: a release needs proof. The setting `rules.port_areas` turns areas on,
with all their rows, or adds others.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from router.errors import UsageError
from router.model.identifiers import is_valid_port


class PortRow(NamedTuple):
    """A port in its area."""

    area: str
    port: str
    """Schedule D."""
    name: str
    source: str
    """The document that makes the area one port, or `not read`."""
    on: bool


class PortAreas:
    """The areas in use. Immutable."""

    def __init__(self, areas: Iterable[Iterable[str]] = ()) -> None:
        self._area_of: dict[str, str] = {}
        for area in areas:
            self._join(list(area))

    def _join(self, ports: list[str]) -> None:
        """Make one area of the ports, and of the areas that they are in already."""
        joined = {self._area_of.get(port, port) for port in ports}
        name = min(joined)
        for port, area in list(self._area_of.items()):
            if area in joined:
                self._area_of[port] = name
        self._area_of.update(dict.fromkeys(ports, name))

    def area_of(self, port: str) -> str:
        """One port of its area, the same for each of them; a port in no area stands for itself."""
        return self._area_of.get(port, port)

    def same(self, one: str, other: str) -> bool:
        """True for one port, and for two that count as one."""
        return self.area_of(one) == self.area_of(other)

    def members(self) -> list[tuple[str, ...]]:
        """The ports of each area, sorted."""
        areas: dict[str, list[str]] = {}
        for port, area in self._area_of.items():
            areas.setdefault(area, []).append(port)
        return sorted(tuple(sorted(ports)) for ports in areas.values())


def load_port_areas(extra: Iterable[str] = ()) -> PortAreas:
    """The areas that are on by default, and `extra` ones.

    Each extra is the name of an area in the table, or two or more ports separated by blanks. Raises UsageError.
    """
    named: dict[str, list[str]] = {}
    by_default: dict[str, list[str]] = {}
    for row in port_rows():
        named.setdefault(row.area, []).append(row.port)
        if row.on:
            by_default.setdefault(row.area, []).append(row.port)
    return PortAreas([*by_default.values(), *(_ports(text, named) for text in extra)])


def _ports(text: str, named: dict[str, list[str]]) -> list[str]:
    if text in named:
        return named[text]
    ports = text.split()
    if len(ports) < 2 or not all(map(is_valid_port, ports)):
        raise UsageError(
            f"rules.port_areas: {text!r} is neither two or more Schedule D ports nor one of {', '.join(sorted(named))}"
        )
    return ports


@lru_cache(1)
def port_rows() -> tuple[PortRow, ...]:
    """All rows of the table."""
    text = resources.files("router.decide").joinpath("port_areas.csv").read_text("utf-8")
    return tuple(_rows(text.splitlines()))


def _rows(lines: Iterable[str]) -> Iterator[PortRow]:
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        yield PortRow(row["area"], row["port"], row["name"], row["source"], row["on"] == "yes")
