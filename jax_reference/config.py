"""A training config as the reference reads it: the same YAML that lightning_nsd trains from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_nsd import backbones, data, latents
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.data.encoding_cache import encodings_on_host
from lightning_nsd.errors import UserError
from lightning_nsd.latents.latent_space import LatentSpace
from lightning_nsd.settings import config_files
from lightning_nsd.settings.config_files import find_config

FROM_DATA = ("image_size", "channels", "n_shot")


@dataclass(frozen=True)
class Config:
    """What the reference needs of a config.

    Attributes:
        path: of the file.
        model: the section, with image_size, channels and n_shot.
        data: the data module, which draws the episodes, with their latents and features where the model asks for them.
        space: where the model draws, and what its encoder sees.
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
    space: LatentSpace
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
    content = config_files.read_config(path)
    if not {"model", "data"} <= content.keys():
        raise UserError(f"{path} has no model and data sections: it only adds to another config. Name that one.")
    section = content["data"]
    class_name = str(section.get("class_path", "")).rpartition(".")[2]
    if not hasattr(data, class_name):
        raise UserError(f"{path}: data.class_path names no data set of lightning_nsd.data: {class_name!r}.")
    seed = int(content.get("seed_everything", 0))
    try:
        module = getattr(data, class_name)(**{**(section.get("init_args") or {}), "seed": seed})
    except TypeError as error:  # an argument that there is not
        raise UserError(f"{path}: data.init_args: {error}.") from error
    model = {**content["model"], **{key: getattr(module, key) for key in FROM_DATA}}
    space = _space_of(model)
    for encoder in space.frozen:
        module.use_encodings(encoder.kind, encodings_on_host(encoder))
    trainer = content.get("trainer") or {}
    return Config(
        path=path,
        model=model,
        data=module,
        space=space,
        seed=seed,
        gradient_clip=trainer.get("gradient_clip_val"),
        max_steps=trainer.get("max_steps", -1),
        root=Path(trainer.get("default_root_dir") or "."),
        log_every=trainer.get("log_every_n_steps", 50),
        save_every=(content.get("checkpoint") or {}).get("every_n_train_steps", 1000),
    )


def _space_of(model: dict[str, Any]) -> LatentSpace:
    """Where a model draws, and what its encoder sees. Its section is given the hashes of the frozen networks it names.

    Raises:
        UserError: a frozen network that there is not, or that does not take the images.
    """
    frozen: dict[str, Any] = {"autoencoder": None, "backbone": None}
    for part, offered in (("autoencoder", latents), ("backbone", backbones)):
        if described := model.get(part):
            name, arguments = described["class_path"].rpartition(".")[2], dict(described.get("init_args") or {})
            if name not in offered.__all__:
                raise UserError(f"model.{part} names no class of {offered.__name__}: {name!r}.")
            frozen[part] = getattr(offered, name)(**arguments)
            model[part] = {"class_path": name, "init_args": {**arguments, "hash": frozen[part].hash}}
    encoder_input, shape = model.get("encoder_input", "latents"), (model["image_size"], model["channels"])
    return LatentSpace(frozen["autoencoder"], encoder_input, *shape, frozen["backbone"])
