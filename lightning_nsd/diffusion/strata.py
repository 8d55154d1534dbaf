"""Some timesteps in place of all: a sum over every timestep from a sample of them, and how far it may be off."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64


class Strata(NamedTuple):
    """Timesteps that are visited, and the runs of timesteps that they stand for.

    Attributes:
        timesteps: increasing; the first is 0.
        stratum: the run that each of them is of.
        sizes: timesteps of every run.
    """

    timesteps: Int64[np.ndarray, " S"]
    stratum: Int64[np.ndarray, " S"]
    sizes: Int64[np.ndarray, " H"]


def draw_strata(num_steps: int, count: int | None, rng: np.random.Generator) -> Strata:
    """`count` of T timesteps at random, most of them where the bound's terms are large and fall fast.

    t = 0 is always among them. The others lie in runs whose borders grow geometrically from 1 to T, two timesteps at
    least in each, because the terms fall about as 1/t; two timesteps of each run are drawn without replacement, and one
    more of the last run where `count` is even.

    Args:
        num_steps: T.
        count: from 3 to T; all timesteps where None, or where it is T: then each stands for itself.
        rng: draws them.
    """
    if count is None or count == num_steps:
        everyone = np.arange(num_steps)
        return Strata(everyone, everyone, np.ones(num_steps, np.int64))
    runs = (count - 1) // 2
    rank = np.arange(runs + 1)
    borders = np.maximum(np.round(num_steps ** (rank / runs)).astype(np.int64), 1 + 2 * rank)  # (runs + 1,)
    sizes = np.diff(borders, prepend=0)  # (runs + 1,): the first run is t = 0
    drawn = np.array([1, *[2] * (runs - 1), 2 + (count - 1) % 2])
    chosen = [rng.choice(size, n, replace=False) for size, n in zip(sizes, drawn, strict=True)]
    starts = np.append(0, borders[:-1])
    timesteps = np.concatenate([start + np.sort(of_run) for start, of_run in zip(starts, chosen, strict=True)])
    return Strata(timesteps, np.repeat(rank, drawn), sizes)


def estimate_sum(strata: Strata, values: Float64[np.ndarray, " S"]) -> tuple[float, float]:
    """The sum over all timesteps from the values at those that were visited, and its standard error.

    Σ_h N_h ȳ_h, and √(Σ_h N_h (N_h − n_h) s_h² / n_h) with N_h timesteps in run h, of which n_h were visited with the
    mean ȳ_h and the variance s_h² (Cochran 1977, *Sampling Techniques*, chapter 5). A run that was visited
    as a whole adds nothing to the error, so that the sum of all timesteps has an error of 0.
    """
    stratum, sizes = strata.stratum, strata.sizes
    counts = np.bincount(stratum)
    means = np.bincount(stratum, weights=values) / counts
    squares = np.bincount(stratum, weights=(values - means[stratum]) ** 2)
    variances = squares / np.maximum(counts - 1, 1)
    error = np.sqrt((sizes * (sizes - counts) * variances / counts).sum())
    return float((sizes * means).sum()), float(error)
