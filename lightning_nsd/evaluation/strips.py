"""A small picture of every class: real images above, drawn ones below."""

from pathlib import Path

from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.row import Row
from lightning_nsd.pictures import grid, write_picture

STRIP_FOLDER = "strips"
MOST_CLASSES = 200
IN_A_ROW = 6
LARGEST_CELL = 48
"""Larger images are made smaller, to so many pixels a side: these are for a glance."""


def strip_path(folder: Path, number: int) -> Path:
    """Where the picture of a class lies in a folder of distances, by its number in the table of a whole evaluation."""
    return folder / STRIP_FOLDER / f"{number:04d}.png"


def make_strip(row: Row) -> Image.Image | None:
    """The picture of one class; None where it has no images."""
    if row.strip is None or row.real_strip is None:
        return None
    return grid([_small(row.real_strip), _small(row.strip)])


def write_strips(folder: Path, report: Report) -> None:
    """Write the pictures of a whole evaluation's first classes, in place of what the folder had.

    Raises:
        OSError: one cannot be written.
    """
    for path in (folder / STRIP_FOLDER).glob("[0-9]*.png"):
        path.unlink()
    for number, row in enumerate(report.rows[:MOST_CLASSES]):
        if picture := make_strip(row):
            write_picture(strip_path(folder, number), picture)


def _small(images: Tensor) -> Tensor:
    """Bytes `(n, C, H, W)` as at most `IN_A_ROW` images in [-1, 1]."""
    images, side = to_unit_range(images[:IN_A_ROW]), min(LARGEST_CELL, images.shape[-1])
    return images if side == images.shape[-1] else interpolate(images, (side, side), mode="bilinear", antialias=True)
