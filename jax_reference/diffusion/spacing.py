"""Which timesteps a chain visits that is shorter than the diffusion."""

from typing import Literal

import numpy as np
from jaxtyping import Int64

from jax_reference.diffusion.schedule import Schedule

Spacing = Literal["linspace", "trailing", "log_snr"]

FIRST_LEVEL = -5.1
"""Half the log signal-to-noise ratio from which `log_snr` spreads: 0.6 % of the image is left there."""


def spaced_timesteps(spacing: Spacing, schedule: Schedule, count: int) -> Int64[np.ndarray, " {count}"]:
    """`count` of a schedule's T timesteps, increasing; the last is T−1, and T of them are all.

    Args:
        spacing: `linspace`: evenly from 0 to T−1. `trailing`: evenly, one interval after another up to T−1
            (Lin et al. 2023, arXiv 2305.08891, section 3.3). `log_snr`: evenly in half the log signal-to-noise ratio
            from t = 0 up to `FIRST_LEVEL`, and T−1 (Lu et al. 2022, arXiv 2206.00927, section 3.4).
        count: at most T.
    """
    last = len(schedule) - 1
    if count == 1:
        return np.array([last])
    if spacing == "linspace":
        return np.rint(np.arange(count) * (last / (count - 1))).astype(np.int64)
    if spacing == "trailing":
        return np.rint(np.arange(1, count + 1) * ((last + 1) / count)).astype(np.int64) - 1
    log_snr = schedule.half_log_snr
    step = (max(log_snr[-1], FIRST_LEVEL) - log_snr[0]) / (count - 1)
    chain = [0]
    for k in range(1, count):
        level = log_snr[0] + k * step
        nearest = last if k == count - 1 else int(np.rint(np.interp(-level, -log_snr, np.arange(last + 1))))
        chain.append(min(max(nearest, chain[-1] + 1), last + 1 - count + k))
    return np.array(chain)
