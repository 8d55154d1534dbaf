"""What a sampler is made of: the weights of every one of its steps."""

from typing import NamedTuple

import numpy as np


class StepTable(NamedTuple):
    """Weights of the next x, float64 `(S,)` each; step 0 is the noisiest.

    Attributes:
        x_t: weight of the current x.
        x_0: weight of the predicted x_0.
        x_0_before: weight of the x_0 predicted one step before (unused at the first step).
        noise: weight of fresh noise.
    """

    x_t: np.ndarray
    x_0: np.ndarray
    x_0_before: np.ndarray
    noise: np.ndarray
