"""The key table of torch's and the JAX reference's weights: which parameter is which, and in which layout.

Attribute names are equal on both sides, so the table follows from the torch modules. The parity tests take it from
here, and hold it to the modules of the reference: it is a bijection between their parameters, or an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lightning_nsd.errors import UserError

JaxPath = tuple[str | int, ...]

# torch module → its parameters' names in Flax, and torch's axes in Flax's order
RULES: dict[type[nn.Module], dict[str, tuple[str, tuple[int, ...] | None]]] = {
    nn.Linear: {"weight": ("kernel", (1, 0)), "bias": ("bias", None)},
    nn.Conv2d: {"weight": ("kernel", (2, 3, 1, 0)), "bias": ("bias", None)},
    nn.LayerNorm: {"weight": ("scale", None), "bias": ("bias", None)},
    nn.GroupNorm: {"weight": ("scale", None), "bias": ("bias", None)},
    nn.BatchNorm2d: {
        "weight": ("scale", None),
        "bias": ("bias", None),
        "running_mean": ("mean", None),
        "running_var": ("var", None),
    },
}


@dataclass(frozen=True)
class Entry:
    """One parameter on both sides.

    Attributes:
        key: in torch's state_dict.
        path: in the nnx state; a block of a list is a number.
        axes: torch's axes in JAX's order; None where the layout is the same.
        shape: in JAX.
    """

    key: str
    path: JaxPath
    axes: tuple[int, ...] | None
    shape: tuple[int, ...]

    @property
    def text(self) -> str:
        """The path joined by `/`."""
        return "/".join(map(str, self.path))

    def to_jax(self, value: np.ndarray) -> np.ndarray:
        """The array in JAX's layout."""
        return value if self.axes is None else value.transpose(self.axes)

    def to_torch(self, value: np.ndarray) -> np.ndarray:
        """The array in torch's layout."""
        return value if self.axes is None else value.transpose(np.argsort(self.axes))


def torch_parameters(network: nn.Module) -> dict[str, Tensor]:
    """Every parameter of a torch module, by its key; a BatchNorm's statistics are among them."""
    statistics = {key: value for key, value in network.named_buffers() if key.endswith(("running_mean", "running_var"))}
    return {**dict(network.named_parameters()), **statistics}


def key_table(network: nn.Module) -> list[Entry]:
    """An entry for every parameter of a torch module."""
    table = []
    for key, parameter in torch_parameters(network).items():
        owner, _, name = key.rpartition(".")
        leaf, axes = RULES.get(type(network.get_submodule(owner)), {}).get(name, (name, None))
        parts = [*filter(None, owner.split(".")), leaf]
        shape = tuple(parameter.shape[axis] for axis in axes or range(parameter.dim()))
        table.append(Entry(key, tuple(int(part) if part.isdigit() else part for part in parts), axes, shape))
    return table


def to_jax(network: nn.Module) -> dict[str, np.ndarray]:
    """Every parameter of a network by its path in the JAX reference, joined by `/`."""
    state = torch_parameters(network)
    return {entry.text: entry.to_jax(state[entry.key].detach().cpu().numpy()) for entry in key_table(network)}


def from_jax(network: nn.Module, arrays: Mapping[str, np.ndarray], source: str) -> dict[str, Tensor]:
    """A state of the network from the JAX reference's parameters.

    Args:
        network: gives keys and shapes.
        arrays: by the paths of `to_jax`.
        source: of the arrays, named in errors.

    Raises:
        UserError: a parameter that is missing, mis-shaped or left over; names its path.
    """
    table = key_table(network)
    for entry in table:
        if entry.text not in arrays:
            raise UserError(f"{source}: the parameter {entry.text} is missing; {entry.key} is made of it.")
        shape = np.shape(arrays[entry.text])
        if shape != entry.shape:
            raise UserError(f"{source}: {entry.text} has shape {shape}, and {entry.key} is made of {entry.shape}.")
    left_over = sorted(arrays.keys() - {entry.text for entry in table})
    if left_over:
        raise UserError(f"{source}: {', '.join(left_over[:10])}: parameters that this model does not have.")
    return {  # copies: arrays from files are read-only
        entry.key: torch.from_numpy(np.array(entry.to_torch(np.asarray(arrays[entry.text])), order="C"))
        for entry in table
    }
