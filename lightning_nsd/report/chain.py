"""One chain from noise to images, as pictures."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_nsd.data.datamodule import SPLITS, EpisodeDataModule, Split, class_numbers
from lightning_nsd.data.episodes import sample_episodes, spread_classes
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.files.whole_file import write_text
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.pictures import grid, write_picture
from lightning_nsd.rng import Stream, device_generator, generator
from lightning_nsd.runs.folder import CHAIN_FOLDER

IMAGES = 4
MOST_MOMENTS = 20
LARGEST_CELL = 64
"""Pixels along a side of an image in the picture, at most; noise does not compress."""


def chain_path(root: Path, step: int) -> Path:
    """The picture of the chain that the weights of a step draw; what it shows is in a JSON file of the same name."""
    return root / CHAIN_FOLDER / f"step={step:08d}.png"


def write_chain(root: Path, module: FewShotDiffusion, data: EpisodeDataModule) -> Path:
    """Draw a few images of one held-out class, and write every few of the sampler's steps on the way.

    The class, its examples and all noise follow from `data.eval_seed`; torch's own random state is not used. A model
    that knows the classes of training alone draws one of these.

    Returns:
        The picture: for each moment a row of the same height, the examples on the left and x_t on the right.

    Raises:
        OSError: the files cannot be written.
        UserError: see `FewShotDiffusion.sample`.
    """
    split: Split = "train" if module.model.takes_classes else "val"
    image_set, key = data.image_set(split), (data.eval_seed, Stream.SAMPLING, SPLITS.index(split))
    choose = generator(*key)
    classes = spread_classes(len(image_set), 1, choose)
    support = to_unit_range(image_set.images[sample_episodes(image_set, classes, module.n_shot, choose)])
    drawn_from = class_numbers(split, classes) if module.model.takes_classes else support
    every = math.ceil(len(module.sampler.chain(module.diffusion)) / MOST_MOMENTS)
    noise = device_generator(module.device, *key)
    frames: dict[int, Image.Image] = {}
    drawn = module.sample_steps(drawn_from.to(module.device), IMAGES, noise, every=every)
    for step, images in enumerate(drawn, 1):
        if images is not None:
            row = torch.cat([_small(support[0]), _small(images[0].float().cpu())])
            frames[step] = grid([row], rule_after=module.n_shot)
    path = chain_path(root, module.trained_steps)
    write_picture(path, _stacked([*frames.values()]))
    about: dict[str, Any] = {"split": split, "class": image_set.class_names[int(classes[0])]}
    about |= {"steps": [*frames], "of": max(frames), "examples": module.n_shot}
    write_text(path.with_suffix(".json"), json.dumps(about, ensure_ascii=False) + "\n")
    return path


def _stacked(frames: list[Image.Image]) -> Image.Image:
    first = frames[0]
    picture = Image.new(first.mode, (first.width, first.height * len(frames)))
    for number, frame in enumerate(frames):
        picture.paste(frame, (0, number * first.height))
    return picture


def _small(images: Tensor) -> Tensor:
    side = min(LARGEST_CELL, images.shape[-1])
    return images if side == images.shape[-1] else interpolate(images, (side, side), mode="bilinear", antialias=True)
