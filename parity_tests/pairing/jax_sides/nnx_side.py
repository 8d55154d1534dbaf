"""A flax.nnx module."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import jax.numpy as jnp
import numpy as np
from flax import nnx

from parity_tests.pairing.calls import Call
from parity_tests.pairing.jax_sides.side import JaxSide, Parameters

TRAINED_AND_KEPT = nnx.Any(nnx.Param, nnx.BatchStat)


class NnxSide(JaxSide):
    """Parameters and a BatchNorm's statistics by their path in the module's state."""

    def __init__(self, module: nnx.Module) -> None:
        self.module = module
        module.eval()
        self.parameters, statistics = {}, []
        for path, variable in variables(module).items():
            self.parameters[path] = np.asarray(variable.get_value())
            if isinstance(variable, nnx.BatchStat):
                statistics.append(path)
        self.statistics = frozenset(statistics)

    def apply(self, parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
        return pure(self.module, "")(parameters, *args, **kwargs)

    def record(self, parameters: Parameters, *args: Any, **kwargs: Any) -> list[Call]:
        module = _with(self.module, "", parameters)
        with recording(module) as calls:
            module(*args, **kwargs)
        return calls


@contextmanager
def recording(network: nnx.Module) -> Iterator[list[Call]]:
    """The calls of every module of a network, which must not be compiled, in the order in which they return."""
    names = {id(part): "/".join(map(str, path)) for path, part in nnx.iter_modules(network)}
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
        for cls in {type(part) for _, part in nnx.iter_modules(network)}:
            if "__call__" in vars(cls):
                stack.enter_context(patch.object(cls, "__call__", keeping(cls.__call__)))
        yield calls


def variables(module: nnx.Module) -> dict[str, Any]:
    """Every parameter of a module and a BatchNorm's statistics, by path."""
    flat: Any = nnx.to_flat_state(nnx.state(module, TRAINED_AND_KEPT))
    return {"/".join(map(str, path)): variable for path, variable in flat}


def _with(module: nnx.Module, name: str, parameters: Parameters) -> Any:
    """A copy of a module, which stands at `name`, with its part of all parameters."""
    copy = nnx.clone(module)
    for path, variable in variables(copy).items():
        variable.set_value(jnp.asarray(parameters[f"{name}/{path}" if name else path]))
    return copy


def pure(module: nnx.Module, name: str) -> Any:
    """A module that stands at `name` as a function of all parameters of the network, and of its arguments."""
    graph, state, rest = nnx.split(module, TRAINED_AND_KEPT, ...)  # type: ignore[misc]

    def run(parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
        flat = [
            (path, variable.replace(jnp.asarray(parameters["/".join(filter(None, (name, *map(str, path))))])))
            for path, variable in nnx.to_flat_state(state)
        ]
        return nnx.merge(graph, nnx.from_flat_state(flat), rest)(*args, **kwargs)

    return run
