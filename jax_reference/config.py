"""A training config as the reference reads it: the same YAML that lightning_nsd trains from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lightning_nsd import data
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.errors import UserError
from lightning_nsd.settings.config_files import find_config

FROM_DATA = ("image_size", "channels", "n_shot")


@dataclass(frozen=True)
class Config:
    """What the reference needs of a config.

    Attributes:
        path: of the file.
        model: the section, with image_size, channels and n_shot.
        data: the data module, which draws the episodes.
        seed: key of all random numbers.
        gradient_clip: the largest norm of all gradients, or None.
        max_steps: optimiser steps of the run.
        root: the run's folder.
        log_every: steps between two lines of the log.
        save_every: steps between two checkpoints.
    """

    path: str
    model: dict[str, Any]
    data: EpisodeDataModule
    seed: int
    gradient_clip: float | None
    max_steps: int
    root: Path
    log_every: int
    save_every: int


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
    seed = int(content.get("seed_everything", 0))
    module = getattr(data, class_name)(**{**(section.get("init_args") or {}), "seed": seed})
    trainer = content.get("trainer") or {}
    return Config(
        path=path,
        model={**content["model"], **{key: getattr(module, key) for key in FROM_DATA}},
        data=module,
        seed=seed,
        gradient_clip=trainer.get("gradient_clip_val"),
        max_steps=trainer.get("max_steps", -1),
        root=Path(trainer.get("default_root_dir") or "."),
        log_every=trainer.get("log_every_n_steps", 50),
        save_every=(content.get("checkpoint") or {}).get("every_n_train_steps", 1000),
    )
