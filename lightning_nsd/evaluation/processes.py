"""The processes that share an evaluation. Every one of them calls every method, in the same order."""

from typing import Any

import torch
from lightning.pytorch.strategies import Strategy
from torch import Tensor


class Processes:
    """One process, or those of a Lightning strategy.

    Args:
        strategy: None for a process alone.
    """

    def __init__(self, strategy: Strategy | None = None) -> None:
        self.strategy = strategy
        self.rank: int = getattr(strategy, "global_rank", 0)
        self.size: int = getattr(strategy, "world_size", 1)

    def gather(self, tensor: Tensor) -> Tensor:
        """A tensor `(…)` of one shape from every process, `(size, …)`."""
        if self.strategy is None or self.size == 1:
            return tensor[None]
        gathered = self.strategy.all_gather(tensor)
        return gathered if isinstance(gathered, Tensor) else torch.stack(list(gathered))

    def gather_objects(self, value: Any) -> list[Any]:
        """A plain value from every process."""
        if self.strategy is None or self.size == 1:
            return [value]
        return [self.strategy.broadcast(value, src=rank) for rank in range(self.size)]
