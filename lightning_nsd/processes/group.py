"""The processes that work on one run. Every one of them calls every method, in the same order."""

import functools
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import Strategy
from torch import Tensor, distributed


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

    def largest(self, number: int) -> int:
        """The largest of the numbers that the processes hold; no device waits for it but XLA's."""
        if self.size == 1:
            return number
        if not _has_host_group():
            return max(self.gather_objects(number))
        value = torch.tensor(number)
        distributed.all_reduce(value, distributed.ReduceOp.MAX, group=_host_group())
        return int(value)

    def decide_now(self, trainer: Trainer) -> bool:
        """Whether something may be decided together in this step.

        The host can do so in every step. On XLA it is a graph and a copy to the host, so it is left to logging steps.
        """
        return self.size == 1 or _has_host_group() or is_logging_step(trainer)


def is_logging_step(trainer: Trainer) -> bool:
    """Whether figures are logged in this step, and so read from the device anyway."""
    return trainer.global_step % (trainer.log_every_n_steps or 1) == 0  # type: ignore[attr-defined]


def _has_host_group() -> bool:
    """Whether the processes know each other without XLA."""
    return distributed.is_available() and distributed.is_initialized()


@functools.cache
def _host_group() -> distributed.ProcessGroup | None:
    """The processes, connected on the host whatever the devices are: a decision makes no device wait."""
    return None if distributed.get_backend() == "gloo" else distributed.new_group(backend="gloo")
