"""From a checkpoint back to a model."""

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from lightning_nsd.checkpoint_io import read_checkpoint
from lightning_nsd.errors import UserError
from lightning_nsd.hyperparameters import HYPERPARAMETERS, check_importable
from lightning_nsd.module import FewShotDiffusion

EMA_PREFIX = "ema."
MODEL_PREFIX = "model."


def build_model(settings: dict[str, Any], source: str) -> FewShotDiffusion:
    """A model with fresh weights from a checkpoint's settings.

    Args:
        settings: what `FewShotDiffusion.hyperparameters` held when the checkpoint was written.
        source: named in errors.

    Raises:
        UserError: settings that do not describe a model, or a class that would have to be imported.
    """
    check_importable(settings, source)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(FewShotDiffusion, "model")
    try:
        return parser.instantiate(parser.parse_object({"model": settings})).model
    except (ArgumentError, TypeError) as error:
        raise UserError(f"{source} does not describe a model of this version: {error}") from error


def load_checkpoint(path: str | Path) -> FewShotDiffusion:
    """See `lightning_nsd.load`."""
    checkpoint = read_checkpoint(path)
    settings = checkpoint.get(HYPERPARAMETERS)
    if not isinstance(settings, dict):
        raise UserError(f"{path} holds no settings of a few-shot diffusion model: another program wrote it.")
    module = build_model(settings, str(path))
    weights = checkpoint["state_dict"]
    averaged = {key.removeprefix(EMA_PREFIX): value for key, value in weights.items() if key.startswith(EMA_PREFIX)}
    trained = {key.removeprefix(MODEL_PREFIX): value for key, value in weights.items() if key.startswith(MODEL_PREFIX)}
    try:
        module.model.load_state_dict(averaged or trained)
    except RuntimeError as error:
        raise UserError(f"{path}: the weights do not fit the model that its settings describe: {error}") from error
    if not all(parameter.isfinite().all() for parameter in module.model.parameters()):
        raise UserError(f"{path}: its weights are not finite; training diverged before it. Take an earlier checkpoint.")
    module.ema = None
    return module.eval()
