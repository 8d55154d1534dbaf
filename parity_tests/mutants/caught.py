"""`python -m parity_tests.mutants.caught`: in which precisions the two sides differ as they stand here, as JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from parity_tests import backends, cases
from parity_tests.check import Check
from parity_tests.pair import Pair
from parity_tests.rungs import loss, model, module
from parity_tests.tolerances import DTYPES, Dtype, LowPrecision

PRECISIONS: tuple[Dtype | LowPrecision, ...] = (*DTYPES, *get_args(LowPrecision))


def checks(name: str, precision: Dtype | LowPrecision) -> Iterator[Check]:
    """Modules, whole networks and gradients of one of `cases.EVERY_MODULE`."""
    if precision in DTYPES:
        pair = Pair(cases.EVERY_MODULE[name], precision)
        inputs = pair.inputs()
        yield from module.check(pair, inputs)
        yield from model.check(pair, inputs)
        yield from loss.check(pair, inputs)
    elif not (precision == "bfloat16" and name in cases.NOT_IN_BFLOAT16):
        pair = Pair(cases.EVERY_MODULE[name])
        yield from module.check(pair, pair.inputs(), precision)  # type: ignore[arg-type]


def differs(name: str, precision: Dtype | LowPrecision) -> bool:
    """Whether a check fails, or cannot be made: the two sides have other parameters or shapes."""
    try:
        return not all(check.passed for check in checks(name, precision))
    except (ValueError, RuntimeError, TypeError, AttributeError):
        return True


def main() -> None:
    """Every precision, with the first case in which a difference is seen, or null."""
    backends.exact()
    backends.compile_quickly(Path(".pytest_cache") / "jax")
    found = {p: next((name for name in cases.EVERY_MODULE if differs(name, p)), None) for p in PRECISIONS}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
