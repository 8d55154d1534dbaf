"""How far two trainings are apart, as a table and as JSON."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from parity_tests.check import Check
from parity_tests.compare import Worst, errors_of, relative_error, worst_of
from parity_tests.run.samples import Samples
from parity_tests.run.sides import Trained
from parity_tests.tolerances import GRADIENT_FLOOR, Dtype


@dataclass(frozen=True)
class Outcome:
    """The differences, relative to the reference's side; the loss's alone are judged.

    Attributes:
        loss: of every step, named by its number from 1.
        parameters: the worst at the end, and whose it is.
        ema: the moving average's worst.
        samples: of all images together.
        seconds: of each side.
    """

    loss: Check
    parameters: Worst
    ema: Worst
    samples: Worst
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether every step's loss is within rung 8's tolerance, and everything is finite."""
        return self.loss.passed and all(math.isfinite(worst.error) for worst in self._reported.values())

    @property
    def _reported(self) -> dict[str, Worst]:
        return {"parameters": self.parameters, "moving average": self.ema, "samples": self.samples}

    def table(self, title: str) -> Table:
        """For the terminal."""
        tolerance, verdict = self.loss.tolerance, "pass" if self.loss.passed else "FAIL"
        shown = Table(title=title)
        for column in ("what", "largest relative difference", "where", "tolerance", "verdict"):
            shown.add_column(column, overflow="fold")
        limit = "reported" if math.isinf(tolerance) else f"{tolerance:.0e}"
        shown.add_row("loss", f"{self.loss.worst.error:.1e}", self.loss.worst.name, limit, verdict)
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
            "loss": {**entry(self.loss.worst), "tolerance": number(self.loss.tolerance)},
            **{what.replace(" ", "_"): entry(worst) for what, worst in self._reported.items()},
            "seconds": self.seconds,
        }
        path.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def step_name(number: int) -> str:
    """How a step, counted from 0, is called in tables: from 1, as elsewhere in the ladder."""
    return f"step {number + 1}"


def compare(ours: Trained, theirs: Trained, samples: Samples, dtype: Dtype) -> Outcome:
    """The outcome of both trainings.

    A parameter whose gradient is zero by mathematics is moved by rounding alone, so parameters have the same floor as
    gradients.

    Raises:
        ValueError: steps or parameters that only one side has.
    """
    left, right = ({step_name(n): loss for n, loss in side.losses.items()} for side in (ours, theirs))
    return Outcome(
        Check("run", "loss of every step", dtype, errors_of(left, right)),
        worst_of(errors_of(ours.params, theirs.params, GRADIENT_FLOOR[dtype])),
        worst_of(errors_of(ours.ema, theirs.ema, GRADIENT_FLOOR[dtype])),
        Worst(relative_error(samples.ours, samples.theirs), "all images together"),
        {"torch": ours.seconds, "jax": theirs.seconds},
    )
