"""An equinox module, which sees one example: it is mapped over the batch."""

from contextlib import ExitStack
from operator import itemgetter
from typing import Any
from unittest.mock import patch

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from parity_tests.pairing.arrays import with_arrays
from parity_tests.pairing.calls import Call
from parity_tests.pairing.jax_sides.side import JaxSide, Parameters


class EquinoxSide(JaxSide):
    """Parameters by the names of the attributes that hold them.

    Args:
        module: of one example.
        batched: it sees whole batches, and is called as it is.
    """

    def __init__(self, module: Any, batched: bool = False) -> None:
        self.module = eqx.nn.inference_mode(module)
        self.batched = batched
        self.parameters = {path: np.asarray(value) for path, value in _arrays(self.module).items()}

    def apply(self, parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
        return self._pure(self.module, "")(parameters, *args, **kwargs)

    def record(self, parameters: Parameters, *args: Any, **kwargs: Any) -> list[Call]:
        """Of the whole batch: the calls of each example, stacked."""
        if self.batched:
            return self._record_one(parameters, args, kwargs)
        batch = len(next(iter(args)))
        examples = [
            self._record_one(parameters, with_arrays(args, itemgetter(i)), with_arrays(kwargs, itemgetter(i)))
            for i in range(batch)
        ]
        return [self._stacked(same) for same in zip(*examples, strict=True)]

    def _record_one(self, parameters: Parameters, args: Any, kwargs: Any) -> list[Call]:
        module = _with(self.module, "", parameters)
        names = {id(part): name for name, part in _modules(module)}
        calls: list[Call] = []

        def recording(original: Any) -> Any:
            def call(part: Any, *args: Any, **kwargs: Any) -> Any:
                output = original(part, *args, **kwargs)
                if id(part) in names:
                    name = names[id(part)]
                    calls.append(Call(name, type(part).__name__, args, kwargs, output, self._pure(part, name)))
                return output

            return call

        with ExitStack() as stack:
            for cls in {type(part) for _, part in _modules(module)}:
                if "__call__" in vars(cls):
                    stack.enter_context(patch.object(cls, "__call__", recording(cls.__call__)))
            module(*args, **kwargs)
        return calls

    def _pure(self, module: Any, name: str) -> Any:
        def run(parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
            filled = _with(module, name, parameters)
            if self.batched:
                return filled(*args, **kwargs)
            return jax.vmap(lambda args, kwargs: filled(*args, **kwargs))(args, kwargs)

        return run

    @staticmethod
    def _stacked(calls: tuple[Call, ...]) -> Call:
        def stack(*values: Any) -> Any:
            return jax.tree.map(lambda *arrays: jnp.stack(arrays), *values)

        first = calls[0]
        args, kwargs, output = (stack(*(call[i] for call in calls)) for i in (2, 3, 4))
        return first._replace(args=args, kwargs=kwargs, output=output)


def _paths(module: Any) -> list[tuple[str, Any]]:
    flat, _ = jax.tree_util.tree_flatten_with_path(module)
    return [
        ("/".join(str(getattr(key, "name", getattr(key, "idx", key))) for key in path), leaf) for path, leaf in flat
    ]


def _arrays(module: Any) -> dict[str, Any]:
    return {path: leaf for path, leaf in _paths(module) if eqx.is_inexact_array(leaf)}


def _with(module: Any, name: str, parameters: Parameters) -> Any:
    prefix = f"{name}/" if name else ""
    flat, structure = jax.tree_util.tree_flatten(module)
    filled = [
        jnp.asarray(parameters[prefix + path]) if eqx.is_inexact_array(leaf) else leaf for path, leaf in _paths(module)
    ]
    assert len(flat) == len(filled)
    return jax.tree_util.tree_unflatten(structure, filled)


def _modules(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Every module inside a module, itself first."""
    found = [(name, value)] if isinstance(value, eqx.Module) else []
    if isinstance(value, eqx.Module):
        parts: Any = [(key, getattr(value, key)) for key in value.__dataclass_fields__]
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    elif isinstance(value, dict):
        parts = value.items()
    else:
        return found
    for key, part in parts:
        found += _modules(part, f"{name}/{key}" if name else str(key))
    return found
