"""The same weights in two models, by the key table of the converter that is shipped.

The table follows from the torch modules alone. Here it is held to those of the JAX reference: a bijection, or an error.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from torch import nn

from lightning_nsd.convert import jax_layout
from lightning_nsd.convert.jax_layout import Entry, JaxPath


class UnmatchedParameter(Exception):  # noqa: N818 (it says what is wrong)
    """A parameter that has no counterpart, or one of another shape; the message names it."""


def parameters(model: nnx.Module) -> list[tuple[JaxPath, Any]]:
    """Every parameter of a JAX module, with its path; a BatchNorm's statistics are among them."""
    flat: Any = nnx.to_flat_state(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))
    return [(tuple(path), param) for path, param in flat]


def jax_shapes(model: nnx.Module) -> dict[JaxPath, tuple[int, ...]]:
    """The shape of every parameter of a JAX module."""
    return {path: param.get_value().shape for path, param in parameters(model)}


def key_table(torch_model: nn.Module, jax_model: nnx.Module) -> list[Entry]:
    """The converter's table of a torch model, where it is a bijection with the JAX model's parameters.

    Raises:
        UnmatchedParameter: a parameter of either side without a counterpart or of another shape, or no parameters.
    """
    unused = jax_shapes(jax_model)
    table = jax_layout.key_table(torch_model)
    for entry in table:
        if entry.path not in unused:
            raise UnmatchedParameter(f"{entry.key} of the torch model has no counterpart {entry.path} in the JAX model")
        if unused[entry.path] != entry.shape:
            raise UnmatchedParameter(
                f"{entry.key}: {entry.shape} in torch (in JAX's layout), {unused[entry.path]} in JAX"
            )
        del unused[entry.path]
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
