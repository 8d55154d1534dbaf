"""A model's settings as plain values: what a checkpoint keeps, and what a model is built from again."""

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from lightning_nsd.errors import UserError

HYPERPARAMETERS = "lightning_nsd"
"""Key of a checkpoint under which the model's settings are kept."""


def class_path(instance: object) -> str:
    """Where the instance's class can be imported from."""
    return f"{type(instance).__module__}.{type(instance).__qualname__}"


def describe(instance: object) -> dict[str, Any]:
    """Class path and arguments of an object that keeps its constructor's arguments as attributes."""
    if dataclasses.is_dataclass(instance):
        names = [field.name for field in dataclasses.fields(instance)]
    else:
        names = list(inspect.signature(type(instance)).parameters)
    return {"class_path": class_path(instance), "init_args": {name: plain(getattr(instance, name)) for name in names}}


def describe_factory(factory: Callable[..., object] | None, made: object | None) -> dict[str, Any] | None:
    """Class path and arguments of what a factory made: the arguments bound to it, defaults filled in.

    Args:
        factory: a class, or a `functools.partial` that binds some of its arguments by name.
        made: what it made.
    """
    if factory is None or made is None:
        return None
    bound = dict(factory.keywords) if isinstance(factory, functools.partial) else {}
    parameters = inspect.signature(type(made)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    return {"class_path": class_path(made), "init_args": plain({**defaults, **bound})}


def plain(value: Any) -> Any:
    """The value with tuples as lists, so that it can be written as YAML or JSON and compared after reading."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def flatten(values: Any, prefix: str = "model") -> dict[str, Any]:
    """Nested settings as one level of dotted keys."""
    if not isinstance(values, dict):
        return {prefix: values}
    return {key: item for name, value in values.items() for key, item in flatten(value, f"{prefix}.{name}").items()}


def check_same(saved: Any, own: dict[str, Any]) -> None:
    """Whether a checkpoint's settings are those of the model that shall load it.

    Sampler and seed may differ: they do not change what the weights mean.

    Raises:
        UserError: names every setting that differs.
    """
    if not isinstance(saved, dict):
        raise UserError(
            "The checkpoint holds no settings of a few-shot diffusion model: it was written by another program."
        )
    theirs, ours = flatten(saved), flatten(own)
    free = ("model.sampler", "model.seed", "model.kl_weight")
    differing = [
        f"  {key}: {theirs.get(key, 'absent')} in the checkpoint, {ours.get(key, 'absent')} in the configuration"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key) != ours.get(key) and not key.startswith(free)
    ]
    if differing:
        raise UserError("The checkpoint is of another model than the configuration describes:\n" + "\n".join(differing))


def check_importable(settings: Any, source: str) -> None:
    """Whether every class that the settings name is this package's own or already imported.

    Building a model from a file must not import, and so run, code that the file chooses.

    Raises:
        UserError: names the class.
    """
    for key, path in flatten(settings).items():
        if key.endswith(".class_path"):
            module = str(path).rpartition(".")[0]
            if module and not module.startswith("lightning_nsd.") and module not in sys.modules:
                raise UserError(
                    f"{source} names the class {path} ({key}), which is not part of lightning_nsd. If you trust it, "
                    f"import {module} before loading the checkpoint."
                )
