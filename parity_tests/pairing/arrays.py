"""Arrays of either framework inside whatever a module takes and gives: tuples, dictionaries, data classes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch


def is_array(value: Any) -> bool:
    """Whether something is an array of torch, JAX or NumPy."""
    return isinstance(value, torch.Tensor | np.ndarray | jax.Array)


def is_float(value: Any) -> bool:
    """Whether it is an array by which a derivative can be taken."""
    if isinstance(value, torch.Tensor):
        return value.is_floating_point()
    return is_array(value) and jnp.issubdtype(value.dtype, jnp.floating)


def to_numpy(value: Any) -> np.ndarray:
    """An array of either framework in NumPy; bfloat16 as float32, which holds it."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def to_jax(value: Any) -> Any:
    """NumPy arrays and torch tensors as JAX arrays; anything else as it is."""
    if isinstance(value, torch.Tensor):
        return jnp.asarray(value.detach().cpu().numpy())
    return jnp.asarray(value) if isinstance(value, np.ndarray) else value


def leaves(value: Any) -> list[Any]:
    """The arrays in something, in order; everything else is left out."""
    if is_array(value):
        return [value]
    if isinstance(value, Mapping):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in leaves(part)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [leaf for field in dataclasses.fields(value) for leaf in leaves(getattr(value, field.name))]
    return []


def floats(value: Any) -> list[Any]:
    """The arrays in something by which a derivative can be taken."""
    return [leaf for leaf in leaves(value) if is_float(leaf)]


def whole_numbers(value: Any) -> list[Any]:
    """The other arrays in something: masks, places, entries of a codebook; as float64, of which each is a number."""
    return [to_numpy(leaf).astype(np.float64) for leaf in leaves(value) if not is_float(leaf)]


def with_arrays(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same with every array in its tuples, lists and dictionaries changed, in the order of `leaves`."""
    if is_array(value):
        return change(value)
    if isinstance(value, Mapping):
        return {key: with_arrays(part, change) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(with_arrays(part, change) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(with_arrays(part, change) for part in value)
    return value
