"""The key table: which parameter of the JAX reference is which of the torch model's, and in which layout.

Attribute names are equal on both sides, so the table follows from the modules; it is a bijection, or an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from torch import nn

JaxPath = tuple[str | int, ...]

# torch module → its parameters' names in JAX, and the axes of torch's array in JAX's order
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


class UnmatchedParameter(Exception):  # noqa: N818 (it says what is wrong)
    """A parameter that has no counterpart, or one of another shape; the message names it."""


@dataclass(frozen=True)
class Entry:
    """One parameter on both sides.

    Attributes:
        key: in torch's state_dict.
        path: in the nnx state.
        axes: torch's axes in JAX's order; None where the layout is the same.
        shape: in JAX.
    """

    key: str
    path: JaxPath
    axes: tuple[int, ...] | None
    shape: tuple[int, ...]

    def to_jax(self, value: np.ndarray) -> np.ndarray:
        """The array in JAX's layout."""
        return value if self.axes is None else value.transpose(self.axes)

    def to_torch(self, value: np.ndarray) -> np.ndarray:
        """The array in torch's layout."""
        return value if self.axes is None else value.transpose(np.argsort(self.axes))


def parameters(model: nnx.Module) -> list[tuple[JaxPath, Any]]:
    """Every parameter of a JAX module, with its path; a BatchNorm's statistics are among them."""
    flat: Any = nnx.to_flat_state(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))
    return [(tuple(path), param) for path, param in flat]


def torch_parameters(model: nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter of a torch module, by its key; a BatchNorm's statistics are among them."""
    statistics = {key: value for key, value in model.named_buffers() if key.endswith(("running_mean", "running_var"))}
    return {**dict(model.named_parameters()), **statistics}


def jax_shapes(model: nnx.Module) -> dict[JaxPath, tuple[int, ...]]:
    """The shape of every parameter of a JAX module."""
    return {path: param.get_value().shape for path, param in parameters(model)}


def key_table(torch_model: nn.Module, jax_model: nnx.Module) -> list[Entry]:
    """The bijection between the parameters of two models of one configuration.

    Raises:
        UnmatchedParameter: a parameter of either side without a counterpart or of another shape, or no parameters.
    """
    unused = jax_shapes(jax_model)
    modules = dict(torch_model.named_modules())
    table = []
    for key, parameter in torch_parameters(torch_model).items():
        module_name, _, name = key.rpartition(".")
        name, axes = RULES.get(type(modules[module_name]), {}).get(name, (name, None))
        parts = [*filter(None, module_name.split(".")), name]
        path = tuple(int(part) if part.isdigit() else part for part in parts)
        shape = tuple(parameter.shape) if axes is None else tuple(parameter.shape[axis] for axis in axes)
        if path not in unused:
            raise UnmatchedParameter(f"{key} of the torch model has no counterpart {path} in the JAX model")
        if unused[path] != shape:
            raise UnmatchedParameter(f"{key}: {shape} in torch (in JAX's layout), {unused[path]} in JAX")
        del unused[path]
        table.append(Entry(key, path, axes, shape))
    if unused:
        raise UnmatchedParameter(f"only the JAX model has {', '.join('.'.join(map(str, path)) for path in unused)}")
    if not table:
        raise UnmatchedParameter("the models have no parameters at all")
    return table


def leaf(tree: Any, path: JaxPath) -> Any:
    """What a nested dictionary holds at a path."""
    for part in path:
        tree = tree[part]
    return tree


def to_jax_params(table: list[Entry], state: Mapping[str, torch.Tensor]) -> dict[Any, Any]:
    """A torch state as the JAX model's parameters, a nested dictionary of arrays of the same dtype.

    Raises:
        UnmatchedParameter: a key too many, too few, or of another shape.
    """
    if odd := state.keys() ^ {entry.key for entry in table}:
        raise UnmatchedParameter(f"the state and the key table differ in {', '.join(sorted(odd))}")
    params: dict[Any, Any] = {}
    for entry in table:
        value = entry.to_jax(state[entry.key].detach().cpu().numpy())
        if value.shape != entry.shape:
            raise UnmatchedParameter(f"{entry.key}: {value.shape} where {entry.shape} is expected (in JAX's layout)")
        branch = params
        for part in entry.path[:-1]:
            branch = branch.setdefault(part, {})
        branch[entry.path[-1]] = jnp.array(value)
    return params


def to_torch_state(table: list[Entry], params: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """JAX parameters, or gradients by them, by torch's keys and in torch's layout."""
    return {entry.key: entry.to_torch(np.asarray(leaf(params, entry.path))) for entry in table}


def load(jax_model: nnx.Module, params: Mapping[Any, Any]) -> None:
    """Put parameters into a JAX model, in their own dtype."""
    for path, param in parameters(jax_model):
        param.set_value(leaf(params, path))
