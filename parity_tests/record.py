"""What every module of a network was given and gave back, on either side."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from flax import nnx

from parity_tests.pair import to_numpy


class Call(NamedTuple):
    """One call of a module."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any


def arrays_in(output: Any) -> list[np.ndarray]:
    """The arrays of a module's output, which is one, or a tuple that may hold None."""
    parts = output if isinstance(output, tuple) else (output,)
    return [to_numpy(part) for part in parts if part is not None]


@contextmanager
def record_torch(model: torch.nn.Module) -> Iterator[dict[str, Call]]:
    """The calls of every module of a torch network, by name, in the order in which they return."""
    calls: dict[str, Call] = {}
    handles = [
        module.register_forward_hook(
            lambda _, args, kwargs, output, name=name: calls.update({name: Call(args, kwargs, output)}),
            with_kwargs=True,
        )
        for name, module in model.named_modules()
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def record_jax(model: nnx.Module) -> Iterator[dict[str, Call]]:
    """The same of a JAX network, which must not be compiled while it is recorded."""
    calls: dict[str, Call] = {}
    names = {id(module): dotted(path) for path, module in nnx.iter_modules(model)}
    classes = {type(module) for _, module in nnx.iter_modules(model)}

    def recording(original: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            output = original(self, *args, **kwargs)
            if id(self) in names:
                calls[names[id(self)]] = Call(args, kwargs, output)
            return output

        return call

    with ExitStack() as stack:
        for cls in classes:
            if "__call__" in vars(cls):
                stack.enter_context(patch.object(cls, "__call__", recording(cls.__call__)))
        yield calls


def dotted(path: tuple[Any, ...]) -> str:
    """An nnx path as torch writes names."""
    return ".".join(map(str, path))
