"""Fully sharded data parallel: every process keeps its part of the weights, the gradients and the moments."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.strategies.strategy import Strategy
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

WHOLE = StateDictOptions(full_state_dict=True)
WHOLE_ON_HOST = StateDictOptions(full_state_dict=True, cpu_offload=True)


class FSDP2(ModelParallelStrategy):
    """Lightning's strategy for sharded weights, over all processes, with checkpoints like any other's.

    A checkpoint holds whole weights and whole moments, written atomically by the first process, so that a run goes on
    with another number of processes or without sharding. The moving average is whole in every process: evaluation and
    pictures then need no other.

    PyTorch FSDP, arXiv 2304.11277; `fully_shard` of torch.distributed.fsdp.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None) -> None:
        """By the first process, through the run's own way to files; it alone was given whole weights."""
        Strategy.save_checkpoint(self, checkpoint, filepath, storage_options)

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        return Strategy.load_checkpoint(self, checkpoint_path, weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        set_model_state_dict(self.lightning_module, checkpoint["state_dict"], options=WHOLE)  # type: ignore[arg-type]

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Whole moments in the first process, numbered as the optimiser has its parameters; nothing in the others."""
        assert self.model is not None
        state = get_optimizer_state_dict(self.model, optimizer, options=WHOLE_ON_HOST)
        if not self.is_global_zero:
            return {}
        return _renamed(state, {name: number for number, name in enumerate(self._names(optimizer))})

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        assert self.model is not None
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            named = _renamed(state, dict(enumerate(self._names(optimizer))))
            hooks, optimizer._optimizer_step_post_hooks = optimizer._optimizer_step_post_hooks, OrderedDict()
            try:
                # takes a step of length 0 first, to make the moments: one that the moving average must not see
                set_optimizer_state_dict(self.model, optimizer, named, options=WHOLE)
            finally:
                optimizer._optimizer_step_post_hooks = hooks

    def _names(self, optimizer: Optimizer) -> list[str]:
        """Of the parameters in the optimiser's order, which need not be the model's."""
        assert self.model is not None
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def _renamed(state: Mapping[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    """The state of an optimiser with its parameters called otherwise."""
    groups = [{**group, "params": [names[each] for each in group["params"]]} for group in state["param_groups"]]
    return {"state": {names[each]: value for each, value in state["state"].items()}, "param_groups": groups}
