"""Grids of images, as pictures, and many images in one file."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from lightning_nsd.data.transforms import to_bytes
from lightning_nsd.files.array_file import write_arrays
from lightning_nsd.files.whole_file import whole_file

GAP = 1
RULE = 3
SMALLEST_CELL = 32
"""Cells are shown at least this large, in pixels; small images are enlarged by a whole factor."""


def to_image(image: Tensor) -> Image.Image:
    """One image `(C, H, W)` in [-1, 1] as a picture, grey for one channel."""
    pixels = to_bytes(image).permute(1, 2, 0).cpu().numpy()  # (H, W, C)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def grid(rows: list[Tensor], rule_after: int = 0) -> Image.Image:
    """Rows of images, with a vertical rule after the first `rule_after` columns.

    Args:
        rows: each `(n, C, H, W)` in [-1, 1]; rows may differ in length. Any number works, one included.
        rule_after: 0 draws no rule.
    """
    columns = max(len(row) for row in rows)
    _, c, h, w = rows[0].shape
    rule = RULE if 0 < rule_after < columns else 0
    canvas = torch.ones(c, len(rows) * (h + GAP) + GAP, columns * (w + GAP) + GAP + rule)
    if rule:
        x = rule_after * (w + GAP) + GAP
        canvas[:, :, x : x + rule - GAP] = -1.0
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            y = i * (h + GAP) + GAP
            x = j * (w + GAP) + GAP + (rule if rule and j >= rule_after else 0)
            canvas[:, y : y + h, x : x + w] = image
    factor = max(1, -(-SMALLEST_CELL // w))
    picture = to_image(canvas)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a PNG whole.

    Raises:
        OSError: it cannot be written.
    """
    with whole_file(path) as file:
        picture.save(file, format="png")


def write_npz(path: Path, images: Tensor, labels: Tensor | None = None) -> None:
    """Write images as guided-diffusion's scripts do, and with them the code of Few-Shot Diffusion Models, whole.

    Args:
        images: bytes `(n, C, H, W)`; `arr_0` of the file is `(n, H, W, C)`.
        labels: the number of each image's class, int64 `(n,)`: `arr_1`; none where None.

    Raises:
        OSError: it cannot be written.
    """
    arrays = {"arr_0": images.permute(0, 2, 3, 1).cpu().numpy()}  # (n, H, W, C)
    if labels is not None:
        arrays["arr_1"] = labels.numpy()
    write_arrays(path, **arrays)
