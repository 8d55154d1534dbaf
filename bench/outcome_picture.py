"""Every run of both sides as a dot, with the sides' means and intervals: one panel for each figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agreement import Agreement
from matplotlib.figure import Figure

COLOURS = ("#4c78c8", "#222222")
COLUMNS = 3


def draw_figures(
    values: Mapping[str, Mapping[str, Sequence[float]]], found: Mapping[str, Agreement], title: str, path: Path
) -> None:
    """Write the picture.

    Args:
        values: by side, then by figure, of every run.
        found: the comparison of every figure.
        title: above all.
        path: of the PNG.
    """
    rows = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(3.2 * COLUMNS, 2.6 * rows + 0.5), dpi=120, layout="constrained")
    panels = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axes, (name, one) in zip(panels, found.items(), strict=False):
        for place, (side, interval, colour) in enumerate(zip(values, (one.ours, one.theirs), COLOURS, strict=True)):
            axes.errorbar(place, interval.mean, interval.half, fmt="_", ms=22, capsize=6, color=colour)
            dots = values[side][name]
            axes.plot([place + 0.22] * len(dots), dots, "o", ms=4, color=colour, alpha=0.6)
        axes.set_xticks(range(len(values)), list(values))
        axes.set_xlim(-0.5, len(values) - 0.3)
        axes.set_title(f"{name}: {'agree' if one.agree else 'differ'}, p = {one.p:.2f}", fontsize=9)
        axes.grid(alpha=0.3, axis="y")
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    figure.suptitle(f"{title}: means with intervals of 95 %, and every run", fontsize=10)
    figure.savefig(path)
