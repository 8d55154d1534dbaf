"""What frozen networks make of a data set's images, computed once and kept under a hash of all that it depends on."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from tqdm import tqdm

from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.files.array_cache import ArrayCache, key_of_images
from lightning_nsd.files.user_cache import user_cache
from lightning_nsd.frozen_encoder import FrozenEncoder

_FORMAT = 1
MAX_BYTES = 20 * 2**30
PIXELS_AT_ONCE = 2**21
"""Of what is computed on in a batch: 32 images of 256 × 256."""


def encodings_of(encoder: FrozenEncoder, device: Callable[[], torch.device], images: Tensor, name: str) -> Tensor:
    """Encodings `(M, *shape)` of bytes `(M, C, H, W)`, on the host; see `FrozenEncoder.encode`.

    Args:
        encoder: makes them.
        device: says where they are computed, when they are.
        images: of a data set.
        name: of the images, for the progress bar.
    """

    def compute() -> Tensor:
        batches = images.split(max(1, PIXELS_AT_ONCE // encoder.input_size(images.shape[-1]) ** 2))
        encoded = [
            encoder.encode(to_unit_range(batch.to(device()))).cpu()
            for batch in tqdm(batches, desc=f"{encoder.kind.capitalize()} of {name}", unit="batch")
        ]
        return torch.cat(encoded)

    cache = ArrayCache(user_cache() / encoder.kind, encoder.kind, MAX_BYTES)
    shape = (len(images), *encoder.encoding_shape(images.shape[-1]))
    return cache.array(key_of_images(_FORMAT, encoder.hash, images), shape, compute)


def encodings_on_host(encoder: FrozenEncoder) -> Callable[[Tensor, str], Tensor]:
    """`encodings_of` as `EpisodeDataModule.use_encodings` takes it, computed on the CPU."""
    return partial(encodings_of, encoder, lambda: torch.device("cpu"))
