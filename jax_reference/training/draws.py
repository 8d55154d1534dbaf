"""The random numbers of one batch of episodes, all from one source."""

from typing import NamedTuple

import jax
import numpy as np


class Draws(NamedTuple):
    """What a loss needs besides the images.

    Attributes:
        t: one timestep per episode, `(B,)`.
        noise: `(B·N, C, H, W)`.
        context_noise: xi of each leave-one-out context, `(B·N, …)`, for a variational context.
        dropped: queries that see the null context, bool `(B·N,)`, with context dropout.
    """

    t: jax.Array
    noise: jax.Array
    context_noise: jax.Array | None = None
    dropped: jax.Array | None = None


def draw(
    images: np.ndarray,
    num_steps: int,
    context_noise_shape: tuple[int, ...] | None,
    context_dropout: float,
    source: np.random.Generator,
) -> Draws:
    """The draws of a batch, in the order t, noise, context noise, dropped; those that are not needed are not drawn.

    Args:
        images: episodes `(B, N, C, H, W)`; give shape and dtype.
        num_steps: timesteps are drawn from 0 … num_steps − 1.
        context_noise_shape: of one context; None for none.
        context_dropout: probability of the null context; 0 draws nothing.
        source: gives the numbers.
    """
    b, n, *shape = images.shape
    t = source.integers(0, num_steps, b)
    noise = source.standard_normal((b * n, *shape)).astype(images.dtype)
    context_noise = None
    if context_noise_shape is not None:
        context_noise = source.standard_normal((b * n, *context_noise_shape)).astype(images.dtype)
    dropped = source.random(b * n) < context_dropout if context_dropout > 0 else None
    return Draws(t, noise, context_noise, dropped)  # type: ignore[arg-type]
