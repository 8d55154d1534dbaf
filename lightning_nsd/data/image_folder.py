"""Image files to tensors: square, of one size, grey or RGB."""

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from lightning_nsd.data.cache import cached_classes
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.errors import UserError

_FILES_PER_TASK = 64  # tiny images are decoded faster than a thread pool hands out tasks


def read_classes(tree: ImageTree, image_size: int, channels: int, convert_colour: bool = False) -> dict[str, Tensor]:
    """The images of a tree, decoded at the first call and cached next to it.

    Returns:
        Class name → uint8 `(n, C, H, W)` in 0…255, in the order of `tree`.

    Raises:
        UserError: see `decode_classes`.
    """
    variant = f"{image_size}x{image_size}x{channels}{'_converted' if convert_colour else ''}"
    decode = partial(decode_classes, tree, image_size, channels, convert_colour)
    return cached_classes(tree.source, tree.fingerprint(), variant, decode)


def decode_classes(tree: ImageTree, image_size: int, channels: int, convert_colour: bool = False) -> dict[str, Tensor]:
    """Decode all images of a tree in threads, with a progress bar.

    Args:
        channels: 1 or 3.
        convert_colour: make grey images of colour ones and the other way round instead of refusing them.

    Returns:
        Class name → uint8 `(n, C, H, W)` in 0…255.

    Raises:
        UserError: a broken image, colour images where grey ones are configured, or grey ones only where RGB is.
    """
    files = tree.files
    images = np.empty((len(files), channels, image_size, image_size), np.uint8)
    coloured = np.zeros(len(files), bool)

    def decode(read: Callable[[str], bytes], start: int) -> int:
        stop = min(start + _FILES_PER_TASK, len(files))
        for i in range(start, stop):
            try:
                images[i], coloured[i] = decode_image(read(files[i]), image_size, channels)
            except Exception as error:  # decoders raise what they like on a broken file
                raise UserError(f"{tree.source / files[i]} is no image that can be read: {error}") from error
        return stop - start

    with (
        tree.open() as read,
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
        tqdm(total=len(files), desc=f"Decoding {tree.source}", unit="image") as bar,
    ):
        for done in pool.map(lambda start: decode(read, start), range(0, len(files), _FILES_PER_TASK)):
            bar.update(done)

    if not convert_colour:
        _check_colour(tree, coloured, channels)
    counts = [len(names) for names in tree.classes.values()]
    return dict(zip(tree.classes, torch.from_numpy(images).split(counts), strict=True))


def _check_colour(tree: ImageTree, coloured: np.ndarray, channels: int) -> None:
    remedy = "or use ClassFolder with data.convert_colour=true"
    if channels == 1 and coloured.any():
        first = tree.source / tree.files[int(coloured.argmax())]
        raise UserError(f"{first} is a colour image where grey is configured. Set data.channels=3, {remedy}.")
    if channels == 3 and not coloured.any():
        first = tree.source / tree.files[0]
        raise UserError(f"{first} and all others are grey where RGB is configured. Set data.channels=1, {remedy}.")


def decode_image(data: bytes, image_size: int, channels: int) -> tuple[np.ndarray, bool]:
    """One image file as uint8 `(channels, image_size, image_size)`, and whether it has colour.

    The middle square is cut out and resized by Lanczos' filter, which averages when it makes an image smaller.
    Transparent parts become white, 16-bit grey keeps its upper eight bits, an animation gives its first frame,
    and a photo is turned as its camera noted.
    """
    with Image.open(io.BytesIO(data)) as opened:
        image = _opaque(ImageOps.exif_transpose(opened))  # L or RGB
    side = min(image.size)
    if image.size != (image_size, image_size):
        left, top = (image.width - side) // 2, (image.height - side) // 2
        middle = (left, top, left + side, top + side)
        image = image.resize((image_size, image_size), Image.Resampling.LANCZOS, box=middle)
    has_colour = image.mode == "RGB" and _has_colour(np.asarray(image))
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(image_size, image_size, channels).transpose(2, 0, 1), has_colour


def _opaque(image: Image.Image) -> Image.Image:
    """The image in mode L if it is stored as grey, else in mode RGB."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(layer)
        return paper.convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _has_colour(pixels: np.ndarray) -> bool:
    """Whether the channels of `(H, W, 3)` differ anywhere."""
    return bool((pixels[..., :2] != pixels[..., 1:]).any())
