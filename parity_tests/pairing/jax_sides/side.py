"""What every JAX network can do, whichever library it is written with: a function of a flat parameter tree."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from parity_tests.pairing.calls import Call

Parameters = Mapping[str, Any]
"""Arrays by their path, joined by `/`."""


class JaxSide(ABC):
    """A JAX network, in evaluation mode.

    Attributes:
        parameters: of the network, and running statistics, NumPy arrays by their path joined by `/`.
        statistics: paths of those that are not trained.
    """

    parameters: dict[str, np.ndarray]
    statistics: frozenset[str] = frozenset()

    @abstractmethod
    def apply(self, parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
        """The network's output, a pure function."""

    def record(self, parameters: Parameters, *args: Any, **kwargs: Any) -> list[Call]:
        """Every module's calls in the order in which they return, the whole network's last. It alone by default."""
        output = self.apply(parameters, *args, **kwargs)
        return [Call("", type(self).__name__, args, kwargs, output, self.apply)]


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """A tree of dictionaries, lists and tuples as one level of paths joined by `/`; None is left out."""
    if isinstance(tree, Mapping):
        items: Any = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    else:
        return {} if tree is None else {prefix: tree}
    flat: dict[str, Any] = {}
    for key, branch in items:
        flat.update(flatten(branch, f"{prefix}/{key}" if prefix else str(key)))
    return flat


def unflatten(like: Any, flat: Parameters, prefix: str = "") -> Any:
    """The tree that `flatten` flattened, with the arrays of `flat`."""
    if isinstance(like, Mapping):
        return {key: unflatten(branch, flat, f"{prefix}/{key}" if prefix else str(key)) for key, branch in like.items()}
    if isinstance(like, list | tuple):
        parts = [unflatten(part, flat, f"{prefix}/{i}" if prefix else str(i)) for i, part in enumerate(like)]
        return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)
    return None if like is None else jnp.asarray(flat[prefix])
