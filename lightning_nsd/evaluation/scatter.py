"""Understood or copied: a dot for every class, between real images and copies of the examples."""

import io
import math

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from lightning_nsd.evaluation.columns import ORIGINALITY, RECOGNISED, RECOGNISED_REAL
from lightning_nsd.evaluation.report import Report

NAMED = 3
"""So many classes are named of those that are recognised least."""
_CLASS_COLOUR, _REFERENCE_COLOUR = "#4c72b0", "#c44e52"


def make_scatter(report: Report) -> Image.Image | None:
    """How often a class is recognised against how original it is (Boutin et al. 2022, arXiv 2205.10370, figure 2).

    The references are real images, which have originality 1, and copies of the examples, which are recognised as often
    and have originality 0.

    Returns:
        The picture; None where no class has both values.
    """
    rows = [row for row in report.rows if math.isfinite(RECOGNISED.of(row)) and math.isfinite(ORIGINALITY.of(row))]
    if not rows:
        return None
    figure = Figure(figsize=(6, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    x, y = [ORIGINALITY.of(row) for row in rows], [RECOGNISED.of(row) for row in rows]
    axes.scatter(x, y, color=_CLASS_COLOUR, s=18, alpha=0.7, label=f"{len(rows)} classes", linewidths=0)
    axes.scatter(
        report.average(ORIGINALITY), report.average(RECOGNISED), color=_CLASS_COLOUR, s=110, label="their mean"
    )
    real = report.average(RECOGNISED_REAL)
    axes.scatter(1, real, color=_REFERENCE_COLOUR, marker="*", s=170, label="real images")
    axes.scatter(0, real, color=_REFERENCE_COLOUR, marker="X", s=90, label="copies of the examples")
    for row in sorted(rows, key=RECOGNISED.of)[:NAMED]:
        place = (ORIGINALITY.of(row), RECOGNISED.of(row))
        axes.annotate(row.name, place, xytext=(4, -3), textcoords="offset points", fontsize=7)
    axes.set_xlim(-0.1, max(1.5, 1.1 * max(x)))
    axes.set_ylim(-0.03, 1.06)
    axes.set_xlabel("originality: distance to the nearest example, over that of real images", fontsize=8)
    axes.set_ylabel("recognised as their own class", fontsize=8)
    axes.set_title(f"understood or copied? {report.title}", fontsize=10)
    axes.legend(fontsize=7, loc="lower left")
    with io.BytesIO() as stream:
        figure.savefig(stream, format="png")
        stream.seek(0)
        return Image.open(stream).convert("RGB")
