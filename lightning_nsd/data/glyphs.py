"""The shipped data set: characters of eleven scripts in many free fonts."""

import json
from pathlib import Path
from typing import Any

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
SCRIPTS_OF: dict[Split, tuple[str, ...]] = {
    "train": ("arabic", "armenian", "cyrillic", "devanagari", "digits", "ethiopic", "greek", "latin", "thai"),
    "val": ("georgian",),
    "test": ("hebrew",),
}


@bounded("data")
class Glyphs(EpisodeDataModule):
    """A class is a character, `<script>/<code point>`, its images are fonts. Black (0) on white (255), grey.

    Divided by script: Georgian is for validation and Hebrew for the test, so that a held-out class is of a writing
    system that training never saw. It is part of the package; nothing is downloaded.

    Training scripts have letters in common (Latin A, Greek Alpha, Cyrillic A), and 877 images stand in two classes or
    more of the nine (`ATTRIBUTION.md` lists them). None stands in two splits.

    Args:
        image_size: 32, or 16 or 8 by averaging blocks of pixels.

    Raises:
        UserError: another size.
    """

    def __init__(self, image_size: Pixels = NATIVE_SIZE, **kwargs: Any) -> None:
        if image_size not in (8, 16, 32):
            raise UserError(f"Glyphs: data.image_size is {image_size}; it can be 32, 16 or 8.")
        super().__init__(image_size=image_size, channels=1, **kwargs)

    def load_split(self, split: Split) -> ImageSet:
        return ImageSet.from_classes(read_scripts(SCRIPTS_OF[split], self.image_size))


def read_scripts(scripts: tuple[str, ...], image_size: int) -> dict[str, Tensor]:
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
