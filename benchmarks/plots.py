"""Pictures of what was measured, as SVG for `docs/`. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from benchmarks.points import Point, Waits

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "snp-router",  # the same picture for the same figures
        "svg.fonttype": "none",  # text stays text
        "font.size": 9,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)

import matplotlib.pyplot as plt  # noqa: E402 - what is set above must be set before

PANELS: Final[Mapping[str, tuple[str, ...]]] = {
    "recipients": ("an event",),
    "bills known": ("of a bill not at hand", "of new bills"),
    "events of a bill": ("the last event, of many bills", "all events, of one bill"),
    "bills in a container": ("each comes in", "one is stopped: a bill told", "each of the others is stopped"),
}
"""Direction and the series drawn of it. Where parties are more, a table says it as well."""


def draw_shape(points: Sequence[Point], path: Path) -> None:
    """A panel for each direction, its size on a logarithmic axis. Cost begins at zero: flat looks flat."""
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
    for panel, (direction, series) in zip(axes.flat, PANELS.items(), strict=True):
        for name in series:
            ours = sorted(
                (one.size, one.microseconds) for one in points if (one.direction, one.series) == (direction, name)
            )
            panel.plot(*zip(*ours, strict=True) if ours else ((), ()), marker="o", markersize=3, label=name)
        panel.set_xscale("log")
        panel.set_ylim(bottom=0)
        panel.set(xlabel=direction, ylabel="CPU µs an event")
        panel.legend(fontsize=8, frameon=False)
    save(figure, path)


def draw_latency(found: Mapping[str, Sequence[Waits]], path: Path) -> None:
    """A pair of lines for each log, both axes logarithmic."""
    figure, panel = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for color, (log, waits) in zip(("C0", "C1"), found.items(), strict=False):
        rates = [one.fed for one in waits]
        panel.plot(rates, [one.p50 for one in waits], color + "o-", markersize=3, label=f"{log}, half of the notices")
        panel.plot(rates, [one.p99 for one in waits], color + "o--", markersize=3, label=f"{log}, 99 of 100")
    panel.axhline(50, color="grey", linewidth=0.8)
    panel.set(xscale="log", yscale="log", xlabel="events a second", ylabel="ms from event to notice")
    panel.legend(fontsize=8, frameon=False)
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
