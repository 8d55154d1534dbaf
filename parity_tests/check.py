"""The outcome of one comparison."""

from collections.abc import Mapping
from dataclasses import dataclass

from parity_tests.compare import Worst, worst_of
from parity_tests.tolerances import DTYPES, TOLERANCES, Dtype, LowPrecision

RUNGS = ("schedule", "op", "module", "model", "loss", "step", "sampler", "metric", "truth")


@dataclass(frozen=True)
class Check:
    """One line of the ladder's table.

    Attributes:
        rung: one of `RUNGS`, or another one of a pairing's.
        what: what is compared.
        dtype: of the model.
        errors: relative error of every array that is compared, in forward order where there is one; in a low precision
            the fraction of what is allowed there, see `pairing.precision`.
        line: of the table of tolerances, where it is not the rung's own.
    """

    rung: str
    what: str
    dtype: Dtype | LowPrecision
    errors: Mapping[str, float]
    line: str | None = None

    @property
    def number(self) -> int | None:
        """Of the rung on the ladder; None of a rung that only a pairing has."""
        return RUNGS.index(self.rung) if self.rung in RUNGS else None

    @property
    def tolerance(self) -> float:
        """From the one table; all of what is allowed in a low precision."""
        return TOLERANCES[self.line or self.rung][self.dtype] if self.dtype in DTYPES else 1.0

    @property
    def worst(self) -> Worst:
        """The largest error, and whose it is.

        Raises:
            ValueError: nothing was compared.
        """
        return worst_of(self.errors)

    @property
    def passed(self) -> bool:
        """Whether every error is within the tolerance. Infinity never is, not even where errors are only reported."""
        return self.worst.error <= self.tolerance and self.worst.error != float("inf")

    @property
    def first_failure(self) -> str | None:
        """The first array, in forward order, whose error leaves the tolerance."""
        return next((name for name, error in self.errors.items() if not error <= self.tolerance), None)

    def require(self) -> None:
        """Raise AssertionError unless the check passed."""
        if not self.passed:
            rung = self.rung if self.number is None else f"rung {self.number} ({self.rung})"
            raise AssertionError(
                f"{rung}, {self.what}, {self.dtype}: error {self.worst.error:.2e} in {self.worst.name}, "
                f"tolerance {self.tolerance:.0e}; first to leave it: {self.first_failure}"
            )


def of_module_outputs(dtype: Dtype | LowPrecision, errors: Mapping[str, float]) -> Check:
    """The worst output of each of some modules, in forward order."""
    return Check("module", f"outputs of {len(errors)} modules, each given the same inputs", dtype, errors)


def of_module_gradients(dtype: Dtype | LowPrecision, errors: Mapping[str, float]) -> Check:
    """The worst gradient of each of some modules, in forward order."""
    what = f"vector-Jacobian products of {len(errors)} modules"
    return Check("module", what, dtype, errors, "module gradient")
