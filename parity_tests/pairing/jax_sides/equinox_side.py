"""An equinox module, which sees one example: it is mapped over the batch."""

from operator import itemgetter
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from parity_tests.pairing.arrays import with_arrays
from parity_tests.pairing.calls import Call
from parity_tests.pairing.jax_sides.side import (
    JaxSide,
    Parameters,
    flatten,
    joined,
    recording_calls,
    with_arrays_of,
)


class EquinoxSide(JaxSide):
    """Parameters by the names of the attributes that hold them.

    Args:
        module: of one example.
        batched: it sees whole batches, and is called as it is.
    """

    def __init__(self, module: Any, batched: bool = False) -> None:
        self.module = eqx.nn.inference_mode(module)
        self.batched = batched
        arrays, _ = eqx.partition(self.module, eqx.is_inexact_array)
        self.parameters = {path: np.asarray(value) for path, value in flatten(arrays).items()}

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
        module = _filled(self.module, "", parameters)
        with recording_calls(dict(_modules(module)), self._pure) as calls:
            module(*args, **kwargs)
        return calls

    def _pure(self, module: Any, name: str) -> Any:
        def run(parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
            filled = _filled(module, name, parameters)
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


def _filled(module: Any, name: str, parameters: Parameters) -> Any:
    """A module that stands at `name`, with its part of all parameters."""
    arrays, others = eqx.partition(module, eqx.is_inexact_array)
    return eqx.combine(with_arrays_of(arrays, parameters, name), others)


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
        found += _modules(part, joined(name, str(key)))
    return found
