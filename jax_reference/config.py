"""A training config's `model` section, with what the data decides."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lightning_nsd import data
from lightning_nsd.config_files import find_config
from lightning_nsd.errors import UserError

FROM_DATA = ("image_size", "channels", "n_shot")


@dataclass(frozen=True)
class Config:
    """What the ladder needs of a config.

    Attributes:
        path: of the file.
        model: the section, with image_size, channels and n_shot.
        gradient_clip: the largest norm of all gradients, or None.
        max_steps: optimiser steps of the run.
    """

    path: str
    model: dict[str, Any]
    gradient_clip: float | None
    max_steps: int


def read_config(name: str) -> Config:
    """A config by its path, or its name among the shipped ones.

    Raises:
        UserError: no such file, or one without a model and its data.
    """
    path = find_config(name)
    content = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    if not isinstance(content, dict) or not {"model", "data"} <= content.keys():
        raise UserError(f"{path} has no model and data sections: it only adds to another config. Name that one.")
    section = content["data"]
    class_name = str(section.get("class_path", "")).rpartition(".")[2]
    if not hasattr(data, class_name):
        raise UserError(f"{path}: data.class_path names no data set of lightning_nsd.data: {class_name!r}.")
    module = getattr(data, class_name)(**(section.get("init_args") or {}))
    trainer = content.get("trainer") or {}
    return Config(
        path,
        {**content["model"], **{key: getattr(module, key) for key in FROM_DATA}},
        trainer.get("gradient_clip_val"),
        trainer.get("max_steps", -1),
    )
