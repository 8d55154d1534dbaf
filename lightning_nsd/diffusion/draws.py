"""The random numbers of one training or evaluation batch, all from one source keyed by (seed, stream, batch)."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lightning_nsd.rng import device_generator, philox, rows_of_rank


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


class Source(ABC):
    """Where random numbers come from; each call gives the next ones."""

    @abstractmethod
    def integers(self, below: int, count: int) -> Tensor:
        """Uniform in 0 … below − 1, int64 `(count,)`."""

    @abstractmethod
    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of a shape."""

    @abstractmethod
    def uniform(self, count: int) -> Tensor:
        """Uniform in [0, 1), `(count,)`."""


class TorchSource(Source):
    """Draws on the device, with a generator, or with the device's own state under XLA.

    Args:
        like: gives device and dtype.
        key: what the numbers depend on.
    """

    def __init__(self, like: Tensor, *key: int) -> None:
        self.like = like
        self.generator = device_generator(like.device, *key)

    def integers(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self.generator, device=self.like.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.like.device, dtype=self.like.dtype)

    def uniform(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.like.device)


class NumPySource(Source):
    """Draws on the host from NumPy's Philox, so that PyTorch, XLA and JAX see the same numbers.

    Args:
        like: gives device and dtype.
        key: what the numbers depend on.
    """

    def __init__(self, like: Tensor, *key: int) -> None:
        self.like = like
        self.numbers = philox(*key)

    def integers(self, below: int, count: int) -> Tensor:
        return self._to_device(self.numbers.integers(below, size=count))

    def normal(self, *shape: int) -> Tensor:
        return self._to_device(self.numbers.standard_normal(shape)).to(self.like.dtype)

    def uniform(self, count: int) -> Tensor:
        return self._to_device(self.numbers.random(count))

    def _to_device(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.like.device)


def draw(
    images: Tensor,
    num_steps: int,
    context_shape: tuple[int, ...] | None,
    context_dropout: float,
    source: Source,
    rank: int = 0,
    world_size: int = 1,
) -> Draws:
    """Draw for the whole global batch and keep this process's rows.

    So two processes with half the batch each use the numbers of one process with the whole batch. The order is t,
    noise, context noise, dropped; those that are not needed are not drawn.

    Args:
        images: this process's episodes `(B, N, C, H, W)`; gives the shape.
        num_steps: timesteps are drawn from 0 … num_steps − 1.
        context_shape: shape of one context's noise; None for none.
        context_dropout: probability of the null context; 0 draws nothing.
    """
    b, n, *shape = images.shape
    episodes = world_size * b

    def rows(values: Tensor) -> Tensor:
        return rows_of_rank(values, rank, world_size)

    t = rows(source.integers(num_steps, episodes))
    noise = rows(source.normal(episodes * n, *shape))
    context_noise = None if context_shape is None else rows(source.normal(episodes * n, *context_shape))
    dropped = rows(source.uniform(episodes * n) < context_dropout) if context_dropout > 0 else None
    return Draws(t, noise, context_noise, dropped)
