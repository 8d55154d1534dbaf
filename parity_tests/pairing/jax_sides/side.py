"""What every JAX network can do, whichever library it is written with: a function of a flat parameter tree."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import jax
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


def flatten(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their paths, joined by `/`; None is none."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def with_arrays_of(tree: Any, flat: Parameters, prefix: str = "") -> Any:
    """The tree that `flatten` flattened, or a part of it that stands at `prefix`, with the arrays of `flat`."""

    def fill(path: Any, _: Any) -> Any:
        return jnp.asarray(flat[joined(prefix, jax.tree_util.keystr(path, simple=True, separator="/"))])

    return jax.tree_util.tree_map_with_path(fill, tree)


def joined(*parts: str) -> str:
    """Parts of a path, of which some may be empty."""
    return "/".join(filter(None, parts))


@contextmanager
def recording_calls(modules: Mapping[str, Any], pure: Callable[[Any, str], Callable[..., Any]]) -> Iterator[list[Call]]:
    """The calls of some modules in the order in which they return, while their classes' `__call__` is another one.

    Args:
        modules: by their path.
        pure: makes a module at a path a function of all parameters and then its arguments.
    """
    names = {id(module): name for name, module in modules.items()}
    calls: list[Call] = []

    def keeping(original: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            output = original(self, *args, **kwargs)
            if id(self) in names:
                name = names[id(self)]
                calls.append(Call(name, type(self).__name__, args, kwargs, output, pure(self, name)))
            return output

        return call

    with ExitStack() as stack:
        for cls in {type(module) for module in modules.values()}:
            if "__call__" in vars(cls):
                stack.enter_context(patch.object(cls, "__call__", keeping(cls.__call__)))
        yield calls
