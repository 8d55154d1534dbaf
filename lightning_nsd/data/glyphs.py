"""The shipped data set: characters of eleven scripts in many free fonts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lightning_nsd.data.datamodule import EpisodeDataModule, Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Pixels, bounded

FOLDER = Path(__file__).parent.parent / "assets" / "glyphs"
NATIVE_SIZE = 32
Script = Literal[
    "arabic",
    "armenian",
    "cyrillic",
    "devanagari",
    "digits",
    "ethiopic",
    "georgian",
    "greek",
    "hebrew",
    "latin",
    "thai",
]
SCRIPTS: tuple[Script, ...] = get_args(Script)


@bounded("data")
class Glyphs(EpisodeDataModule):
    """A class is a character, `<script>/<code point>`, its images are fonts. Black (0) on white (255), grey.

    Divided by script: one is for validation and one for the test, so that a held-out class is of a writing system that
    training never saw. It is part of the package; nothing is downloaded.

    Scripts have letters in common (Latin A, Greek Alpha, Cyrillic A), and 877 images stand in two classes or more
    (`ATTRIBUTION.md` lists them), none of them in Georgian or Hebrew. A class that shares an image with one of another
    held-out script is left out of training.

    Args:
        image_size: 32, or 16 or 8 by averaging blocks of pixels.
        val_script: for validation.
        test_script: for the test.

    Raises:
        UserError: another size, a script that does not exist, or one for both.
    """

    def __init__(
        self,
        image_size: Pixels = NATIVE_SIZE,
        val_script: Script = "georgian",
        test_script: Script = "hebrew",
        **kwargs: Any,
    ) -> None:
        if image_size not in (8, 16, 32):
            raise UserError(f"Glyphs: data.image_size is {image_size}; it can be 32, 16 or 8.")
        if val_script == test_script:
            raise UserError(f"Glyphs: data.val_script and data.test_script are both {val_script}; name two scripts.")
        super().__init__(image_size=image_size, channels=1, **kwargs)
        self.held_out: dict[Split, Script] = {"val": val_script, "test": test_script}

    def load_split(self, split: Split) -> ImageSet:
        if split != "train":
            return ImageSet.from_classes(read_scripts((self.held_out[split],), self.image_size))
        held_out = tuple(self.held_out.values())
        classes = read_scripts(tuple(script for script in SCRIPTS if script not in held_out), self.image_size)
        seen = {bytes(image.numpy()) for images in read_scripts(held_out, self.image_size).values() for image in images}
        return ImageSet.from_classes(
            {
                name: images
                for name, images in classes.items()
                if not any(bytes(image.numpy()) in seen for image in images)
            }
        )


def read_scripts(scripts: Sequence[str], image_size: int) -> dict[str, Tensor]:
    """Class name → uint8 `(n, 1, image_size, image_size)`."""
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    classes = {}
    for script in scripts:
        with Image.open(FOLDER / f"{script}.webp") as opened:
            mosaic = torch.from_numpy(np.array(opened.convert("L")))
        rows = mosaic.unflatten(1, (-1, NATIVE_SIZE)).unflatten(0, (-1, NATIVE_SIZE))  # (chars, 32, fonts, 32)
        for character, cells in zip(index[script]["characters"], rows.transpose(1, 2), strict=True):
            images = cells[(cells < 255).any(dim=(1, 2))]  # (n, 32, 32); a white cell is a font's missing character
            classes[f"{script}/{ord(character):04X}"] = _shrink(images, image_size)[:, None]
    return classes


def _shrink(images: Tensor, image_size: int) -> Tensor:
    """uint8 `(n, 32, 32)` → `(n, image_size, image_size)`, the mean of each block."""
    block = NATIVE_SIZE // image_size
    return images.float().unfold(1, block, block).unfold(2, block, block).mean(dim=(3, 4)).round().to(torch.uint8)
