"""What a sampler is made of: the weights of every one of its steps."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64


class StepTable(NamedTuple):
    """Weights of the next x, one of each for every step; step 0 is the noisiest.

    Attributes:
        x_t: weight of the current x.
        x_0: weight of the predicted x_0.
        x_0_before: weight of the x_0 predicted one step before (unused at the first step).
        noise: weight of fresh noise.
    """

    x_t: Float64[np.ndarray, " S"]
    x_0: Float64[np.ndarray, " S"]
    x_0_before: Float64[np.ndarray, " S"]
    noise: Float64[np.ndarray, " S"]
