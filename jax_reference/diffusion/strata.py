"""Some timesteps in place of all: a sum over every timestep from a sample of them, and how far it may be off."""

import math
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
        return Strata(np.arange(num_steps), np.arange(num_steps), np.ones(num_steps, np.int64))
    runs = (count - 1) // 2
    timesteps, stratum, sizes = [0], [0], [1]
    rng.choice(1, 1, replace=False)  # of the run of t = 0 alone
    start = 1
    for run in range(1, runs + 1):
        end = max(round(num_steps ** (run / runs)), 1 + 2 * run)
        drawn = count - len(timesteps) if run == runs else 2
        timesteps += sorted(start + int(k) for k in rng.choice(end - start, drawn, replace=False))
        stratum += [run] * drawn
        sizes.append(end - start)
        start = end
    return Strata(*(np.array(numbers, np.int64) for numbers in (timesteps, stratum, sizes)))


def estimate_sum(strata: Strata, values: Float64[np.ndarray, " S"]) -> tuple[float, float]:
    """The sum over all timesteps from the values at those that were visited, and its standard error.

    Σ_h N_h ȳ_h, and √(Σ_h N_h (N_h − n_h) s_h² / n_h) with N_h timesteps in run h, of which n_h were visited with the
    mean ȳ_h and the variance s_h² (Cochran 1977, *Sampling Techniques*, chapter 5). A run that was visited
    as a whole adds nothing to the error, so that the sum of all timesteps has an error of 0.
    """
    total, variance = 0.0, 0.0
    for run, size in enumerate(strata.sizes):
        visited = values[strata.stratum == run]
        n = len(visited)
        total += size * visited.mean()
        if n < size:
            fraction = n / size
            variance += size**2 * (1 - fraction) * visited.var(ddof=1) / n
    return float(total), math.sqrt(variance)
