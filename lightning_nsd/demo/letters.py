"""Drawn letters as training saw them: black on white, of one size, in the middle.

What `scripts/make_glyphs.py` does with a character of a font is done with the ink of a drawing.
"""

import numpy as np
from PIL import Image

from lightning_nsd.data.decoding import decode_whole
from lightning_nsd.data.glyphs import NATIVE_SIZE
from lightning_nsd.errors import UserError

GLYPHS_INNER = 28 / 32
"""The longer side of a shipped glyph's ink, as a part of the image's (`INNER` and `SIZE` in its script)."""
MIN_CONTRAST = 24
"""Levels of 255 between paper and ink, below which a picture is blank."""
_AT_MOST = 1024  # pixels of a side that are looked at; a letter ends as a few dozen
_FAINTEST = 0.2  # of the strongest ink: what is fainter does not count where the ink ends


def letter_image(data: bytes, image_size: int, inner: float = GLYPHS_INNER) -> Image.Image:
    """The letter of a drawing or photograph, mode L, `image_size` × `image_size`, black (0) on white (255).

    Wherever it stands, however large it is, and whether it is dark on light, light on dark or on nothing. A picture
    that has the size already is a training image, and is not changed.

    Args:
        data: of an image file.
        image_size: pixels of a side of the result.
        inner: the longer side of the ink, as a part of it.

    Raises:
        UserError: it is blank; the message goes on from the picture's name.
        Exception: whatever Pillow raises for a file that is no image.
    """
    picture = decode_whole(data)
    if picture.size == (image_size, image_size):
        return picture.convert("L")
    ink = _ink(picture)
    if ink is None:
        ink = _ink(decode_whole(data, paper="black"))  # strokes as light as the paper, on nothing
    if ink is None:
        raise UserError("is blank. Draw a letter in it, or leave it empty.")
    return _placed(ink, image_size, inner)


def _ink(picture: Image.Image) -> Image.Image | None:
    """How much ink there is, mode L, cropped to it, 255 where it is strongest; None where there is none.

    The paper is what the picture's edge is, most of it.
    """
    grey = picture.convert("L")
    grey.thumbnail((_AT_MOST, _AT_MOST), Image.Resampling.BOX)
    levels = np.asarray(grey, np.float32)
    edge = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    paper = np.median(edge)
    difference = np.maximum(levels - paper, 0) if paper < 128 else np.maximum(paper - levels, 0)
    grain = min(float(np.percentile(np.abs(edge - paper), 90)), MIN_CONTRAST)  # of a photographed paper; drawn has none
    strongest = float(difference.max())
    if strongest - grain < MIN_CONTRAST:
        return None
    ink = np.clip((difference - grain) / (strongest - grain), 0, 1)
    rows, columns = (np.flatnonzero((ink > _FAINTEST).any(axis=axis)) for axis in (1, 0))
    inside = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Image.fromarray(np.round(255 * inside).astype(np.uint8))


def _placed(ink: Image.Image, image_size: int, inner: float) -> Image.Image:
    """The ink in the middle of white paper, made at the glyphs' own size where that is a multiple of the model's."""
    fine = NATIVE_SIZE if NATIVE_SIZE % image_size == 0 else image_size
    scale = inner * fine / max(ink.size)
    width, height = (max(1, round(scale * side)) for side in ink.size)
    paper = Image.new("L", (fine, fine), 0)
    paper.paste(ink.resize((width, height), Image.Resampling.LANCZOS), ((fine - width) // 2, (fine - height) // 2))
    return paper.reduce(fine // image_size).point(lambda level: 255 - level)
