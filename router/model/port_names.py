"""Names of U.S. seaports by their Schedule D code, to be shown beside it. Nothing is decided by them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources


@cache
def port_names() -> Mapping[str, str]:
    """The names in `port_names.csv`; other ports have a code only."""
    text = resources.files("router.model").joinpath("port_names.csv").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {row["port"]: row["name"] for row in csv.DictReader(lines)}
