"""Support sets of the data that a checkpoint was trained on, to start from."""

from typing import NamedTuple

import torch

from lightning_nsd.data.datamodule import Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.demo.field import write_field
from lightning_nsd.demo.offered import Offered
from lightning_nsd.errors import UserError
from lightning_nsd.pictures import to_image
from lightning_nsd.rng import Stream, generator

SHOWN = 12
"""Classes in the row of examples."""


class Example(NamedTuple):
    """A class in the row of examples.

    Attributes:
        name: of the class.
        picture: its first image, as a data URL.
    """

    name: str
    picture: str


def class_names(offered: Offered, split: Split) -> list[str]:
    """The classes of a split.

    Raises:
        UserError: the data is not known, not there, or broken.
    """
    return list(_images(offered, split).class_names)


def examples(offered: Offered, split: Split) -> list[Example]:
    """Some classes of a split, spread evenly over it.

    Raises:
        UserError: see `class_names`.
    """
    images = _images(offered, split)
    count = min(SHOWN, len(images))
    numbers = [number * len(images) // count for number in range(count)]
    return [
        Example(images.class_names[number], write_field(to_image(to_unit_range(images.of_class(number)[0]))))
        for number in numbers
    ]


def take(offered: Offered, split: Split, name: str | None, count: int, seed: int) -> list[str]:
    """Images of a class as fields hold them, at most `count`; the seed chooses which.

    Raises:
        UserError: no such class, and see `class_names`.
    """
    images = _images(offered, split)
    if name not in images.class_names:
        raise UserError("Choose a class first." if name is None else f"There is no class {name} in the {split} split.")
    of_class = images.of_class(images.class_names.index(name))  # (n, C, H, W)
    order = torch.randperm(len(of_class), generator=generator(seed, Stream.EVAL_SUPPORT))
    return [write_field(to_image(to_unit_range(of_class[number]))) for number in order[:count].tolist()]


def readable_name(name: str) -> str:
    """A class's name, and the character that a shipped glyph's stands for: `hebrew/05D0 א`."""
    code = name.rpartition("/")[2]
    try:
        character = chr(int(code, 16)) if len(code) == 4 else ""
    except ValueError:
        return name
    return f"{name} {character}" if character.isalnum() else name


def _images(offered: Offered, split: Split) -> ImageSet:
    if offered.data is None:
        raise UserError(
            f"It is not known which data {offered.name} was trained on: no configuration of its run is there."
        )
    return offered.data.image_set(split)
