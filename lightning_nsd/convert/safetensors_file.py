"""Weights in safetensors; the settings and the step are in its metadata, as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save

from lightning_nsd.checkpoints.settings import HYPERPARAMETERS, settings_from_json
from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import whole_file

STEP = "step"


def write_safetensors(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint's weights, settings and step.

    Raises:
        OSError: it cannot be written.
    """
    metadata = {HYPERPARAMETERS: json.dumps(checkpoint[HYPERPARAMETERS]), STEP: str(checkpoint["global_step"])}
    content = save({key: value.contiguous() for key, value in checkpoint["state_dict"].items()}, metadata)
    with whole_file(path) as file:
        file.write(content)


def read_safetensors(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of weights alone, as far as the file has it.

    Raises:
        UserError: no such file, or one that is damaged.
    """
    if not path.is_file():
        raise UserError(f"--input: there is no file {path}.")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except Exception as error:  # on a damaged file the library raises what it likes
        raise UserError(f"{path} is truncated or no safetensors file.") from error
    names = {HYPERPARAMETERS: HYPERPARAMETERS, "global_step": STEP}
    found = {name: settings_from_json(metadata[key], str(path)) for name, key in names.items() if key in metadata}
    return {"state_dict": state, **found}
