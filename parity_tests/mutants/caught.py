"""`python -m parity_tests.mutants.caught`: in which precisions the two sides differ as they stand here, as JSON.

Every module on its own, whole networks, and the vector-Jacobian products of both, of `cases.EVERY_MODULE`. The first
cases in which float64 sees something are looked at in the others.
"""

import json
from itertools import islice
from pathlib import Path
from typing import get_args

from parity_tests import backends, cases
from parity_tests.pair import Pair
from parity_tests.pairing.alone import NotAlone
from parity_tests.rungs import module
from parity_tests.tolerances import DTYPES, Dtype, LowPrecision

LOW: tuple[LowPrecision, ...] = get_args(LowPrecision)
CASES = 2
PRECISIONS: tuple[Dtype | LowPrecision, ...] = (*DTYPES, *LOW)


def differ(name: str, dtype: Dtype, low: LowPrecision | None = None) -> bool:
    """Whether a check of a case fails, or cannot be made: the two sides have other parameters or shapes."""
    if low == "bfloat16" and name in cases.NOT_IN_BFLOAT16:
        return False
    try:
        pair = Pair(cases.EVERY_MODULE[name], dtype)
        return not all(check.passed for check in module.check(pair, pair.inputs(), low, whole_networks=True))
    except (NotAlone, ValueError, RuntimeError, TypeError, AttributeError):
        return True


def main() -> None:
    """Every precision, with the first case in which a difference is seen, or null."""
    backends.exact()
    backends.compile_once(Path(".pytest_cache") / "jax")
    seen = list(islice((name for name in cases.EVERY_MODULE if differ(name, "float64")), CASES))
    found: dict[str, str | None] = {"float64": next(iter(seen), None)}
    found["float32"] = next((name for name in seen if differ(name, "float32")), None)
    for low in LOW:
        found[low] = next((name for name in seen if differ(name, "float64", low)), None)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
