"""Features of real images, computed once and kept on disk under a hash of everything that they depend on."""

from pathlib import Path

import torch
from torch import Tensor

from lightning_nsd.extractors.extractor import Extractor
from lightning_nsd.files.array_cache import MAX_BYTES, ArrayCache, key_of_images
from lightning_nsd.files.user_cache import user_cache

_FORMAT = 1


class FeatureCache:
    """One file per set of images and extractor; see `ArrayCache`.

    Args:
        folder: where the files are; `features` in the user's cache folder where None.
        max_bytes: of all files together.
    """

    def __init__(self, folder: str | Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder).expanduser() if folder else user_cache() / "features"
        self._arrays = ArrayCache(self.folder, "features", max_bytes)

    def features(self, extractor: Extractor, images: Tensor, device: torch.device | str, batch_size: int) -> Tensor:
        """Features `(n, d)` of bytes `(n, C, H, W)`, from the disk where they are there; see `Extractor.features`."""
        return self._arrays.array(
            cache_key(extractor, images),
            (len(images), None),
            lambda: extractor.features(images, device, batch_size),
        )


def cache_key(extractor: Extractor, images: Tensor) -> str:
    """A hash of the images' bytes and shape, and of the extractor with its weights and resizing."""
    return key_of_images(_FORMAT, extractor.fingerprint, images)
