"""What turns images into features, and how it is called on any number of images of any kind."""

import hashlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nsd.errors import UserError

BATCH_SIZE = 64


class Extractor(nn.Module):
    """A frozen network from images to features, with a name.

    `forward` takes uint8 `(n, 3, H, W)` in 0…255, grey images as three equal channels, as torchmetrics' own feature
    networks do, and gives float `(n, d)`.

    Args:
        network: what computes the features.
        name: part of the distance's name; only "inception" gives `fid`.
        fingerprint: changes whenever the features of the same images do; part of the cache's key.
    """

    def __init__(self, network: nn.Module, name: str, fingerprint: str) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()
        self.name = name
        self.fingerprint = fingerprint
        self.dim: int | None = None  # known once features were computed

    def train(self, mode: bool = True) -> "Extractor":
        """Stays in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Bytes `(n, 3, H, W)` → `(n, d)`."""
        return self.network(images)

    @torch.no_grad()
    def features(self, images: Tensor, device: torch.device | str = "cpu", batch_size: int = BATCH_SIZE) -> Tensor:
        """Features of any number of images, in batches of one size, so that a compiled device compiles once.

        Args:
            images: uint8 `(n, C, H, W)`, 0…255, C 1 or 3.
            device: where to compute.
            batch_size: images at once; the last batch is filled up and cut off again.

        Returns:
            float32 `(n, d)` on the CPU.

        Raises:
            ValueError: images of another kind, or features of another shape.
        """
        check_bytes(images)
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        self.to(device)
        parts = []
        for part in images.split(batch_size):
            filling = part[-1:].expand(batch_size - len(part), *part.shape[1:])
            found = self(torch.cat([part, filling]).to(device))  # (batch_size, d)
            if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != batch_size:
                raise ValueError(
                    f"the extractor {self.name} is to give features ({batch_size}, d); got "
                    f"{tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__}"
                )
            self.dim = found.shape[1]
            parts.append(found.float().cpu()[: len(part)])  # cut off on the CPU, where shapes may differ
        return torch.cat(parts)


def check_bytes(images: Tensor) -> None:
    """Whether images are bytes, the only form in which a range cannot be mistaken.

    Raises:
        ValueError: floats (in whatever range), or another shape.
    """
    if images.dtype != torch.uint8:
        raise ValueError(
            f"images are to be uint8, 0…255, as lightning_nsd.data.transforms.to_bytes makes them of [-1, 1]; got "
            f"{images.dtype} in {float(images.min()):g}…{float(images.max()):g}"
        )
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(f"images are to be (n, C, H, W) with n at least 1 and C 1 or 3; got {tuple(images.shape)}")


def resize(images: Tensor, size: int) -> Tensor:
    """Float `(n, C, H, W)` to `size` × `size`, bilinear, averaging where it makes an image smaller."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_weights(path: Path, sha256: str, remedy: str) -> None:
    """Whether a file of weights is there and is the right one.

    Args:
        sha256: how the hash in hexadecimal starts.
        remedy: where to get the file.

    Raises:
        UserError: the file is missing or another; says where to get it.
    """
    if not path.is_file():
        raise UserError(f"There are no weights at {path.absolute()}. {remedy}")
    found = file_hash(path)
    if not found.startswith(sha256):
        raise UserError(
            f"{path} is not the file that is expected: its SHA-256 starts with {found[: len(sha256)]}, not {sha256}. "
            f"It is damaged, or of another version. {remedy}"
        )


def content_fingerprint(network: nn.Module, arguments: Mapping[str, Any]) -> str:
    """A hash of a network's class, the file that defines it, its arguments and all its weights."""
    digest = hashlib.sha256()
    try:
        code = inspect.getsource(sys.modules[type(network).__module__])
    except (OSError, TypeError):
        code = ""
    digest.update(f"{type(network).__module__}.{type(network).__qualname__}\0{code}\0{dict(arguments)!r}".encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
