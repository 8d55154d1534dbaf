"""A folder of arrays that can be made anew, one file for each key, of bounded size."""

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_nsd.files.array_file import read_arrays, write_arrays

MAX_BYTES = 2 * 2**30


def key_of_images(form: int, made_by: str, images: Tensor) -> str:
    """The key of what is made of images: a hash of their bytes and shape and of what makes it.

    Args:
        form: of the files; raised when what is made changes.
        made_by: a hash, or another name, of all that it depends on beside the images.
        images: bytes, on any device.
    """
    digest = hashlib.blake2b(digest_size=20)
    digest.update(f"{form}\0{made_by}\0{tuple(images.shape)}\0".encode())
    digest.update(images.contiguous().cpu().numpy().data)
    return digest.hexdigest()


class ArrayCache:
    """A folder with one float32 array for every key.

    A file that is damaged is made anew, and a folder that cannot be written costs a warning and nothing else. The
    folder holds at most `max_bytes`: for a new file those that were used least recently are removed.

    Args:
        folder: where the files are.
        name: of what they hold, for the warning, and of the array in a file.
        max_bytes: of all files together; the newest is kept in any case.
    """

    def __init__(self, folder: Path, name: str, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self.name = name
        self.max_bytes = max_bytes
        self._warned = False

    def array(self, key: str, shape: tuple[int | None, ...], make: Callable[[], Tensor]) -> Tensor:
        """The array of a key, from the disk where it is there.

        Args:
            key: part of the file's name; a hash of all that the array depends on.
            shape: None where any length will do.
            make: gives the array where there is none; float, of `shape`.
        """
        path = self.folder / f"{key}.npz"
        found = self._load(path, shape)
        if found is None:
            found = make()
            try:
                write_arrays(path, **{self.name: found.float().numpy()})
                _prune(self.folder, self.max_bytes, path)
            except OSError as error:
                self._warn(str(error))
        return found

    def _load(self, path: Path, shape: tuple[int | None, ...]) -> Tensor | None:
        """None where there is no file, or one that is truncated, damaged (its checksum differs) or of another size."""

        def take(stored: Mapping[str, np.ndarray]) -> Tensor:
            array = stored[self.name]
            fits = len(array.shape) == len(shape) and all(
                b in (None, a) for a, b in zip(array.shape, shape, strict=True)
            )
            if not fits or array.dtype != np.float32:
                raise ValueError(f"it holds {array.dtype} {array.shape}")
            with suppress(OSError):  # another user's, perhaps
                os.utime(path)  # used just now
            return torch.from_numpy(array)

        return read_arrays(path, take)

    def _warn(self, message: str) -> None:
        if not self._warned:
            rank_zero_warn(f"The {self.name} could not be kept in {self.folder} ({message}). They are computed again.")
        self._warned = True


def _prune(folder: Path, max_bytes: int, newest: Path) -> None:
    """Remove the files that were used least recently until the rest is no larger than `max_bytes`.

    Files of writers that were killed (`.tmp`) count too; other processes may remove files at the same time.
    """
    found = []
    for path in [*folder.glob("*.npz"), *folder.glob("*.tmp")]:
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total > max_bytes and path != newest:
            path.unlink(missing_ok=True)
            total -= size
