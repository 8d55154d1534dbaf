"""A bar for every class, sorted by distance, the floor marked."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from lightning_nsd.evaluation.columns import FID, FLOOR, FLOOR_N, N
from lightning_nsd.evaluation.report import Report

_HEIGHT_OF_A_BAR = 0.2
_BAR_COLOUR, _FLOOR_COLOUR, _MEAN_COLOUR = "#4c72b0", "#c44e52", "#555555"


def make_chart(report: Report) -> Image.Image:
    """The picture; classes without a distance are named below the bars. Any number of classes works, none included."""
    ranked = report.ranked[::-1]  # the best at the top
    figure = Figure(figsize=(7, 1.6 + _HEIGHT_OF_A_BAR * max(len(ranked), 4)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    positions = list(range(len(ranked)))
    axes.barh(positions, [FID.of(row) for row in ranked], color=_BAR_COLOUR, height=0.75)
    if ranked:
        halves = _sizes([FLOOR_N.of(row) for row in ranked])
        axes.vlines(
            [FLOOR.of(row) for row in ranked],
            [position - 0.375 for position in positions],
            [position + 0.375 for position in positions],
            color=_FLOOR_COLOUR,
            lw=2,
            label=f"{FLOOR.name}: real against real, {halves} a side",
        )
        mean = report.average(FID)
        axes.axvline(mean, color=_MEAN_COLOUR, lw=1, ls="--", label=f"mean {mean:.4g}")
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    axes.set_yticks(positions, [row.name for row in ranked], fontsize=7)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_xlim(left=0)
    n = _sizes([N.of(row) for row in ranked])
    axes.set_title(f"{report.title}, n = {n}", fontsize=10)
    without = [row.name for row in report.rows if row.reason]
    more = f"\nno distance: {', '.join(without[:6])}{f' and {len(without) - 6} more' if len(without) > 6 else ''}"
    axes.set_xlabel(f"{report.distance} (less is better){more if without else ''}", fontsize=8)
    with io.BytesIO() as stream:
        figure.savefig(stream, format="png")
        stream.seek(0)
        return Image.open(stream).convert("RGB")


def _sizes(sizes: list[int]) -> str:
    if not sizes:
        return "0"
    return str(sizes[0]) if len(set(sizes)) == 1 else f"{min(sizes)}…{max(sizes)}"
