"""From the fields of the page to a support set."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from lightning_nsd.data.decoding import decode_image
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.demo.field import read_field
from lightning_nsd.demo.letters import GLYPHS_INNER, letter_image
from lightning_nsd.errors import UserError

Kind = Literal["letters", "photographs"]
"""How pictures are brought to what training saw: the ink in the middle, or the middle square."""
KINDS: tuple[Kind, ...] = get_args(Kind)


def support_set(
    fields: Sequence[object], kind: Kind, image_size: int, channels: int, inner: float = GLYPHS_INNER
) -> Tensor:
    """The pictures of all fields that hold one, in their order, as a model of this size sees them.

    Letters are made black on white, cropped to their ink and put in the middle; photographs are cut to their middle
    square, as `sample` does. Both are resized, and a picture that has the size already is as it was.

    Args:
        fields: each as `read_field` takes it.
        kind: of the pictures.
        image_size: pixels of a side.
        channels: 1 or 3.
        inner: of letters, the longer side of the ink as a part of the image's.

    Returns:
        `(n, channels, image_size, image_size)` in [-1, 1].

    Raises:
        UserError: all fields are empty, or one holds something else than a picture; says which.
    """
    images = []
    for number, field in enumerate(fields, 1):
        name = f"Picture {number}"
        data = read_field(field, name)
        if data is None:
            continue
        try:
            if kind == "letters":
                grey = np.asarray(letter_image(data, image_size, inner))[None]  # (1, H, W)
                pixels = grey.repeat(channels, axis=0)
            else:
                pixels, _ = decode_image(data, image_size, channels)
        except UserError as error:
            raise UserError(f"{name} {error}") from error
        except Exception as error:  # decoders raise what they like on a broken file
            raise UserError(f"{name} is no image that can be read. PNG, JPEG, WebP, GIF, BMP and PPM can.") from error
        images.append(torch.from_numpy(pixels.copy()))
    if not images:
        raise UserError("All fields are empty. Draw in them, drop pictures on them, or start from an example.")
    return to_unit_range(torch.stack(images))
