"""A torch network: its parameters, and what every module of it is given and gives back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from lightning_nsd.convert.jax_layout import torch_parameters
from parity_tests.pairing.arrays import is_float, leaves, to_numpy, with_arrays
from parity_tests.pairing.calls import Call


class TorchSide:
    """A torch network in evaluation mode.

    Attributes:
        parameters: and running statistics, tensors by their key. One that two modules share has its first key.
        statistics: keys of those that are not trained.
        owners: the module that holds each.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()
        self.parameters = torch_parameters(module)
        self.statistics = frozenset(
            key for key, value in self.parameters.items() if not isinstance(value, nn.Parameter)
        )
        self.owners = {key: module.get_submodule(key.rpartition(".")[0]) for key in self.parameters}

    def values(self) -> dict[str, np.ndarray]:
        """The parameters in NumPy."""
        return {key: to_numpy(value) for key, value in self.parameters.items()}

    def record(self, *args: Any, **kwargs: Any) -> list[Call]:
        """Every module's calls in the order in which they return, the whole network's last."""
        with torch.no_grad(), recording(self.module) as calls:
            self.module(*args, **kwargs)
        return calls


@contextmanager
def recording(network: nn.Module) -> Iterator[list[Call]]:
    """The calls of every module of a network, in the order in which they return."""
    calls: list[Call] = []
    given: dict[str, list[Any]] = {}

    def before(name: str, args: Any, kwargs: Any) -> None:  # kept, for an operation in place changes its input
        kept = with_arrays((args, dict(kwargs)), lambda array: array.detach().clone())
        given.setdefault(name, []).append(kept)

    def after(name: str, module: nn.Module, output: Any) -> None:
        args, kwargs = given[name].pop()
        kept = [leaf.detach().clone() for leaf in leaves(output)]
        calls.append(Call(name, type(module).__name__, args, kwargs, kept, module))

    handles = []
    for name, module in network.named_modules():
        handles.append(
            module.register_forward_pre_hook(
                lambda _, args, kwargs, name=name: before(name, args, kwargs), with_kwargs=True
            )
        )
        handles.append(module.register_forward_hook(lambda module, _, output, name=name: after(name, module, output)))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def tensors(inputs: tuple[Any, ...], dtype: torch.dtype) -> tuple[Any, ...]:
    """NumPy inputs as tensors, numbers with a fraction in the network's type."""

    def convert(array: Any) -> torch.Tensor:
        tensor = array if isinstance(array, torch.Tensor) else torch.from_numpy(np.array(array))
        return tensor.to(dtype) if is_float(tensor) else tensor

    return with_arrays(inputs, convert)
