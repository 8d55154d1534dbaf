"""Latents of a data set's images, computed once and kept on disk under a hash of all that they depend on."""

import hashlib
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from tqdm import tqdm

from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.files.array_cache import ArrayCache
from lightning_nsd.files.user_cache import user_cache
from lightning_nsd.latents.autoencoder import Autoencoder

_FORMAT = 1
MAX_BYTES = 20 * 2**30
PIXELS_AT_ONCE = 2**21
"""Of the images of a batch: 32 images of 256 × 256."""


def latents_of(autoencoder: Autoencoder, device: Callable[[], torch.device], images: Tensor, name: str) -> Tensor:
    """Posteriors `(M, 2, C_z, h, w)` of bytes `(M, C, H, W)`, on the host; see `Autoencoder.encode`.

    Args:
        device: says where they are computed, when they are.
        name: of the images, for the progress bar.
    """
    size = images.shape[-1] // autoencoder.factor
    shape = (len(images), 2, autoencoder.latent_channels, size, size)
    digest = hashlib.blake2b(digest_size=20)
    digest.update(f"{_FORMAT}\0{autoencoder.hash}\0{tuple(images.shape)}\0".encode())
    digest.update(images.contiguous().numpy().tobytes())

    def compute() -> Tensor:
        batches = images.split(max(1, PIXELS_AT_ONCE // images[0, 0].numel()))
        encoded = [
            autoencoder.encode(to_unit_range(batch.to(device()))).cpu()
            for batch in tqdm(batches, desc=f"Latents of {name}", unit="batch")
        ]
        return torch.cat(encoded)

    cache = ArrayCache(user_cache() / "latents", "latents", MAX_BYTES)
    return cache.array(digest.hexdigest(), shape, compute)


def latents_on_host(autoencoder: Autoencoder) -> Callable[[Tensor, str], Tensor]:
    """`latents_of` as `EpisodeDataModule.use_latents` takes it, computed on the CPU."""
    return partial(latents_of, autoencoder, lambda: torch.device("cpu"))
