"""Pickles that hold images as arrays of pixels, in the forms that few-shot data sets are passed around in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.decoding import resize_arrays
from lightning_nsd.data.safe_pickle import read_pickle
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import shown


def read_dict(path: Path) -> Mapping[Any, Any]:
    """A pickle of a dict.

    Raises:
        UserError: it holds something else, or see `read_pickle`.
    """
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dict. Delete it and get it again.")
    return content


def as_images(value: object, what: str, path: Path, side: int | None = None) -> np.ndarray:
    """RGB images as an array, uint8 `(n, S, S, 3)`.

    Args:
        value: what a pickle holds.
        what: name of it, in errors.
        side: S, if only one is right.

    Raises:
        UserError: it is anything else.
    """
    is_array = isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 4
    height, width, channels = value.shape[1:] if is_array else (0, 0, 0)  # type: ignore[attr-defined]
    if not height == width > 0 or channels != 3 or side not in (None, height):
        shape = f"(n, {side}, {side}, 3)" if side else "(n, S, S, 3)"
        raise UserError(f"{path}: {what} is no uint8 array of shape {shape}. Delete it and get it again.")
    return np.asarray(value)


def as_indices(value: object, stop: int, what: str, path: Path) -> np.ndarray:
    """Whole numbers from 0 up to `stop` as an array, int64 `(n,)`.

    Raises:
        UserError: it is anything else.
    """
    given = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(given, list) or not all(isinstance(i, int | np.integer) and 0 <= i < stop for i in given):
        raise UserError(f"{path}: {what} is no list of numbers from 0 to {stop - 1}. Delete it and get it again.")
    return np.array(given, np.int64)


# ---- a pickle a split, each a dict from class to images ----


def class_pickle(root: Path, split: Split, name: str) -> Path:
    """Where a split is kept."""
    return root / f"{split}_{name}.pkl"


def has_class_pickles(root: Path, name: str) -> bool:
    """Whether there is one of the three at least."""
    return any(class_pickle(root, split, name).is_file() for split in SPLITS)


def read_class_pickles(
    root: Path, name: str, image_size: int, side: int | None = None
) -> dict[Split, dict[str, Tensor]]:
    """`{train,val,test}_<name>.pkl`, each a dict from class name to uint8 `(n, S, S, 3)`, resized.

    Args:
        side: S, if only one is right.

    Returns:
        Split → class name → uint8 `(n, 3, image_size, image_size)`.

    Raises:
        UserError: a file that is missing, damaged or unsafe, or holds something else.
    """
    splits: dict[Split, dict[str, Tensor]] = {}
    for split in SPLITS:
        path = class_pickle(root, split, name)
        splits[split] = {
            str(key): resize_arrays(as_images(images, f"class {shown(key)}", path, side), image_size)
            for key, images in read_dict(path).items()
        }
    return splits
