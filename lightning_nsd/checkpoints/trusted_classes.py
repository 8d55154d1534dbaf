"""Which classes a file that the user did not write may name, and what it may hand to them.

Such a file is a checkpoint, a configuration that lies beside one, the metadata of safetensors, an Orbax folder. A class
that it names is looked up in a table of this package's classes and of those that the user allows by name; it has to be
of the kind that its place takes. What is not in the table is not imported, and no function is ever looked up. Arguments
are numbers, texts, lists and dicts of them: nothing in them becomes a class.
"""

import importlib
import inspect
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from lightning_nsd import backbones, data, latents, model
from lightning_nsd.checkpoints.settings import class_name
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import SAMPLERS, Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.frozen_encoder import Backbone
from lightning_nsd.latents.autoencoder import Autoencoder
from lightning_nsd.model.context import Context
from lightning_nsd.model.denoiser import Denoiser
from lightning_nsd.model.set_encoder import SetEncoder
from lightning_nsd.model.spatial_context import SpatialContext
from lightning_nsd.muon import MuonWithAdamW
from lightning_nsd.training.lr_schedule import LRSchedule

MAX_DEPTH = 20
MAX_ITEMS = 10_000
MAX_TOKENS = 2**16
"""Patches of an image; attention over more is out of reach."""


class Place(NamedTuple):
    """Where a file may name a class.

    Attributes:
        kind: what a class has to be a subclass of.
        classes: those that need no permission, by every name that stands for them.
    """

    kind: type
    classes: Mapping[str, type]


def _by_name(classes: Sequence[type], package: str = "") -> dict[str, type]:
    """Classes by their name alone, by where they are defined, and by the package that offers them."""
    names: dict[str, type] = {}
    for known in classes:
        names |= {known.__name__: known, class_name(known): known}
        if package:
            names[f"{package}.{known.__name__}"] = known
    return names


def _place(kind: type, *packages: types.ModuleType) -> Place:
    names: dict[str, type] = {}
    for package in packages:
        offered = [getattr(package, name) for name in package.__all__]
        names |= _by_name([known for known in offered if issubclass(known, kind)], package.__name__)
    return Place(kind, names)


_OPTIMIZERS = [getattr(torch.optim, name) for name in torch.optim.__all__ if name[0].isupper()]
PLACES = {
    "encoder": _place(SetEncoder, model, backbones),
    "context": _place(Context, model),
    "denoiser": _place(Denoiser, model),
    "spatial_context": _place(SpatialContext, model),
    "autoencoder": _place(Autoencoder, latents),
    "backbone": _place(Backbone, backbones),
    "sampler": Place(Sampler, _by_name(list(SAMPLERS.values()))),
    "diffusion": Place(GaussianDiffusion, _by_name([GaussianDiffusion])),
    "lr_schedule": Place(LRSchedule, _by_name([LRSchedule])),
    "optimizer": Place(torch.optim.Optimizer, _by_name(_OPTIMIZERS, "torch.optim") | _by_name([MuonWithAdamW])),
    "data": _place(EpisodeDataModule, data),
    "extractor": Place(nn.Module, {}),
}


def as_names(allow: str | Sequence[str] | None) -> Sequence[str]:
    """What `--allow` was given: nothing, one class path, or several."""
    return [allow] if isinstance(allow, str) else allow or []


def trusted_class(place: str, name: object, source: str, allow: Sequence[str] = ()) -> type:
    """The class that a file names.

    Args:
        place: a key of `PLACES`.
        name: as the file has it.
        source: the file, named in errors.
        allow: class paths that the user allows; these, and no others, are imported.

    Raises:
        UserError: a class that is neither this package's own nor allowed, or of another kind than the place takes.
    """
    kind, known = PLACES[place]
    if not isinstance(name, str):
        raise UserError(f"{source} has no class path as its {place}.")
    if name in known:
        return known[name]
    found = {path: imported for path in allow for imported in (_import(path),) if name in (path, class_name(imported))}
    if not found:
        own = ", ".join(sorted({each.__name__ for each in known.values()})) or "none"
        raise UserError(
            f"{source} names {name[:200]} as its {place}, which is neither a class of this package for it ({own}) nor "
            f"allowed. A class that a file names runs code: if you trust it, allow it by name, with --allow "
            f"{name[:200]} or, in Python, allow=[...]."
        )
    (chosen,) = set(found.values())
    if not issubclass(chosen, kind):
        raise UserError(f"{source} names {name[:200]} as its {place}, which is no {kind.__name__}.")
    return chosen


