"""Where the random numbers of a batch come from."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from lightning_nsd.rng import device_generator, philox, rows_of_rank


class RandomSource(ABC):
    """Random numbers of a global batch; each call gives the next ones, and of these the rows of one process.

    So two processes with half the batch each use the numbers of one process with the whole batch.

    Args:
        like: gives device and dtype.
        key: what the numbers depend on.
        rank: of this process.
        world_size: processes that share the global batch.
    """

    def __init__(self, like: Tensor, *key: int, rank: int = 0, world_size: int = 1) -> None:
        self.like = like
        self.rank = rank
        self.world_size = world_size

    def integers(self, below: int, count: int) -> Tensor:
        """Uniform in 0 … below − 1, int64 `(count,)`."""
        return self._own_rows(self._integers(below, self.world_size * count))

    def normal(self, count: int, *shape: int) -> Tensor:
        """Standard normal numbers `(count, *shape)`."""
        return self._own_rows(self._normal(self.world_size * count, *shape))

    def uniform(self, count: int, *shape: int) -> Tensor:
        """Uniform in [0, 1), `(count, *shape)`."""
        return self._own_rows(self._uniform(self.world_size * count, *shape))

    def _own_rows(self, values: Tensor) -> Tensor:
        return rows_of_rank(values, self.rank, self.world_size)

    @abstractmethod
    def _integers(self, below: int, count: int) -> Tensor: ...

    @abstractmethod
    def _normal(self, *shape: int) -> Tensor: ...

    @abstractmethod
    def _uniform(self, *shape: int) -> Tensor: ...


class TorchSource(RandomSource):
    """From torch on the device, with a generator, or with the device's own state under XLA."""

    def __init__(self, like: Tensor, *key: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(like, *key, rank=rank, world_size=world_size)
        self.generator = device_generator(like.device, *key)

    def _integers(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self.generator, device=self.like.device)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.like.device, dtype=self.like.dtype)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.like.device)


class NumPySource(RandomSource):
    """From NumPy's Philox on the host, so that PyTorch, XLA and JAX see the same numbers."""

    def __init__(self, like: Tensor, *key: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(like, *key, rank=rank, world_size=world_size)
        self.generator = philox(*key)

    def _integers(self, below: int, count: int) -> Tensor:
        return self._to_device(self.generator.integers(below, size=count))

    def _normal(self, *shape: int) -> Tensor:
        return self._to_device(self.generator.standard_normal(shape)).to(self.like.dtype)

    def _uniform(self, *shape: int) -> Tensor:
        return self._to_device(self.generator.random(shape))

    def _to_device(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.like.device)
