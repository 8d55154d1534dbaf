"""Pictures inside of a page: read from files that may be damaged or hostile, and no larger than needed."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

Item = TypeVar("Item")
MOST_PIXELS = 40_000_000
WIDEST = 1200
PHOTOGRAPH = 60_000
"""Bytes from which a picture is kept as a JPEG: what is small as PNG is drawn by lines, or tiny, and stays exact."""
READ = ["PNG"]


class PictureError(Exception):
    """A picture that cannot be shown; the message says why."""


def read_picture(path: Path) -> Image.Image:
    """A PNG file, decoded.

    Raises:
        PictureError: there is no such file, or it is damaged or far too large.
    """
    try:
        with Image.open(path, formats=READ) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise PictureError("it is too large")
            picture.load()
            return picture.convert("L" if picture.mode in ("1", "L") else "RGB")
    except PictureError:
        raise
    except Exception as error:  # decoders raise what they like
        raise PictureError("it cannot be read" if path.exists() else "it is not there") from error


def data_uri(picture: Image.Image) -> str:
    """The picture as the address of itself; made smaller where it is wider than a screen."""
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, max(1, round(picture.height * WIDEST / picture.width))))
    content, kind = _encoded(picture, "PNG", optimize=True), "png"
    if len(content) > PHOTOGRAPH:
        content, kind = _encoded(picture, "JPEG", quality=88), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    with io.BytesIO() as stream:
        picture.save(stream, format=kind, **options)
        return stream.getvalue()


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of a sequence, evenly, the first and the last among them; `most` is 2 or more."""
    if len(items) <= most:
        return list(items)
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]
