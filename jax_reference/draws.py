"""The random numbers of one training batch, from NumPy, so that both frameworks can use the same."""

import numpy as np
from numpy.typing import DTypeLike

from jax_reference.model.few_shot_denoiser import FewShotDenoiser
from jax_reference.train_step import Draws
from lightning_nsd.rng import Stream, philox


def draw(
    model: FewShotDenoiser,
    shape: tuple[int, ...],
    num_steps: int,
    context_dropout: float,
    seed: int,
    number: int,
    dtype: DTypeLike = np.float32,
) -> Draws:
    """The draws of batch `number`: a Philox stream keyed by (seed, number), read in the order t, noise, xi, dropped.

    Args:
        shape: of the episodes, `(B, N, C, H, W)`.
        num_steps: timesteps are drawn from 0 … num_steps − 1.
        context_dropout: probability of the null context; 0 draws nothing.
        dtype: of noise.
    """
    b, n, *image = shape
    random = philox(seed, Stream.TRAIN_NOISE, number)
    t = random.integers(0, num_steps, b)
    noise = random.standard_normal((b * n, *image)).astype(dtype)
    of_context = model.context_noise_shape(n)
    context_noise = None if of_context is None else random.standard_normal((b * n, *of_context)).astype(dtype)
    dropped = random.random(b * n) < context_dropout if context_dropout > 0 else None
    return Draws(t, noise, context_noise, dropped)  # type: ignore[arg-type]
