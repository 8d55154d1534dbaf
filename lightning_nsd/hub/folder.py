"""Writes a model's folder as hubs expect one: weights, settings, card and pictures, whole or not at all."""

import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, Literal

import torch
from safetensors.torch import save

from lightning_nsd import __version__
from lightning_nsd.checkpoints.hub_config import CONFIG, DataSet, HubConfig, Images
from lightning_nsd.checkpoints.hub_folder import CARD, PICTURES, WEIGHTS
from lightning_nsd.data.datamodule import SPLITS, EpisodeDataModule
from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_folder import whole_folder
from lightning_nsd.hub.card import About, model_card
from lightning_nsd.hub.run import RunOutputs
from lightning_nsd.messages import reason
from lightning_nsd.module import FewShotDiffusion

DType = Literal["float32", "float16", "bfloat16"]
OF_THE_RUN = ("root", "batch_size", "episodes_per_epoch", "eval_episodes", "seed", "eval_seed", "images_on_device",
              "download")  # fmt: skip
"""Arguments of a data set that are of no use to who did not train on it; where its files lay is nobody's business."""


def describe_data(data: EpisodeDataModule, arguments: Mapping[str, Any]) -> tuple[DataSet, str]:
    """What a model's folder says of a data set, and why it does not name the classes; empty where it does.

    Args:
        data: read here, where its files are there; nothing is downloaded.
        arguments: as the run's configuration has them.
    """
    settings = {
        name: value
        for name, value in arguments.items()
        if name not in OF_THE_RUN and isinstance(value, bool | int | float | str)
        if not isinstance(value, str) or type(data).__module__.startswith("lightning_nsd.")
    }
    try:
        classes = {split: list(data.image_set(split).class_names) for split in SPLITS}
        failure = ""
    except UserError as error:
        classes, failure = {}, str(error).splitlines()[0]
    return DataSet(name=type(data).__name__, settings=settings, classes=classes), failure


def write_model_folder(
    path: Path, module: FewShotDiffusion, data: DataSet | None, run: RunOutputs, about: About
) -> None:
    """Write the folder.

    Args:
        path: of the folder, which is not there.
        module: whose evaluation weights are written.
        data: what it was trained on.
        run: pictures and distances of these weights.
        about: the rest of the card; its `dtype` is that of the weights, its `steps` are in the configuration too.

    Raises:
        UserError: it cannot be written, or the weights are not finite in their type; nothing is left of it then.
    """
    weights = _weights(module, about.dtype)
    images = Images(size=module.image_size, channels=module.channels, n_shot=module.n_shot)
    settings = _without_places(module.hyperparameters)
    config = HubConfig(package_version=__version__, trained_steps=about.steps, images=images, model=settings, data=data)
    card = model_card(module, data, run, about)
    try:
        with whole_folder(path) as made:
            made.mkdir()
            (made / WEIGHTS).write_bytes(save(weights, {"format": "pt"}))
            (made / CONFIG).write_text(config.model_dump_json(indent=1) + "\n", encoding="utf-8")
            (made / CARD).write_text(card, encoding="utf-8")
            for picture in run.pictures:
                (made / PICTURES).mkdir(exist_ok=True)
                shutil.copyfile(picture, made / PICTURES / picture.name)
    except OSError as error:
        raise UserError(f"--output: {path} could not be written ({reason(error)}).") from error


def _weights(module: FewShotDiffusion, dtype: str) -> dict[str, torch.Tensor]:
    """The evaluation's weights in a type, each in memory of its own.

    Raises:
        UserError: one is not finite in it.
    """
    kind = getattr(torch, dtype)
    found = {key: value.to(kind).contiguous().clone() for key, value in module.evaluation_model.state_dict().items()}
    wrong = next((key for key, value in found.items() if not value.isfinite().all()), None)
    if wrong is not None:
        raise UserError(
            f"The weights {wrong} are not finite in {dtype}. Where they are in the checkpoint, take another type "
            "(--dtype float32 or bfloat16); else training diverged before it."
        )
    return found


def _without_places(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in which a file or folder outside of here is named by its last part alone: the rest is private."""
    changed = dict(settings)
    for part, described in settings.items():
        arguments = described.get("init_args") if isinstance(described, Mapping) else None
        if isinstance(arguments, Mapping) and isinstance(arguments.get("path"), str):
            path = PurePath(arguments["path"])
            if path.is_absolute() or ".." in path.parts or str(path).startswith("~"):
                changed[part] = {**described, "init_args": {**arguments, "path": path.name}}
    return changed
