"""A training config as the reference reads it: the same YAML that lightning_nsd trains from."""

from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from jax_reference.config_layers import class_name, laid_over, with_classes
from lightning_nsd import backbones, data, latents
from lightning_nsd.checkpoints.loading import describe_model
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.data.encoding_cache import encodings_on_host
from lightning_nsd.errors import UserError
from lightning_nsd.latents.latent_space import LatentSpace
from lightning_nsd.settings import config_files
from lightning_nsd.settings.config_files import find_config
from lightning_nsd.settings.numbers import SEED, Bound, NotWithinError, shown

FROM_DATA = ("image_size", "channels", "n_shot")
STEPS = Bound(1, 10**9)


@dataclass(frozen=True)
class Config:
    """What the reference needs of a config.

    Attributes:
        path: of the file; of several with `+` between.
        content: of the file, or of several as one.
        model: the section, with image_size, channels and n_shot.
        data: the data module, which draws the episodes, with their latents and features where the model asks for them.
        space: where the model draws, and what its encoder sees.
        seed: key of all random numbers.
        gradient_clip: the largest norm of all gradients, or None.
        max_steps: optimiser steps of the run.
        root: the run's folder; None where it names none.
        log_every: steps between two lines of the log.
        save_every: steps between two checkpoints.
    """

    path: str
    content: dict[str, Any]
    model: dict[str, Any]
    data: EpisodeDataModule
    space: LatentSpace
    seed: int
    gradient_clip: float | None
    max_steps: int
    root: Path | None
    log_every: int
    save_every: int


def read_config(*names: str) -> Config:
    """A config by its path, or its name among the shipped ones; of several each is laid over those before it.

    Raises:
        UserError: no such file, one without a model and its data, or a model that lightning_nsd refuses.
    """
    paths = [find_config(name) for name in names]
    content = reduce(laid_over, (with_classes(config_files.read_config(path)) for path in paths))
    path = "+".join(paths)
    if not {"model", "data"} <= content.keys():
        raise UserError(f"{path} has no model and data sections: it only adds to another config. Name that one first.")
    for name in ("model", "data"):
        if not isinstance(content[name], dict):
            raise UserError(f"{path}: {name} is {shown(content[name])}; it must be a mapping of names to values.")
    seed = _whole_number(path, "seed_everything", content.get("seed_everything", 0), SEED)
    module = _data_of(content["data"], seed, path)
    model = {**content["model"], **{key: getattr(module, key) for key in FROM_DATA}}
    space = _space_of(model)
    describe_model(model, path)
    for encoder in space.frozen:
        module.use_encodings(encoder.kind, encodings_on_host(encoder))
    trainer, checkpoint = content.get("trainer") or {}, content.get("checkpoint") or {}
    root = trainer.get("default_root_dir")
    steps = {
        "trainer.max_steps": trainer.get("max_steps"),
        "trainer.log_every_n_steps": trainer.get("log_every_n_steps"),
        "checkpoint.every_n_train_steps": checkpoint.get("every_n_train_steps"),
    }
    max_steps, log_every, save_every = (
        default if value in (None, -1) else _whole_number(path, name, value, STEPS)
        for (name, value), default in zip(steps.items(), (-1, 50, 1000), strict=True)
    )
    return Config(
        path=path,
        content=content,
        model=model,
        data=module,
        space=space,
        seed=seed,
        gradient_clip=trainer.get("gradient_clip_val"),
        max_steps=max_steps,
        root=Path(root) if root else None,
        log_every=log_every,
        save_every=save_every,
    )


def _whole_number(path: str, name: str, value: Any, bound: Bound) -> int:
    try:
        return int(bound(value))
    except NotWithinError as error:
        raise UserError(f"{path}: {name} is {shown(value)}; {error}.") from None


def _data_of(section: dict[str, Any], seed: int, path: str) -> EpisodeDataModule:
    name = class_name(section)
    if not hasattr(data, name):
        raise UserError(f"{path}: data.class_path names no data set of lightning_nsd.data: {name!r}.")
    try:
        module: EpisodeDataModule = getattr(data, name)(**{**(section.get("init_args") or {}), "seed": seed})
    except TypeError as error:  # an argument that there is not
        raise UserError(f"{path}: data.init_args: {error}.") from error
    return module


def _space_of(model: dict[str, Any]) -> LatentSpace:
    """Where a model draws, and what its encoder sees. Its section is given the hashes of the frozen networks it names.

    Raises:
        UserError: a frozen network that there is not, or that does not take the images.
    """
    frozen: dict[str, Any] = {"autoencoder": None, "backbone": None}
    for part, offered in (("autoencoder", latents), ("backbone", backbones)):
        if described := model.get(part):
            name, arguments = class_name(described), dict(described.get("init_args") or {})
            if name not in offered.__all__:
                raise UserError(f"model.{part} names no class of {offered.__name__}: {name!r}.")
            frozen[part] = getattr(offered, name)(**arguments)
            model[part] = {"class_path": name, "init_args": {**arguments, "hash": frozen[part].hash}}
    encoder_input, shape = model.get("encoder_input", "latents"), (model["image_size"], model["channels"])
    return LatentSpace(frozen["autoencoder"], encoder_input, *shape, frozen["backbone"])