def _import(path: str) -> type:
    """A class that the user named.

    Raises:
        UserError: it cannot be imported, or is no class.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"--allow {path}: there is no such class: {error}.") from error
    if not isinstance(found, type):
        raise UserError(f"--allow {path}: that is no class.")
    return found


def trusted_description(place: str, described: Any, source: str, allow: Sequence[str] = ()) -> dict[str, Any]:
    """A class path and its arguments as a file has them, the path that of a class that is trusted.

    Raises:
        UserError: see `trusted_class`, and arguments that are not plain values.
    """
    if isinstance(described, str):
        described = {"class_path": described}
    if not isinstance(described, Mapping) or described.keys() - {"class_path", "init_args"}:
        raise UserError(f"{source}: {place} is not a class_path with its init_args.")
    chosen = trusted_class(place, described.get("class_path"), source, allow)
    arguments = described.get("init_args") or {}
    _check_arguments(chosen, arguments, place, source)
    return {"class_path": class_name(chosen), "init_args": dict(arguments)}


def trusted_settings(
    settings: Any, owner: type, source: str, allow: Sequence[str] = (), flat: Sequence[str] = ()
) -> dict[str, Any]:
    """The arguments of a class as a file has them, every class that they name replaced by one that is trusted.

    Args:
        settings: the arguments.
        owner: the class.
        source: the file, named in errors.
        allow: class paths that the user allows.
        flat: names of arguments that may be written without their class, as its arguments alone.

    Raises:
        UserError: see `trusted_class`, and arguments that are not plain values.
    """
    if not isinstance(settings, Mapping):
        raise UserError(f"{source}: the arguments of {owner.__name__} are no mapping of names to values.")
    trusted = {}
    for name, value in settings.items():
        if name not in PLACES or value is None:
            _check_arguments(owner, {name: value}, owner.__name__, source)
            trusted[name] = value
        elif name in flat and isinstance(value, Mapping) and "class_path" not in value:
            _check_arguments(PLACES[name].kind, value, name, source)
            trusted[name] = dict(value)
        else:
            trusted[name] = trusted_description(name, value, source, allow)
    _check_image(trusted, source)
    return trusted


def _check_image(settings: Mapping[str, Any], source: str) -> None:
    """Tables of positions are computed, not stored: their size follows from these numbers alone."""
    sections = [part.get("init_args") for part in settings.values() if isinstance(part, Mapping)]
    patches = [part["patch_size"] for part in sections if isinstance(part, Mapping) and "patch_size" in part]
    size = settings.get("image_size")
    for patch in patches:
        if isinstance(size, int) and isinstance(patch, int) and (size // max(patch, 1)) ** 2 > MAX_TOKENS:
            raise UserError(f"{source}: image_size is {size} and patch_size {patch}; no attention reaches that far.")


def _check_arguments(owner: type, arguments: Any, where: str, source: str) -> None:
    """Plain values alone, and no text where a parser would make a class or a function of it."""
    if not isinstance(arguments, Mapping) or not all(isinstance(name, str) for name in arguments):
        raise UserError(f"{source}: the arguments of {where} are no mapping of names to values.")
    hints = _hints(owner)
    for name, value in arguments.items():
        at = f"{source}: {where}.{name[:100]}"
        values = list(_plain(value, at))
        if not _is_plain(hints.get(name, Any)) and any(isinstance(item, str | Mapping) for item in values):
            raise UserError(f"{at} would become a class or a function, which a file may not choose.")


def _plain(value: Any, at: str, depth: int = 0) -> Iterator[Any]:
    """A value and everything in it.

    Raises:
        UserError: something that is not plain, a class path, or too many of them.
    """
    count = 0
    if isinstance(value, Mapping | list | tuple):
        if depth > MAX_DEPTH or len(value) > MAX_ITEMS or (isinstance(value, Mapping) and "class_path" in value):
            raise UserError(f"{at} holds a class, which may not stand there, or too much.")
        yield value
        for item in [*value, *value.values()] if isinstance(value, Mapping) else value:
            for inner in _plain(item, at, depth + 1):
                count += 1
                if count > MAX_ITEMS:
                    raise UserError(f"{at} holds more than {MAX_ITEMS:,} values.")
                yield inner
    elif value is None or isinstance(value, bool | int | float | str):
        yield value
    else:
        raise UserError(f"{at} is neither a number nor a text, nor a list or dict of them.")


def _hints(owner: type) -> dict[str, Any]:
    """Types of a constructor's arguments, those of its base classes included, which pass on what they do not name."""
    hints: dict[str, Any] = {}
    for base in reversed(owner.__mro__):
        constructor = vars(base).get("__init__")
        if constructor is not None:
            try:
                hints |= typing.get_type_hints(constructor)
            except Exception:  # names that only a type checker can resolve
                hints |= dict.fromkeys(inspect.signature(constructor).parameters, object)
    return hints


def _is_plain(hint: Any) -> bool:
    """Whether values of a type are numbers, texts and containers of them."""
    if hint is Any or hint is None or hint is Ellipsis:
        return True
    origin = typing.get_origin(hint)
    if origin is Literal:
        return True
    if origin is typing.Annotated:
        return _is_plain(typing.get_args(hint)[0])
    if origin is not None:
        plain_container = origin in (typing.Union, types.UnionType) or (
            isinstance(origin, type) and issubclass(origin, list | tuple | dict | Sequence | Mapping)
        )
        return plain_container and all(_is_plain(argument) for argument in typing.get_args(hint))
    return isinstance(hint, type) and (
        hint is types.NoneType or issubclass(hint, bool | int | float | str | list | tuple | dict)
    )
