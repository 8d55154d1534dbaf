"""Features of real images, computed once and kept on disk under a hash of everything that they depend on."""

import hashlib
import os
import uuid
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_nsd.metrics.extractors.extractor import Extractor

_FORMAT = 1


def default_folder() -> Path:
    """`lightning_nsd/features` in the user's cache folder. It may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "lightning_nsd" / "features"


class FeatureCache:
    """A folder with one file per set of images and extractor.

    A file that is damaged is made anew, and a folder that cannot be written costs a warning and nothing else.

    Args:
        folder: where the files are; `default_folder()` where None.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder).expanduser() if folder else default_folder()
        self._warned = False

    def features(self, extractor: Extractor, images: Tensor, device: torch.device | str, batch_size: int) -> Tensor:
        """Features `(n, d)` of bytes `(n, C, H, W)`, from the disk where they are there; see `Extractor.features`."""
        path = self.folder / f"{cache_key(extractor, images)}.npz"
        found = _load(path, len(images))
        if found is None:
            found = extractor.features(images, device, batch_size)
            try:
                _save(path, found)
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
    try:
        with np.load(path, allow_pickle=False) as stored:
            features = stored["features"]
        if features.ndim != 2 or len(features) != n or features.dtype != np.float32:
            raise ValueError(f"it holds {features.dtype} {features.shape}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        rank_zero_warn(f"{path} is damaged and is made anew ({type(error).__name__}: {error})")
        return None
    return torch.from_numpy(features)


def _save(path: Path, features: Tensor) -> None:
    """Write under another name and rename, so that no reader ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with unfinished.open("xb") as stream:
            np.savez(stream, features=features.float().numpy())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
