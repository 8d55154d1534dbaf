"""A flax.nnx module."""

from contextlib import AbstractContextManager
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from parity_tests.pairing.calls import Call
from parity_tests.pairing.jax_sides.side import JaxSide, Parameters, joined, recording_calls

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
        module = nnx.clone(self.module)
        for path, variable in variables(module).items():
            variable.set_value(jnp.asarray(parameters[path]))
        with recording(module) as calls:
            module(*args, **kwargs)
        return calls


def recording(network: nnx.Module) -> AbstractContextManager[list[Call]]:
    """The calls of every module of a network, which must not be compiled, in the order in which they return."""
    modules = {"/".join(map(str, path)): part for path, part in nnx.iter_modules(network)}
    return recording_calls(modules, pure)


def variables(module: nnx.Module) -> dict[str, Any]:
    """Every parameter of a module and a BatchNorm's statistics, by path."""
    flat: Any = nnx.to_flat_state(nnx.state(module, TRAINED_AND_KEPT))
    return {"/".join(map(str, path)): variable for path, variable in flat}


def pure(module: nnx.Module, name: str) -> Any:
    """A module that stands at `name` as a function of all parameters of the network, and of its arguments."""
    graph, state, rest = nnx.split(module, TRAINED_AND_KEPT, ...)  # type: ignore[misc]

    def run(parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
        flat = [
            (path, variable.replace(jnp.asarray(parameters[joined(name, *map(str, path))])))
            for path, variable in nnx.to_flat_state(state)
        ]
        return nnx.merge(graph, nnx.from_flat_state(flat), rest)(*args, **kwargs)

    return run
