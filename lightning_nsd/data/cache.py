"""Decoded images kept next to their source, so that only the first start decodes.

One file for every source, size and number of channels. It holds the fingerprint of what it was made from and is
rewritten when that changes, so that old ones do not pile up. Nothing about a cache ever ends a run.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_nsd.files.array_file import read_arrays, write_arrays
from lightning_nsd.files.user_cache import user_cache
from lightning_nsd.files.whole_file import unfinished

_FORMAT = 2  # raise it when decoding changes its pixels
_ABANDONED = 3600  # seconds without a write


def cached_images(
    source: Path, fingerprint: str, variant: str, shape: tuple[int, ...], decode: Callable[[], Tensor]
) -> Tensor:
    """What `decode` returns, from the cache if it was made of the same content.

    The cache lies in the source folder (beside a source file), or in the user's cache folder if that cannot be
    written.

    Args:
        source: folder or file that the images come from.
        fingerprint: hash of the content of `source`.
        variant: how it is decoded, such as `28x28x1`; part of the file's name.
        shape: of the images; a cache of another is damaged.
        decode: gives the images, uint8 of `shape`.
    """
    key = f"{_FORMAT} {variant} {fingerprint}"
    files = _cache_files(source, variant)
    for file in files:
        if (images := _load(file, key, shape)) is not None:
            return images
    images = decode()
    failures = []
    for file in files:
        try:
            _remove_abandoned(file)
            write_arrays(file, key=np.array(key), images=images.numpy())
            return images
        except OSError as error:
            failures.append(str(error))
    rank_zero_warn(f"The images of {source} could not be cached, the next start decodes again: {'; '.join(failures)}")
    return images


def _cache_files(source: Path, variant: str) -> tuple[Path, Path]:
    """Next to the source, and in the user's cache folder."""
    folder, name = (source, "") if source.is_dir() else (source.parent, f"{source.name}_")
    place = hashlib.blake2b(os.fsencode(source.resolve()), digest_size=8).hexdigest()
    return folder / f".lightning_nsd_cache_{name}{variant}.npz", user_cache() / f"{place}_{variant}.npz"


def _remove_abandoned(file: Path) -> None:
    """What writers of this file left that were killed. One that is at work may be on another machine."""
    for path in unfinished(file.parent, file.name):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()


def _load(file: Path, key: str, shape: tuple[int, ...]) -> Tensor | None:
    """The images of a cache file; None where there is none or its content is another's."""

    def take(stored: Mapping[str, np.ndarray]) -> Tensor | None:
        if str(stored["key"]) != key:
            return None
        images = stored["images"]
        if images.dtype != np.uint8 or images.shape != shape:
            raise ValueError(f"it holds {images.dtype} {images.shape} where uint8 {shape} belongs")
        return torch.from_numpy(images)

    return read_arrays(file, take)
