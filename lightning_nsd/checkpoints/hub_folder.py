"""A model's folder as hubs expect one: weights in safetensors, settings as JSON, a card.

The weights are those that evaluation uses, once: the moving average. Nothing in the folder can be run, and none but
these files is read.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from lightning_nsd.checkpoints.contents import NETWORKS, check_contents
from lightning_nsd.checkpoints.hub_config import CONFIG, read_hub_config
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.errors import UserError

WEIGHTS = "model.safetensors"
CARD = "README.md"
PICTURES = "samples"
FILES = (WEIGHTS, CONFIG, CARD)
"""What is fetched from a hub; a model needs the first two."""
HALVES = (torch.float16, torch.bfloat16)


def is_hub_folder(path: Path) -> bool:
    """Whether a folder has the configuration by which a model's folder is known."""
    return (path / CONFIG).is_file()


def read_hub_folder(path: Path) -> dict[str, Any]:
    """A model's folder as the content of a checkpoint of weights alone: the moving average is the network too.

    Weights of 16 bits become float32: in their own type no image could be drawn.

    Raises:
        UserError: a file is missing, truncated, damaged or holds something else than it should.
    """
    if not is_hub_folder(path):
        raise UserError(
            f"{path} is a folder without {CONFIG}, and so no model. An Orbax folder becomes one, or a checkpoint, with "
            "`convert`; of a run's folder name last.ckpt in it."
        )
    config = read_hub_config(path)
    weights = path / WEIGHTS
    if not weights.is_file():
        raise UserError(f"{path} has no {WEIGHTS}: the folder is not whole. Get it again.")
    try:
        with safe_open(weights, "pt") as file:
            stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except Exception as error:  # on a damaged file the library raises what it likes
        raise UserError(f"{weights} is truncated or no safetensors file.") from error
    wide = {key: value.float() if value.dtype in HALVES else value for key, value in stored.items()}
    state = {f"{prefix}{key}": value for prefix in NETWORKS for key, value in wide.items()}
    content = {"state_dict": state, "global_step": config.trained_steps, HYPERPARAMETERS: config.model}
    return check_contents(content, str(path))
