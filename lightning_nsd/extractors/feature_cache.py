"""Features of real images, computed once and kept on disk under a hash of everything that they depend on."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_nsd.extractors.extractor import Extractor
from lightning_nsd.files.array_file import read_arrays, write_arrays
from lightning_nsd.files.user_cache import user_cache

MAX_BYTES = 2 * 2**30
_FORMAT = 1


class FeatureCache:
    """A folder with one file per set of images and extractor.

    A file that is damaged is made anew, and a folder that cannot be written costs a warning and nothing else. The
    folder holds at most `max_bytes`: for a new file those that were used least recently are removed.

    Args:
        folder: where the files are; `features` in the user's cache folder where None.
        max_bytes: of all files together; the newest is kept in any case.
    """

    def __init__(self, folder: str | Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder).expanduser() if folder else user_cache() / "features"
        self.max_bytes = max_bytes
        self._warned = False

    def features(self, extractor: Extractor, images: Tensor, device: torch.device | str, batch_size: int) -> Tensor:
        """Features `(n, d)` of bytes `(n, C, H, W)`, from the disk where they are there; see `Extractor.features`."""
        path = self.folder / f"{cache_key(extractor, images)}.npz"
        found = _load(path, len(images))
        if found is None:
            found = extractor.features(images, device, batch_size)
            try:
                write_arrays(path, features=found.float().numpy())
                _prune(self.folder, self.max_bytes, path)
            except OSError as error:
                self._warn(f"Features of real images could not be kept in {self.folder} ({error}).")
        return found

    def _warn(self, message: str) -> None:
        if not self._warned:
            rank_zero_warn(f"{message} They are computed again at every evaluation.")
        self._warned = True


def cache_key(extractor: Extractor, images: Tensor) -> str:
    """A hash of the images' bytes and shape, and of the extractor with its weights and resizing."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update(f"{_FORMAT}\0{extractor.fingerprint}\0{tuple(images.shape)}\0".encode())
    digest.update(images.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def _load(path: Path, n: int) -> Tensor | None:
    """None where there is no file, or one that is truncated, damaged (its checksum differs) or of another size."""

    def take(stored: Mapping[str, np.ndarray]) -> Tensor:
        features = stored["features"]
        if features.ndim != 2 or len(features) != n or features.dtype != np.float32:
            raise ValueError(f"it holds {features.dtype} {features.shape}")
        with suppress(OSError):  # another user's, perhaps
            os.utime(path)  # used just now
        return torch.from_numpy(features)

    return read_arrays(path, take)


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
