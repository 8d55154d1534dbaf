"""From a checkpoint back to a model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from lightning_nsd.backbones import TrainedViT
from lightning_nsd.checkpoints.contents import NETWORKS, check_weights
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.checkpoints.places import find_model
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.checkpoints.trusted_classes import trusted_settings
from lightning_nsd.errors import UserError
from lightning_nsd.frozen_encoder import is_beside_the_model
from lightning_nsd.messages import first_line
from lightning_nsd.module import FewShotDiffusion

MODEL_PREFIX, EMA_PREFIX = NETWORKS
SLACK = 100
"""Parameters that a model may make beyond twice those in the file, such as ones that it replaces."""


def build_model(settings: Any, source: str, allow: Sequence[str] = ()) -> FewShotDiffusion:
    """A model with fresh weights from a checkpoint's settings.

    Args:
        settings: what `FewShotDiffusion.hyperparameters` held when the checkpoint was written.
        source: named in errors.
        allow: class paths beyond this package that the settings may name.

    Raises:
        UserError: settings that do not describe a model, or a class that is not trusted.
    """
    trusted = trusted_settings(settings, FewShotDiffusion, source, allow, flat=("diffusion", "lr_schedule"))
    if trusted.get("encoder") is None:
        trusted.pop("context", None)  # there is none to make
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(FewShotDiffusion, "model")
    try:
        return parser.instantiate(parser.parse_object({"model": trusted})).model
    except _TooLargeError as error:
        raise UserError(f"{source}: its settings describe a far larger model than its weights are of.") from error
    except Exception as error:  # constructors raise what they like on numbers that make no sense
        raise UserError(f"{source} does not describe a model of this version: {first_line(error)}") from error


def describe_model(settings: Any, source: str, allow: Sequence[str] = ()) -> FewShotDiffusion:
    """The same without memory for its weights: what the settings describe, or what is wrong with them.

    Raises:
        UserError: see `build_model`.
    """
    with torch.device("meta"):
        return build_model(settings, source, allow)


def build_model_of(
    settings: Any, weights: Mapping[str, Any], source: str, allow: Sequence[str] = ()
) -> FewShotDiffusion:
    """The same where the weights are at hand: nothing is allocated before the settings are known to describe them.

    Args:
        settings: see `build_model`.
        weights: arrays or tensors of the network, without its moving average.
        source: named in errors.
        allow: see `build_model`.

    Raises:
        UserError: see `build_model`, and settings of a model that is far larger than the weights.
    """
    settings = _without_first_weights(settings)
    with _at_most(weights):
        describe_model(settings, source, allow)
    return build_model(settings, source, allow)


def _without_first_weights(settings: Any) -> Any:
    """The settings without the file that the training of an encoder started from: there are weights of its own."""
    encoder = settings.get("encoder") if isinstance(settings, Mapping) else None
    if not isinstance(encoder, Mapping) or not isinstance(encoder.get("init_args"), Mapping):
        return settings
    if str(encoder.get("class_path")).rpartition(".")[2] != TrainedViT.__name__:
        return settings
    return {**settings, "encoder": {**encoder, "init_args": {**encoder["init_args"], "path": None}}}


class _TooLargeError(Exception):
    """A model makes more parameters than there are weights for."""


@contextmanager
def _at_most(weights: Mapping[str, Any]) -> Iterator[None]:
    """Let modules make about twice as many parameters as there are weights, and no more."""
    count = 2 * len(weights) + SLACK
    elements = 2 * sum(value.size if not isinstance(value, Tensor) else value.numel() for value in weights.values())

    def register(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count, elements
        if parameter is not None and not is_beside_the_model():
            count, elements = count - 1, elements - parameter.numel()
        if count < 0 or elements < -SLACK:
            raise _TooLargeError

    handle = register_module_parameter_registration_hook(register)
    try:
        yield
    finally:
        handle.remove()


def network_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights of one of `NETWORKS` in a state_dict."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def load_checkpoint(
    path: str | Path | None,
    allow: Sequence[str] = (),
    autoencoder: str | Path | None = None,
    backbone: str | Path | None = None,
) -> FewShotDiffusion:
    """See `lightning_nsd.load`."""
    path = find_model(path)
    checkpoint = read_checkpoint(path)
    state = checkpoint["state_dict"]
    averaged = network_of(state, EMA_PREFIX)
    settings = checkpoint[HYPERPARAMETERS]
    if autoencoder is not None:
        settings = _with_place(settings, "autoencoder", {"path": str(autoencoder), "subfolder": ""}, str(path))
    if backbone is not None:
        settings = _with_place(settings, "backbone", {"path": str(backbone)}, str(path))
    module = build_model_of(settings, averaged, str(path), allow)
    check_weights(state, module.state_dict(), str(path))
    module.model.load_state_dict(averaged)
    module.loaded_steps = checkpoint["global_step"]
    if not all(parameter.isfinite().all() for parameter in module.model.parameters()):
        raise UserError(f"{path}: its weights are not finite; training diverged before it. Take an earlier checkpoint.")
    module.ema = None
    return module.eval()


def _with_place(settings: Mapping[str, Any], part: str, place: Mapping[str, str], source: str) -> dict[str, Any]:
    """The settings of a model, one of the networks beside it found in another place."""
    described = settings.get(part)
    if not isinstance(described, Mapping):
        raise UserError(f"{source} has no {part}; leave --{part} away.")
    return {**settings, part: {**described, "init_args": {**(described.get("init_args") or {}), **place}}}
