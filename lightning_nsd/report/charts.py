"""Which figures share a chart."""

import re
from collections.abc import Sequence
from typing import Any

from lightning_nsd.report.collect import Curve, Run

OF_ALL_CLASSES = ("mean", "mean_low", "mean_high", "median", "worst5", "floor")
"""Figures of a distance that share its chart; those of single classes are in the chart of any figure."""
RATE = re.compile(r"lr-.*")
LOG_FROM = 20.0
"""A chart is logarithmic at first where its largest value is so many times its least."""


def charts(runs: Sequence[Run]) -> dict[str, Any]:
    """All figures for the page's script: `runs`, `figures` (of each run by name: steps and values), and `charts`."""
    names = sorted({name for run in runs for name in run.curves})
    together: dict[str, list[str]] = {}
    for name in names:
        if title := title_of(name):
            together.setdefault(title, []).append(name)
    shown = {
        title: of
        for title, of in together.items()
        if any(len(run.curves.get(name, ())) > 1 for name in of for run in runs)
    }
    return {
        "runs": [run.name for run in runs],
        "figures": [{name: _axes(curve) for name, curve in run.curves.items()} for run in runs],
        "names": names,
        "charts": [{"title": title, "names": of, "log": _spreads(runs, of)} for title, of in _losses_first(shown)],
    }


def _axes(curve: Curve) -> list[list[float]]:
    return [[step for step, _ in curve], [value for _, value in curve]]


def title_of(name: str) -> str:
    """The chart of a figure: `train/loss` and `val/loss` share one; nothing for the figure of one class."""
    if RATE.match(name):
        return "learning rate"
    first, *more = name.split("/")
    if len(more) < 2:
        return more[0] if more else first
    return f"{first}/{more[0]}" if "/".join(more[1:]) in OF_ALL_CLASSES else ""


def _losses_first(found: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    return sorted(found.items(), key=lambda chart: (chart[0] != "loss", "/" not in chart[0], chart[0]))


def _spreads(runs: Sequence[Run], names: Sequence[str]) -> bool:
    values = [value for run in runs for name in names for _, value in run.curves.get(name, ())]
    return bool(values) and min(values) > 0 and max(values) > LOG_FROM * min(values)
