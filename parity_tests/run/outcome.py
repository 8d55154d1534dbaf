"""How far two trainings are apart, as a table and as JSON."""

import json
import math
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from rich.table import Table

from lightning_nsd.files.whole_file import write_text
from parity_tests.check import Check
from parity_tests.compare import Worst, errors_of, relative_error, worst_of
from parity_tests.run.samples import Samples
from parity_tests.run.sides import Trained
from parity_tests.tolerances import GRADIENT_FLOOR, TOLERANCES, Dtype

CONTROL_SHARE = 0.1  # of the tolerance, that one rounding may have grown to at a judged step


@dataclass(frozen=True)
class Outcome:
    """The differences, relative to the reference's side; the loss's alone are judged.

    Attributes:
        loss: of the judged steps, named by their number from 1.
        differences: of the loss at every step.
        control: likewise, of the torch side and the same started one rounding away.
        parameters: the worst at the end, and whose it is.
        ema: the moving average's worst.
        samples: of all images together.
        seconds: of each side.
    """

    loss: Check
    differences: dict[str, float]
    control: dict[str, float]
    parameters: Worst
    ema: Worst
    samples: Worst
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether every step's loss is within rung 9's tolerance, and everything is finite."""
        return self.loss.passed and all(math.isfinite(worst.error) for worst in self._reported.values())

    @property
    def _reported(self) -> dict[str, Worst]:
        return {"parameters": self.parameters, "moving average": self.ema, "samples": self.samples}

    @property
    def _all_steps(self) -> dict[str, Worst]:
        return {"loss, all steps": worst_of(self.differences), "torch, one rounding away": worst_of(self.control)}

    def table(self, title: str) -> Table:
        """For the terminal."""
        tolerance, verdict = self.loss.tolerance, "pass" if self.loss.passed else "FAIL"
        shown = Table(title=title)
        for column in ("what", "largest relative difference", "where", "tolerance", "verdict"):
            shown.add_column(column, overflow="fold")
        limit = "reported" if math.isinf(tolerance) else f"{tolerance:.0e}"
        judged = f"loss, {len(self.loss.errors)} steps"
        shown.add_row(judged, f"{self.loss.worst.error:.1e}", self.loss.worst.name, limit, verdict)
        for what, worst in self._all_steps.items():
            shown.add_row(what, f"{worst.error:.1e}", worst.name, "reported", "")
        for what, worst in self._reported.items():
            shown.add_row(what, f"{worst.error:.1e}", worst.name, "reported", "")
        for side, seconds in self.seconds.items():
            shown.add_row(f"seconds, {side}", f"{seconds:.0f}")
        return shown

    def write_json(self, about: dict[str, Any], path: Path) -> None:
        """What was run, and every figure of the table; an infinite one is written as the text `inf`."""

        def number(value: float) -> float | str:
            return value if math.isfinite(value) else "inf"

        def entry(worst: Worst) -> dict[str, Any]:
            return {"largest_relative_difference": number(worst.error), "where": worst.name}

        content = {
            **about,
            "passed": self.passed,
            "loss": {
                **entry(self.loss.worst),
                "tolerance": number(self.loss.tolerance),
                "judged_steps": len(self.loss.errors),
            },
            "loss_all_steps": entry(worst_of(self.differences)),
            "control": entry(worst_of(self.control)),
            **{what.replace(" ", "_"): entry(worst) for what, worst in self._reported.items()},
            "seconds": self.seconds,
        }
        write_text(path, json.dumps(content, indent=1, allow_nan=False))


def step_name(number: int) -> str:
    """How a step, counted from 0, is called in tables: from 1, as elsewhere in the ladder."""
    return f"step {number + 1}"


def judged_steps(control: dict[str, float], limit: float) -> list[str]:
    """The steps before one rounding has grown to more than `limit`.

    Training is chaotic where the rate is high: any two runs part, those of one framework too, and what they differ by
    later says nothing about the frameworks.
    """
    return list(takewhile(lambda step: control[step] <= limit, control))


def compare(ours: Trained, theirs: Trained, nudged: dict[int, float], samples: Samples, dtype: Dtype) -> Outcome:
    """The outcome of the trainings.

    A parameter whose gradient is zero by mathematics is moved by rounding alone, so parameters have the same floor as
    gradients.

    Args:
        nudged: losses of the torch side, started one rounding away.

    Raises:
        ValueError: steps or parameters that only one side has.
    """
    left, right, control = (
        {step_name(n): loss for n, loss in losses.items()} for losses in (ours.losses, theirs.losses, nudged)
    )
    differences, parted = errors_of(left, right), errors_of(control, left)
    judged = judged_steps(parted, TOLERANCES["run"]["float64"] * CONTROL_SHARE)
    return Outcome(
        Check("run", "loss of every judged step", dtype, {step: differences[step] for step in judged}),
        differences,
        parted,
        worst_of(errors_of(ours.params, theirs.params, GRADIENT_FLOOR[dtype])),
        worst_of(errors_of(ours.ema, theirs.ema, GRADIENT_FLOOR[dtype])),
        Worst(relative_error(samples.ours, samples.theirs), "all images together"),
        {"torch": ours.seconds, "jax": theirs.seconds},
    )
