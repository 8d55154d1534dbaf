"""What every kind of file can hold, read from any of them and written to any of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lightning_nsd.checkpoints.contents import check_contents, check_weights, model_settings
from lightning_nsd.checkpoints.hub_folder import is_hub_folder
from lightning_nsd.checkpoints.io import read_checkpoint, write_atomically
from lightning_nsd.checkpoints.loading import MODEL_PREFIX, build_model_of, network_of
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.convert.jax_reference import read_jax_reference, write_jax_reference
from lightning_nsd.convert.jax_source import is_jax_source, read_jax_source
from lightning_nsd.convert.lightning_checkpoint import continue_from
from lightning_nsd.convert.safetensors_file import read_safetensors, write_safetensors
from lightning_nsd.errors import UserError
from lightning_nsd.messages import reason
from lightning_nsd.module import FewShotDiffusion


@dataclass(frozen=True)
class Weights:
    """A model and how far it was trained.

    Attributes:
        module: the model, with its weights and their moving average.
        step: optimiser steps taken.
        checkpoint: the whole Lightning checkpoint, with the optimiser's state where there is one.
    """

    module: FewShotDiffusion
    step: int
    checkpoint: dict[str, Any]

    @property
    def state(self) -> dict[str, Tensor]:
        """The model's state_dict: `model.…` and `ema.…`."""
        return self.checkpoint["state_dict"]


def read(path: Path, allow: Sequence[str] = ()) -> Weights:
    """Any file that can be converted, its settings resolved.

    Args:
        path: of a file or folder.
        allow: class paths that it may name beside this package's own.

    Raises:
        UserError: missing, damaged, of an unknown kind, or with parameters that do not fit its settings.
    """
    if path.suffix == ".ckpt" or is_hub_folder(path):
        checkpoint = read_checkpoint(path)
    elif path.suffix == ".safetensors":
        checkpoint = check_contents(read_safetensors(path), str(path))
    elif path.suffix == ".npz" or path.is_dir():
        of_source = is_jax_source(path)
        content = continue_from(read_jax_source(path)) if of_source else read_jax_reference(path, allow)
        checkpoint = check_contents(content, str(path))
    else:
        what = "no checkpoint of a known kind" if path.exists() else "not there"
        raise UserError(f"--input: {path} is {what} (.ckpt, .safetensors, .npz, a model's folder, or an Orbax folder).")
    settings, state = model_settings(checkpoint, str(path)), checkpoint["state_dict"]
    module = build_model_of(settings, network_of(state, MODEL_PREFIX), str(path), allow)
    check_weights(state, module.state_dict(), str(path))
    module.load_state_dict(state)
    return Weights(module, checkpoint["global_step"], {**checkpoint, HYPERPARAMETERS: module.hyperparameters})


def write(weights: Weights, path: Path) -> None:
    """To the kind that the name says: .ckpt, .safetensors, or an Orbax folder for a name without a suffix.

    Raises:
        UserError: the file cannot be written; nothing of it is left then.
    """
    try:
        if path.suffix == ".ckpt":
            write_atomically(weights.checkpoint, path)
        elif path.suffix == ".safetensors":
            write_safetensors(path, weights.checkpoint)
        else:
            write_jax_reference(path, weights.module, weights.step)
    except OSError as error:
        raise UserError(f"--output: {path} could not be written ({reason(error)}).") from error
