"""The same weights in two models, by the key table of the converter that is shipped.

The table follows from the torch modules alone. Here it is held to those of the JAX reference: a bijection, or an error.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import unflatten_dict
from torch import nn

from lightning_nsd.convert import jax_layout
from parity_tests.pairing.arrays import to_numpy
from parity_tests.pairing.guess import Parameter
from parity_tests.pairing.jax_sides.nnx_side import variables
from parity_tests.pairing.jax_sides.side import flatten
from parity_tests.pairing.key_map import KeyMap, make_key_map
from parity_tests.pairing.layouts import Layout


def key_map(torch_model: nn.Module, jax_model: nnx.Module) -> KeyMap:
    """The converter's table of a torch model, as the map of its parameters and the JAX model's.

    Raises:
        UnmatchedParameter: a parameter of either side without a counterpart or of another shape, or no parameters.
    """
    ours = [
        Parameter(key, tuple(p.shape), 0, is_statistic=not isinstance(p, nn.Parameter))
        for key, p in jax_layout.torch_parameters(torch_model).items()
    ]
    theirs = [
        Parameter(path, variable.get_value().shape, 0, is_statistic=isinstance(variable, nnx.BatchStat))
        for path, variable in variables(jax_model).items()
    ]
    rules = [(entry.key, entry.text, Layout(entry.axes)) for entry in jax_layout.key_table(torch_model)]
    return make_key_map(ours, theirs, rules)


def state_of(torch_model: nn.Module) -> dict[str, np.ndarray]:
    """A torch model's parameters and statistics in NumPy."""
    return {key: to_numpy(value) for key, value in jax_layout.torch_parameters(torch_model).items()}


def to_tree(arrays: Mapping[str, np.ndarray]) -> dict[Any, Any]:
    """JAX's arrays by path as nested dictionaries, in which a block of a list is a number."""
    flat = {
        tuple(int(part) if part.isdigit() else part for part in path.split("/")): jnp.array(value)
        for path, value in arrays.items()
    }
    return unflatten_dict(flat)


def to_torch_state(table: KeyMap, tree: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """A nested dictionary of JAX parameters, or of gradients by them, by torch's keys and in torch's layout."""
    return table.to_torch({path: np.asarray(value) for path, value in flatten(tree).items()})


def load(jax_model: nnx.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Put arrays into a JAX model, in their own dtype."""
    for path, variable in variables(jax_model).items():
        variable.set_value(jnp.array(arrays[path]))


def copy_weights(torch_model: nn.Module, jax_model: nnx.Module) -> None:
    """Put a torch model's weights into a JAX model.

    Raises:
        UnmatchedParameter: the models' parameters are not each other's.
    """
    load(jax_model, key_map(torch_model, jax_model).to_jax(state_of(torch_model)))
