"""The loss curves over each other with their difference below, and the samples side by side."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightning_nsd.pictures import grid
from parity_tests.run.outcome import Outcome
from parity_tests.run.samples import Samples, Support
from parity_tests.run.sides import Trained

TORCH, JAX, DIFFERENCE, CONTROL, TOLERANCE = "#7fa7e0", "#222222", "#555555", "#e0a13a", "#c44e52"
SMALLEST_SHOWN = 1e-18  # a difference of zero has no place on a logarithmic axis
DIFFERENCE_STYLE: dict[str, Any] = {"color": DIFFERENCE, "lw": 0.9, "marker": ".", "ms": 2.5, "label": "torch − JAX"}
CONTROL_STYLE: dict[str, Any] = {"color": CONTROL, "lw": 1.2, "label": "torch − torch started one rounding away"}
ROW = 0.55  # inches


def draw_curves(ours: Trained, theirs: Trained, outcome: Outcome, title: str, path: Path) -> None:
    """Two panels over the same steps: both losses, and their relative difference beside that of a rounding."""
    figure = Figure(figsize=(9, 6.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    steps = [number + 1 for number in ours.losses]
    above.plot(steps, list(ours.losses.values()), color=TORCH, lw=2.6, label="torch (Lightning)")
    above.plot(steps, list(theirs.losses.values()), color=JAX, lw=0.8, ls="--", label="JAX (reference)")
    above.set_ylabel("training loss")
    above.set_title(title, fontsize=10)

    for errors, style in ((outcome.control, CONTROL_STYLE), (outcome.differences, DIFFERENCE_STYLE)):
        below.semilogy(steps, np.maximum(list(errors.values()), SMALLEST_SHOWN), **style)
    judged = len(outcome.loss.errors)
    if judged < len(steps):
        below.axvspan(judged + 0.5, len(steps), color=TOLERANCE, alpha=0.08, label="not judged")
    if math.isfinite(outcome.loss.tolerance):
        below.axhline(
            outcome.loss.tolerance, color=TOLERANCE, ls="--", lw=1, label=f"tolerance {outcome.loss.tolerance:.0e}"
        )
    below.set_ylabel("relative difference")
    below.set_xlabel("optimiser step")
    below.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    figure.savefig(path)


def draw_sample_rows(support: Support, samples: Samples, title: str, path: Path) -> None:
    """Three panels, support, torch and JAX; each row is one class."""
    panels = {"support": support.images, "torch (Lightning)": samples.ours, "JAX (reference)": samples.theirs}
    widths = [images.shape[1] for images in panels.values()]
    size = (1.6 + ROW * sum(widths), 0.9 + ROW * len(support.names))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, images) in zip(
        figure.subplots(1, 3, width_ratios=widths, squeeze=False)[0], panels.items(), strict=True
    ):
        picture = grid(list(torch.from_numpy(images.astype(np.float32))))
        axes.imshow(np.asarray(picture.convert("RGB")), interpolation="nearest")
        height = picture.height / len(images)
        named = support.names if name == "support" else []
        axes.set_xticks([])
        axes.set_yticks([(row + 0.5) * height for row in range(len(named))], named, fontsize=8)
        axes.tick_params(length=0)
        axes.set_title(name, fontsize=10)
        for spine in axes.spines.values():
            spine.set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path)
