"""Attention masks that say the same in other words: as numbers to add, as truth values, turned round, of fewer axes."""

from itertools import combinations
from typing import Any

import numpy as np

from parity_tests.pairing.arrays import is_float, to_numpy

FORBIDDEN = -1e4
"""What is added to a logit that shall not count is no larger than this."""


def allowed(array: Any) -> np.ndarray | None:
    """Where a mask lets something through; None for an array that is no mask.

    Truth values and 0 and 1 let through where they are true; numbers to add where they are 0.
    """
    values = to_numpy(array)
    if values.dtype == bool:
        return values
    if is_float(array) and values.size and ((values == 0) | (values <= FORBIDDEN)).all():
        return values == 0
    return values == 1 if values.size and ((values == 0) | (values == 1)).all() else None


def is_mask(array: Any) -> bool:
    """Whether an array can be an attention mask."""
    return allowed(array) is not None


def same_mask(ours: Any, theirs: Any) -> bool:
    """Whether two masks let the same through, or one what the other does not; axes may be missing or of length 1."""
    a, b = allowed(ours), allowed(theirs)
    if a is None or b is None:
        return False
    a, b = a.squeeze(), b.squeeze()
    if a.ndim > b.ndim:
        a, b = b, a
    for missing in combinations(range(b.ndim), b.ndim - a.ndim):
        widened = np.expand_dims(a, missing)
        fits = all(n in (1, m) for n, m in zip(widened.shape, b.shape, strict=True))
        if fits and ((widened == b).all() or (widened != b).all()):
            return True
    return False
