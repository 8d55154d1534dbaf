"""Between the torch layout of weights and the JAX reference's: the attribute names are equal, only leaves differ."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from lightning_nsd.errors import UserError

# torch module → its parameters' names in Flax, and torch's axes in Flax's order
RULES: dict[type[nn.Module], dict[str, tuple[str, tuple[int, ...] | None]]] = {
    nn.Linear: {"weight": ("kernel", (1, 0)), "bias": ("bias", None)},
    nn.Conv2d: {"weight": ("kernel", (2, 3, 1, 0)), "bias": ("bias", None)},
    nn.LayerNorm: {"weight": ("scale", None), "bias": ("bias", None)},
    nn.GroupNorm: {"weight": ("scale", None), "bias": ("bias", None)},
}


def jax_path(network: nn.Module, key: str) -> tuple[str, tuple[int, ...] | None]:
    """Where the JAX reference keeps a parameter, joined by `/`, and the order of its axes there."""
    owner, _, name = key.rpartition(".")
    leaf, axes = RULES.get(type(network.get_submodule(owner)), {}).get(name, (name, None))
    return "/".join([*filter(None, owner.split(".")), leaf]), axes


def to_jax(network: nn.Module) -> dict[str, np.ndarray]:
    """Every parameter of a network by its path in the JAX reference."""
    arrays = {}
    for key, parameter in network.named_parameters():
        path, axes = jax_path(network, key)
        value = parameter.detach().cpu().numpy()
        arrays[path] = value if axes is None else value.transpose(axes)
    return arrays


def from_jax(network: nn.Module, arrays: Mapping[str, np.ndarray], source: str) -> dict[str, Tensor]:
    """A state of the network from the JAX reference's parameters.

    Raises:
        UserError: a parameter that is missing, mis-shaped or left over; names its path.
    """
    state, used = {}, set()
    for key, parameter in network.named_parameters():
        path, axes = jax_path(network, key)
        if path not in arrays:
            raise UserError(f"{source}: the parameter {path} is missing; {key} is made of it.")
        value = np.asarray(arrays[path])
        if axes is not None and value.ndim == len(axes):
            value = value.transpose(np.argsort(axes))
        if value.shape != tuple(parameter.shape):
            raise UserError(f"{source}: {path} has shape {arrays[path].shape}, {key} takes {tuple(parameter.shape)}.")
        state[key] = torch.from_numpy(np.array(value, order="C"))
        used.add(path)
    left_over = sorted(set(arrays) - used)
    if left_over:
        raise UserError(f"{source}: {', '.join(left_over[:10])}: parameters that this model does not have.")
    return state
