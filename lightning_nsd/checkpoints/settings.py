"""A model's settings as plain values: what a checkpoint keeps, and what a model is built from again."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

from lightning_nsd.errors import UserError
from lightning_nsd.messages import some_of

HYPERPARAMETERS = "lightning_nsd"
"""Key of a checkpoint under which the model's settings are kept."""


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
    return {"class_path": class_name(type(made)), "init_args": plain({**defaults, **bound})}


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


def weights_settings(settings: dict[str, Any], any_set_size: bool) -> dict[str, Any]:
    """What the weights depend on, as one level of dotted keys: how images are drawn and what is dropped are not of it.

    Args:
        settings: of a model.
        any_set_size: whether its encoder takes sets of any size, or there is none.
    """
    flat = flatten(settings)
    free = ["model.sampler", "model.seed", "model.kl_weight", "model.diffusion.vlb_weight"]
    free += [f"model.{part}.init_args.dropout" for part in ("encoder", "denoiser")]
    free += ["model.n_shot"] if any_set_size else []
    kept = {key: value for key, value in flat.items() if not any(f"{key}.".startswith(f"{name}.") for name in free)}
    if kept.get("model.diffusion.variance") in ("fixed_large", "fixed_small"):
        kept["model.diffusion.variance"] = "fixed"
    rate = kept.get("model.context_dropout")
    if isinstance(rate, int | float) and rate > 0:
        kept["model.context_dropout"] = "above 0"  # a null context, however often it is seen
    return kept


def check_same(saved: Any, own: dict[str, Any], any_set_size: bool) -> None:
    """Whether a checkpoint's settings are those of the model that shall load it, as far as weights depend on them.

    Args:
        saved: the checkpoint's settings.
        own: those of the model.
        any_set_size: whether the model's encoder takes sets of any size, or there is none.

    Raises:
        UserError: names the first settings that differ, and how many more do.
    """
    if not isinstance(saved, dict):
        raise UserError(
            "The checkpoint holds no settings of a few-shot diffusion model: it was written by another program."
        )
    theirs, ours = weights_settings(saved, any_set_size), weights_settings(own, any_set_size)
    values, own_values = flatten(saved), flatten(own)
    differing = [
        f"  {key[:100]}: {str(values.get(key, 'absent'))[:100]} in the checkpoint, "
        f"{str(own_values.get(key, 'absent'))[:100]} in the configuration"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key, "absent") != ours.get(key, "absent")
    ]
    if differing:
        raise UserError(
            "The checkpoint is of another model than the configuration describes:\n" + some_of(differing, "\n")
        )
