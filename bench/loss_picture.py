"""Training losses of several configs over the steps: the mean over the seeds, and a band of one deviation.

Configs that draw their timesteps otherwise, or predict something else, have losses that are no comparison.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from parity_tests.run.sides import read_losses

WINDOW = 5
"""Logged losses that a point is the mean of: a batch's own depends on its timesteps above all."""


def smoothed(losses: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Steps and the mean of the last `WINDOW` losses at each, from where there are as many."""
    steps, values = np.array([*losses]), np.array([*losses.values()])
    window = min(WINDOW, len(values))
    return steps[window - 1 :], np.convolve(values, np.full(window, 1 / window), mode="valid")


def draw_losses(runs: Mapping[str, Sequence[Path]], path: Path) -> None:
    """Write the picture.

    Args:
        runs: by config, the metrics.csv of its seeds; all of one config have logged at the same steps.
        path: of the PNG.
    """
    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for label, files in runs.items():
        curves = [smoothed(read_losses(file)) for file in files]
        steps, values = curves[0][0], np.stack([of for _, of in curves])  # (runs, steps)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        (line,) = axes.plot(steps, mean, lw=1.3, label=f"{label}, {len(files)} seeds")
        axes.fill_between(steps, mean - deviation, mean + deviation, alpha=0.2, color=line.get_color(), lw=0)
    axes.set(xlabel="step", ylabel=f"training loss, mean of {WINDOW} logged ones", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path)
