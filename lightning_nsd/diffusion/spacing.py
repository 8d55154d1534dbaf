"""Which timesteps a chain visits that is shorter than the diffusion."""

from typing import Literal

import numpy as np
from jaxtyping import Int64

from lightning_nsd.diffusion.schedule import Schedule

Spacing = Literal["linspace", "trailing", "log_snr"]

FIRST_LEVEL = -5.1
"""Half the log signal-to-noise ratio from which `log_snr` spreads: 0.6 % of the image is left there.

The linear schedule ends there. The cosine one goes on to −9.9, over noise that says nothing of the image.
"""


def spaced_timesteps(spacing: Spacing, schedule: Schedule, count: int) -> Int64[np.ndarray, " {count}"]:
    """`count` of a schedule's T timesteps, increasing; the last is T−1, and T of them are all.

    Args:
        spacing: `linspace`: evenly from 0 to T−1. `trailing`: evenly, one interval after another up to T−1, so that
            the last step to the image is as long as the others (Lin et al. 2023, arXiv 2305.08891, section 3.3).
            `log_snr`: evenly in half the log signal-to-noise ratio from t = 0 up to `FIRST_LEVEL`, and T−1
            (Lu et al. 2022, arXiv 2206.00927, section 3.4).
        count: at most T.
    """
    total = len(schedule)
    if count == 1:
        return np.array([total - 1])
    if spacing == "linspace":
        return np.linspace(0, total - 1, count).round().astype(np.int64)
    if spacing == "trailing":
        return (total - total / count * np.arange(count)[::-1]).round().astype(np.int64) - 1
    falling = -schedule.half_log_snr  # increases with t
    levels = np.linspace(falling[0], min(falling[-1], -FIRST_LEVEL), count)
    nearest = np.interp(levels, falling, np.arange(total)).round().astype(np.int64)
    nearest[-1] = total - 1
    rank = np.arange(count)
    later = np.maximum.accumulate(nearest - rank) + rank  # levels closer than timesteps: each takes the next free one
    return np.minimum(later, total - count + rank)
