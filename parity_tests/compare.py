"""What counts as equal: relative errors, worst first, with NaN and emptiness as failures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SMALLEST = 1e-30


def relative_error(ours: Any, theirs: Any, floor: float = 0.0) -> float:
    """max|ours − theirs| / max(max|theirs|, floor); infinite where either has a NaN or an infinity.

    Raises:
        ValueError: shapes or kinds that differ, or nothing to compare.
    """
    a, b = np.asarray(ours), np.asarray(theirs)
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(f"{a.dtype} {a.shape} is compared with {b.dtype} {b.shape}")
    if a.size == 0:
        raise ValueError("there is nothing to compare: the arrays are empty")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.abs(a - b).max() / max(SMALLEST, floor, np.abs(b).max()))


@dataclass(frozen=True)
class Worst:
    """The largest error of several arrays, and whose it is."""

    error: float
    name: str


def worst_of(errors: Mapping[str, float]) -> Worst:
    """The largest of some errors.

    Raises:
        ValueError: there are none.
    """
    if not errors:
        raise ValueError("there is nothing to compare: no array has a name")
    name = max(errors, key=lambda key: errors[key])
    return Worst(errors[name], name)


def errors_of(ours: Mapping[str, Any], theirs: Mapping[str, Any], gradient_floor: float = 0.0) -> dict[str, float]:
    """The error of every array of two dictionaries.

    Args:
        gradient_floor: errors are taken relative to at least this fraction of the largest entry of all.

    Raises:
        ValueError: names that only one side has, or no names.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(f"only one side has {', '.join(sorted(ours.keys() ^ theirs.keys()))}")
    if not ours:
        raise ValueError("there is nothing to compare: no array has a name")
    floor = gradient_floor * max(float(np.abs(np.asarray(value)).max(initial=0.0)) for value in theirs.values())
    return {name: relative_error(ours[name], theirs[name], floor) for name in ours}
