"""Whether a checkpoint is of the model that shall load it, as far as its weights depend on the settings."""

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lightning_nsd.checkpoints.settings import class_name, describe, plain, resolved_arguments
from lightning_nsd.checkpoints.trusted_classes import PLACES
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.errors import UserError
from lightning_nsd.messages import some_of
from lightning_nsd.settings.numbers import as_numbers

if TYPE_CHECKING:
    from lightning_nsd.module import FewShotDiffusion

PARTS = ("encoder", "context", "denoiser", "spatial_context", "sampler", "autoencoder", "backbone")
"""Settings that are a class with its arguments."""


def check_same(saved: Mapping[str, Any], model: "FewShotDiffusion") -> None:
    """Whether a checkpoint's settings are those of the model that shall load it, as far as weights depend on them.

    Args:
        saved: the checkpoint's settings; an earlier version's, or another program's, need not be resolved.
        model: knows its own.

    Raises:
        UserError: names the first settings that differ, and how many more do.
    """
    resolved, own = resolve(saved, model), model.hyperparameters
    theirs, ours = (weights_settings(settings, model.takes_any_set_size) for settings in (resolved, own))
    values, own_values = flatten(resolved), flatten(own)
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


def resolve(saved: Mapping[str, Any], model: "FewShotDiffusion") -> dict[str, Any]:
    """A checkpoint's settings in resolved form; a class that is neither this package's nor the model's stays as it is.

    What a file has of the model's arguments that are not kept, such as the optimiser, is left out.
    """
    parameters = inspect.signature(type(model)).parameters
    known = [type(part) for part in model.model.children()]
    kept = {name: value for name, value in saved.items() if name in model.hyperparameters or name not in parameters}
    for name in model.hyperparameters.keys() - kept.keys():
        if parameters[name].default is not inspect.Parameter.empty:
            kept[name] = parameters[name].default
    kept = as_numbers(type(model), kept)
    for name in kept.keys() & set(PARTS):
        kept[name] = _resolved_part(name, kept[name], known)
    diffusion = kept.get("diffusion")
    if isinstance(diffusion, GaussianDiffusion):  # the default
        kept["diffusion"] = describe(diffusion)["init_args"]
    elif isinstance(diffusion, Mapping):
        kept["diffusion"] = resolved_arguments(GaussianDiffusion, diffusion.get("init_args", diffusion))
    if kept.get("encoder") is None:
        kept["context"] = None  # there is none to make
    return plain(kept)


def _resolved_part(place: str, described: Any, known: Sequence[type]) -> Any:
    """A class with its arguments, from anything that a file may hold there, or from the class alone."""
    if isinstance(described, type):
        described = class_name(described)
    if isinstance(described, str):
        described = {"class_path": described}
    if not isinstance(described, Mapping) or not isinstance(described.get("class_path"), str):
        return described
    path, arguments = described["class_path"], described.get("init_args") or {}
    by_name = {**PLACES[place].classes, **{class_name(each): each for each in known}}
    if path not in by_name or not isinstance(arguments, Mapping):
        return described
    return {"class_path": class_name(by_name[path]), "init_args": resolved_arguments(by_name[path], arguments)}


def weights_settings(settings: Mapping[str, Any], any_set_size: bool) -> dict[str, Any]:
    """What the weights depend on, as one level of dotted keys.

    How images are drawn, what is dropped, and the weights of the loss's terms (`kl_weight`, `vlb_weight`) are not of
    it.

    Args:
        settings: of a model.
        any_set_size: whether its encoder takes sets of any size, or there is none.
    """
    flat = flatten(settings)
    free = ["model.sampler", "model.seed", "model.kl_weight", "model.diffusion.vlb_weight"]
    free += [f"model.autoencoder.init_args.{name}" for name in ("path", "subfolder")]  # its hash says which it is
    free += ["model.context.init_args.temperature"]  # of training alone
    free += ["model.backbone.init_args.path", "model.encoder.init_args.path"]
    free += [f"model.{part}.init_args.dropout" for part in ("encoder", "denoiser")]
    free += ["model.n_shot"] if any_set_size else []
    kept = {key: value for key, value in flat.items() if not any(f"{key}.".startswith(f"{name}.") for name in free)}
    if kept.get("model.diffusion.variance") in ("fixed_large", "fixed_small"):
        kept["model.diffusion.variance"] = "fixed"
    rate = kept.get("model.context_dropout")
    if isinstance(rate, int | float) and rate > 0:
        kept["model.context_dropout"] = "above 0"  # a null context, however often it is seen
    return kept


def flatten(values: Any, prefix: str = "model") -> dict[str, Any]:
    """Nested settings as one level of dotted keys."""
    if not isinstance(values, dict):
        return {prefix: values}
    return {key: item for name, value in values.items() for key, item in flatten(value, f"{prefix}.{name}").items()}
