"""`python -m parity_tests.sampler_errors`: every sampler's error at every spacing, as tables and a picture.

The data's exact network is known (rung 8), so nothing is trained and nothing is random.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from lightning_nsd.diffusion.schedule import ScheduleName
from lightning_nsd.diffusion.spacing import Spacing
from parity_tests.rungs import truth
from parity_tests.tolerances import TRUTH_STEPS

SPACINGS: tuple[Spacing, ...] = get_args(Spacing)
PICTURE_STEPS = (3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 70, 100)
DRAWN: tuple[tuple[str, Spacing, str], ...] = (
    ("DDIM", "linspace", "tab:blue"),
    ("DDIM", "trailing", "tab:cyan"),
    ("DPM-Solver++(2M)", "linspace", "tab:red"),
    ("DPM-Solver++(2M)", "trailing", "tab:orange"),
    ("DPM-Solver++(2M)", "log_snr", "tab:green"),
)


def errors(name: str, schedule: ScheduleName, spacing: Spacing, steps: int) -> dict[str, float]:
    """For each data, as a fraction of its standard deviation."""
    diffusion = {"num_steps": truth.TOTAL, "schedule": schedule, "prediction": "v"}
    return truth.sampler_errors("torch", name, diffusion, steps, spacing=spacing)


def table(data: str, schedule: ScheduleName) -> Iterator[str]:
    """A Markdown table of one data and schedule, in per cent."""
    sign = "" if data == truth.MIXTURE else "+"
    yield f"| {data}, {schedule} | spacing | {' | '.join(f'{steps} steps' for steps in TRUTH_STEPS)} |"
    yield f"|---|---|{'---:|' * len(TRUTH_STEPS)}"
    for name in truth.SAMPLERS:
        if data == truth.MIXTURE and name not in truth.WITHOUT_NOISE:
            continue
        for spacing in SPACINGS:
            found = [100 * errors(name, schedule, spacing, steps)[data] for steps in TRUTH_STEPS]
            yield f"| {name} | {spacing} | {' | '.join(f'{value:{sign}.1f}' for value in found)} |"
    yield ""


def picture(path: Path) -> None:
    """Error against steps, for each data and schedule."""
    figure, grid = plt.subplots(
        len(truth.SCHEDULES), len(truth.DATA), figsize=(12, 7), sharex=True, sharey=True, layout="constrained"
    )
    for row, schedule in zip(grid, truth.SCHEDULES, strict=True):
        for name, spacing, colour in DRAWN:
            found = [errors(name, schedule, spacing, steps) for steps in PICTURE_STEPS]
            for axes, data in zip(row, truth.DATA, strict=True):
                drawn = [100 * abs(values[data]) for values in found]
                axes.loglog(PICTURE_STEPS, drawn, ".-", color=colour, linewidth=1, label=f"{name}, {spacing}")
                axes.set_title(f"{data}, {schedule} schedule")
                axes.grid(alpha=0.3)
    ticks = [3, 5, 10, 20, 50, 100]
    for axes in grid.flat:
        axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_ylim(0.03, 200)
    for axes in grid[:, 0]:
        axes.set_ylabel("error in % of the data's standard deviation")
    for axes in grid[-1]:
        axes.set_xlabel("steps")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(DRAWN), frameon=False)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; draw the picture where asked to."""
    options = argparse.ArgumentParser(prog="python -m parity_tests.sampler_errors", description=__doc__)
    options.add_argument("--picture", type=Path, help="a PNG of error against steps")
    given = options.parse_args(arguments)
    for data in truth.DATA:
        for schedule in truth.SCHEDULES:
            print("\n".join(table(data, schedule)))
    if given.picture:
        picture(given.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
