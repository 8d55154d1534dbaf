"""The pictures that `sample` writes: each whole, and none over a file that it did not write."""

import re
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import check_place, whole_file
from lightning_nsd.messages import reason
from lightning_nsd.pictures import grid, to_image
from lightning_nsd.terminal import console

AUTHOR = "lightning_nsd sample"
"""Stands in the pictures' metadata (`Software`): by it `sample` knows its own, and removes or replaces no others."""
GRID_COLUMNS = 6


def check_places(out: Path) -> None:
    """Whether the grid and the single images can be written, before anything is drawn.

    Raises:
        UserError: another kind of file, a place that cannot be written, or one where something else lies.
    """
    if out.suffix.lower() != ".png":
        raise UserError(f"--out is {out}; it must end in .png.")
    folder = out.with_suffix("")
    for path in (out, folder / _name(0)):
        check_place(path, "--out")
    for path in (out, *_numbered(folder)):
        if path.exists() and not _is_own(path):
            raise UserError(f"--out: {path} is there and not of an earlier sample. Move it, or name another --out.")


def write_samples(support: Tensor | None, samples: Tensor, out: Path) -> None:
    """The grid, the support set in its first row, and every image on its own, in the place of an earlier call's.

    Args:
        support: `(n, C, H, W)` in [-1, 1]; None where there is none.
        samples: `(num, C, H, W)` in [-1, 1].
        out: the grid; the single images go to a folder of the same name without the suffix.

    Raises:
        UserError: a picture cannot be written; says how many were.
    """
    folder = out.with_suffix("")
    earlier = _numbered(folder)
    path, written = out, 0
    try:
        for number, image in enumerate(samples):
            path = folder / _name(number)
            _write(to_image(image), path)
            written += 1
        for stale in (path for path in earlier if int(path.stem) >= len(samples)):
            stale.unlink()
        path = out
        _write(sample_grid(support, samples), path)
    except OSError as error:
        raise UserError(
            f"--out: {path} could not be written ({reason(error)}). {written} of the {len(samples)} single "
            f"images are in {folder}."
        ) from error
    replaced = f" The {len(earlier)} of an earlier call are gone." if earlier else ""
    what = f"{len(samples)} images" if support is None else f"the support set above, {len(samples)} images below"
    console().print(f"{out}: {what}; each in {folder}/.{replaced}")


def sample_grid(support: Tensor | None, samples: Tensor) -> Image.Image:
    """The picture that `write_samples` writes: the support set `(n, C, H, W)` in its first row, the samples below."""
    above = [] if support is None else [support]
    columns = max(GRID_COLUMNS, sum(map(len, above)))
    return grid([*above, *samples.split(columns)])


def _name(number: int) -> str:
    return f"{number:03d}.png"


def _numbered(folder: Path) -> list[Path]:
    """What lies where single images go, in the order of their numbers."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in paths if re.fullmatch(r"\d{3,}\.png", path.name)), key=lambda path: int(path.stem))


def _write(picture: Image.Image, path: Path) -> None:
    metadata = PngInfo()
    metadata.add_text("Software", AUTHOR)
    with whole_file(path) as file:
        picture.save(file, format="png", pnginfo=metadata)


def _is_own(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return picture.info.get("Software") == AUTHOR
    except Exception:  # decoders raise what they like on a broken file
        return False
