"""The random numbers of one training or evaluation batch, all from one generator."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lightning_nsd.rng import rows_of_rank


class Draws(NamedTuple):
    """What a loss needs besides the images.

    Attributes:
        t: one timestep per episode, int64 `(B,)`.
        noise: `(B·N, C, H, W)`.
        context_noise: xi of each leave-one-out context, `(B·N, …)`, for a variational context.
        dropped: queries that see the null context, bool `(B·N,)`, with context dropout.
    """

    t: Tensor
    noise: Tensor
    context_noise: Tensor | None
    dropped: Tensor | None


def draw(
    images: Tensor,
    num_steps: int,
    context_shape: tuple[int, ...] | None,
    context_dropout: float,
    generator: torch.Generator | None,
    rank: int = 0,
    world_size: int = 1,
) -> Draws:
    """Draw for the whole global batch and keep this process's rows.

    So two processes with half the batch each use the numbers of one process with the whole batch.

    Args:
        images: this process's episodes `(B, N, C, H, W)`; gives shape, dtype and device.
        num_steps: timesteps are drawn from 0 … num_steps − 1.
        context_shape: shape of one context's noise; None for none.
        context_dropout: probability of the null context; 0 draws nothing.
        generator: of the images' device; None takes that device's own state (XLA has no generators).
    """
    b, n, *shape = images.shape
    on: dict[str, Any] = {"device": images.device, "generator": generator}

    def rows(values: Tensor) -> Tensor:
        return rows_of_rank(values, rank, world_size)

    t = rows(torch.randint(num_steps, (world_size * b,), **on))
    noise = rows(torch.randn(world_size * b * n, *shape, dtype=images.dtype, **on))
    context_noise = dropped = None
    if context_shape is not None:
        context_noise = rows(torch.randn(world_size * b * n, *context_shape, dtype=images.dtype, **on))
    if context_dropout > 0:
        dropped = rows(torch.rand(world_size * b * n, **on) < context_dropout)
    return Draws(t, noise, context_noise, dropped)
