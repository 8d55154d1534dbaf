"""Image files to tensors: square, of one size, grey or RGB."""

import io
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from lightning_nsd.data.cache import cached_images
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.errors import UserError

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")
"""All that is decoded, whatever a file is called: Pillow would hand PostScript to an interpreter."""
MAX_PIXELS = 1 << 26
"""Of one image, 67 million: more than cameras have, and a second to decode."""
_REDUCING_GAP = 3  # a JPEG is decoded at an eighth of its size or more, where that is still so many times too large
_LARGE = 1 << 24  # pixels; larger images, of up to a gigabyte in memory each, are decoded one at a time
_LARGE_ONES = Lock()
_FILES_PER_TASK = 64  # tiny images are decoded faster than a thread pool hands out tasks


def read_classes(tree: ImageTree, image_size: int, channels: int, convert_colour: bool = False) -> dict[str, Tensor]:
    """The images of a tree, decoded at the first call and cached next to it.

    Returns:
        Class name → uint8 `(n, C, H, W)` in 0…255, in the order of `tree`.

    Raises:
        UserError: see `decode_classes`.
    """
    return _by_class(tree, _read(tree, image_size, channels, convert_colour))


def read_image_set(tree: ImageTree, image_size: int, channels: int) -> ImageSet:
    """The same as one set, without a copy.

    Raises:
        UserError: see `decode_classes`.
    """
    counts = torch.tensor([len(names) for names in tree.classes.values()], dtype=torch.int64)
    return ImageSet(_read(tree, image_size, channels, convert_colour=False), tuple(tree.classes), counts)


def decode_classes(tree: ImageTree, image_size: int, channels: int, convert_colour: bool = False) -> dict[str, Tensor]:
    """Decode all images of a tree in threads, with a progress bar.

    Args:
        channels: 1 or 3.
        convert_colour: make grey images of colour ones and the other way round instead of refusing them.

    Returns:
        Class name → uint8 `(n, C, H, W)` in 0…255.

    Raises:
        UserError: a broken or oversized image, one that is no regular file, more images than the memory holds, colour
            images where grey ones are configured, or grey ones only where RGB is.
    """
    return _by_class(tree, _decode(tree, image_size, channels, convert_colour))


def _read(tree: ImageTree, image_size: int, channels: int, convert_colour: bool) -> Tensor:
    """uint8 `(M, C, H, W)`, class after class, from the cache if it has them."""
    variant = f"{image_size}x{image_size}x{channels}{'_converted' if convert_colour else ''}"
    shape = (len(tree.files), channels, image_size, image_size)
    decode = partial(_decode, tree, image_size, channels, convert_colour)
    return cached_images(tree.source, tree.fingerprint(), variant, shape, decode)


def _by_class(tree: ImageTree, images: Tensor) -> dict[str, Tensor]:
    return dict(zip(tree.classes, images.split([len(names) for names in tree.classes.values()]), strict=True))


def _decode(tree: ImageTree, image_size: int, channels: int, convert_colour: bool) -> Tensor:
    """uint8 `(M, C, H, W)`, class after class."""
    files = tree.files
    images = _room_for(tree, (len(files), channels, image_size, image_size))
    coloured = np.zeros(len(files), bool)

    def decode(read: Callable[[str], bytes], start: int) -> int:
        stop = min(start + _FILES_PER_TASK, len(files))
        for i in range(start, stop):
            with named(tree.source / files[i]):
                images[i], coloured[i] = decode_image(read(files[i]), image_size, channels)
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
    return torch.from_numpy(images)


def _room_for(tree: ImageTree, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.empty(shape, np.uint8)
    except (MemoryError, ValueError) as error:
        raise UserError(
            f"{tree.source}: {shape[0]} images of {shape[2]} × {shape[3]} pixels and {shape[1]} channels take "
            f"{math.prod(shape) / 1e12:.3g} TB of memory. Set a smaller image_size or take fewer images."
        ) from error


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

    Raises:
        ValueError: more pixels than `MAX_PIXELS`.
        Exception: whatever Pillow raises for a file that is no image.
    """
    with _opened(data) as opened:
        opened.draft(None, 2 * (_REDUCING_GAP * image_size,))  # of JPEG; nothing where the format cannot
        image = _upright(opened)
    side = min(image.size)
    if image.size != (image_size, image_size):
        left, top = (image.width - side) // 2, (image.height - side) // 2
        middle = (left, top, left + side, top + side)
        image = image.resize((image_size, image_size), Image.Resampling.LANCZOS, box=middle)
    has_colour = image.mode == "RGB" and _has_colour(np.asarray(image))
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(image_size, image_size, channels).transpose(2, 0, 1), has_colour


def decode_whole(data: bytes, paper: str = "white") -> Image.Image:
    """One image file as it is, upright, in mode L if it is stored as grey, else in mode RGB.

    Args:
        data: of the file.
        paper: colour of transparent parts.

    Raises:
        ValueError: more pixels than `MAX_PIXELS`.
        Exception: whatever Pillow raises for a file that is no image.
    """
    with _opened(data) as opened:
        return _upright(opened, paper)


def resize_arrays(images: np.ndarray, image_size: int) -> Tensor:
    """Square RGB images that are decoded already, resized as `decode_image` does.

    Args:
        images: uint8 `(n, S, S, 3)`.

    Returns:
        uint8 `(n, 3, image_size, image_size)`.
    """
    resized = np.empty((len(images), 3, image_size, image_size), np.uint8)
    for i, pixels in enumerate(images):
        image = Image.fromarray(pixels)
        if image.size != (image_size, image_size):
            image = image.resize((image_size, image_size), Image.Resampling.LANCZOS)
        resized[i] = np.asarray(image).transpose(2, 0, 1)
    return torch.from_numpy(resized)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Whatever reading an image file raises names the file.

    Raises:
        UserError: the file is no image that can be read.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # decoders raise what they like on a broken file
        raise UserError(f"{path} is no image that can be read: {error}") from error


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of an image file, from its header.

    Raises:
        ValueError: more pixels than `MAX_PIXELS`.
        Exception: whatever Pillow raises for a file that is no image.
    """
    with _opened(data) as opened:
        return opened.size


def _opened(data: bytes) -> Image.Image:
    """An image of which the header alone was read."""
    opened = Image.open(io.BytesIO(data), formats=FORMATS)
    if opened.width * opened.height > MAX_PIXELS:
        raise ValueError(f"it has {opened.width} × {opened.height} pixels, more than {MAX_PIXELS / 1e6:.0f} million")
    return opened


def _upright(opened: Image.Image, paper: str = "white") -> Image.Image:
    with _LARGE_ONES if opened.width * opened.height > _LARGE else nullcontext():
        return _opaque(ImageOps.exif_transpose(opened), paper)


def _opaque(image: Image.Image, paper: str) -> Image.Image:
    """The image in mode L if it is stored as grey, else in mode RGB."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        sheet = Image.new("RGBA", image.size, paper)
        sheet.alpha_composite(layer)
        return sheet.convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _has_colour(pixels: np.ndarray) -> bool:
    """Whether the channels of `(H, W, 3)` differ anywhere."""
    return bool((pixels[..., :2] != pixels[..., 1:]).any())
