"""Whether parameters start from the same distributions: the sides draw differently, so only statistics can agree."""

from collections.abc import Mapping, Sequence

import numpy as np

FIVE_SIGMA = 5.0
ENOUGH = 64
"""Entries from which on the largest of them says something of a distribution's ends."""


def differences(
    ours: Sequence[Mapping[str, np.ndarray]], theirs: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, float]:
    """How far the means, spreads and ends of every parameter are apart, as fractions of what chance may do.

    Args:
        ours: torch's fresh parameters by key, one dictionary for each seed.
        theirs: JAX's, by torch's keys in torch's layout.

    Returns:
        For each parameter a number that is above 1 once in a million where the distributions are the same.
    """
    found = {}
    for key in ours[0]:
        a, b = (np.concatenate([side[key].astype(np.float64).ravel() for side in sides]) for sides in (ours, theirs))
        found[key] = _difference(a, b)
    return found


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:  # constants
        return 0.0 if np.allclose(a, b, rtol=1e-6, atol=0) else float("inf")
    spread = max(a.std(), b.std()) if a.size > 1 else 1.0
    mean = abs(a.mean() - b.mean()) / (FIVE_SIGMA * spread * (2 / a.size) ** 0.5)
    # the standard deviation of a standard deviation is at most σ / √(2n), that of a normal distribution
    width = abs(a.std() - b.std()) / (FIVE_SIGMA * spread * (1 / a.size) ** 0.5)
    ends = abs(np.log(np.abs(b).max() / np.abs(a).max())) / np.log(1.6) if a.size >= ENOUGH else 0.0
    return float(max(mean, width, ends))
