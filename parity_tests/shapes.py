"""The shapes that a signature promises, as text that does not depend on the framework."""

import inspect
from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import jax
import numpy as np
import torch
from jaxtyping import AbstractArray

ARRAYS = (torch.Tensor, jax.Array, np.ndarray)
NUMBERS = {int: "Int[]", float: "Float[]"}  # to JAX a number may be an array without axes


def shapes(hint: Any) -> str:
    """The shapes in a type hint: `Float[b C H W] | None`; empty where there is no array in it.

    What torch gives step by step, in an iterator or by a function of the step, JAX has in one array: an axis S in
    front. The fields of a named tuple stand for it, as do the values of a dictionary.

    Raises:
        TypeError: an array whose shape is left out.
    """
    if hint in ARRAYS:
        raise TypeError(f"{hint} has no shape")
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        found = _different(*parts)
        return f"{found} | None" if found and NoneType in parts else found
    if origin is tuple and any(inner := [shapes(part) for part in parts]):
        return f"({', '.join(inner)})"
    if origin is dict:
        return shapes(parts[1])
    if origin is Iterator or (origin is Callable and parts[0] == [int]):
        return shapes(parts[-1]).replace("[", "[S ")
    if origin is Callable and (result := shapes(parts[1])):
        arguments = ["..."] if parts[0] is ... else map(shapes, parts[0])
        return f"({', '.join(arguments)}) -> {result}"
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return f"{hint.dtype.__name__}[{hint.dim_str}]"
    if inspect.isclass(hint) and hasattr(hint, "_fields"):
        return _different(*get_type_hints(hint).values())
    return NUMBERS.get(hint, "")


def _different(*hints: Any) -> str:
    return " | ".join(sorted({shapes(hint) for hint in hints} - {""}))


def shapes_of(of: Any) -> dict[str, str]:
    """The shapes of a function's arguments and its result, or of a class's fields: of those that have any."""
    return {name: found for name, hint in get_type_hints(of).items() if (found := shapes(hint))}
