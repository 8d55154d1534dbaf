"""A model's settings as plain values: what a checkpoint keeps, and what a model is built from again.

They are kept in resolved form: every default is written out, a number has one type, a class its full name. So a default
that was written out and one that was left out are the same model.
"""

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lightning_nsd.errors import UserError
from lightning_nsd.model.set_vit import SetViT
from lightning_nsd.model.vit import ViT
from lightning_nsd.settings.numbers import as_numbers

HYPERPARAMETERS = "lightning_nsd"
"""Key of a checkpoint under which the model's settings are kept."""
STANDS_FOR = {"hidden_size": "context_dim", "mlp_dim": "hidden_size"}
"""Arguments of SetViT and ViT that have the value of another where they are null."""


def class_name(of: type) -> str:
    """Where a class can be imported from."""
    return f"{of.__module__}.{of.__qualname__}"


def describe(instance: object) -> dict[str, Any]:
    """Class path and arguments of an object that keeps its constructor's arguments as attributes."""
    if dataclasses.is_dataclass(instance):
        names = [field.name for field in dataclasses.fields(instance)]
    else:
        names = list(inspect.signature(type(instance)).parameters)
    return {
        "class_path": class_name(type(instance)),
        "init_args": {name: plain(getattr(instance, name)) for name in names},
    }


def describe_factory(factory: Callable[..., object] | None, made: object | None) -> dict[str, Any] | None:
    """Class path and arguments of what a factory made, resolved.

    Args:
        factory: a class, or a `functools.partial` that binds some of its arguments by name.
        made: what it made.
    """
    if factory is None or made is None:
        return None
    bound = factory.keywords if isinstance(factory, functools.partial) else {}
    return {"class_path": class_name(type(made)), "init_args": resolved_arguments(type(made), bound)}


def resolved_arguments(of: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a class in resolved form; those that it has no default for are there if they are given.

    Args:
        of: the class.
        given: some of its arguments; what is none, or lies outside its bounds, stays as it is.
    """
    parameters = inspect.signature(of).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    arguments = as_numbers(of, {**defaults, **given})
    if issubclass(of, SetViT | ViT):
        for name, other in STANDS_FOR.items():
            if name in arguments and arguments[name] is None:
                arguments[name] = arguments.get(other)
    return plain(arguments)


def plain(value: Any) -> Any:
    """The value with tuples as lists, so that it can be written as YAML or JSON and compared after reading."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def settings_from_bytes(value: Any, source: str) -> Any:
    """What a checkpoint of arrays says that keeps settings as the bytes of a text.

    Raises:
        UserError: it is no such text, or no JSON.
    """
    if getattr(value, "dtype", None) != np.uint8:
        raise UserError(f"{source}: its settings are no text in bytes.")
    return settings_from_json(np.asarray(value).tobytes().decode(errors="replace"), source)


def settings_from_json(text: str, source: str) -> Any:
    """What a file that keeps settings as text says; whether it is settings is for `model_settings` to judge.

    Raises:
        UserError: it is no JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}: its settings cannot be read; they are no JSON.") from error
