"""Image arithmetic on whole batches: value ranges, sizes and colours, flips, and the eight symmetries of the square."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_nsd.tables.sent import sent

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601), as Pillow has them."""
_FITTED_AT_ONCE = 1024  # as floats an image takes four times its memory


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 0…255 → float32 -1…1, same shape."""
    return images.float() / 127.5 - 1.0


def to_bytes(images: Tensor) -> Tensor:
    """Float -1…1 → uint8 0…255, clipped and rounded (not truncated), same shape."""
    return ((images.clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8)


def fit_images(images: Tensor, image_size: int, channels: int) -> Tensor:
    """Square images in another size and other channels.

    Resized by bicubic interpolation, which averages where it makes an image smaller. Grey becomes RGB by repeating it,
    RGB becomes grey by its luma.

    Args:
        images: uint8 `(M, C, H, W)`, grey or RGB.
        image_size: of the result.
        channels: of the result, 1 or 3.

    Returns:
        uint8 `(M, channels, image_size, image_size)`.
    """
    return torch.cat([_fit(part, image_size, channels) for part in images.split(_FITTED_AT_ONCE)])


def _fit(images: Tensor, image_size: int, channels: int) -> Tensor:
    values = images.float()
    if values.shape[1] > channels:
        values = (values * torch.tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)  # (m, 1, H, W)
    if values.shape[-1] != image_size:
        values = F.interpolate(values, (image_size, image_size), mode="bicubic", antialias=True)  # (m, C, size, size)
    return values.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1)


def flip_horizontally(images: Tensor, flipped: Tensor) -> Tensor:
    """Mirror the images `(B, N, C, H, W)` where `flipped` `(B, N)`, of the host, is true."""
    return torch.where(sent(flipped, images.device)[:, :, None, None, None], images.flip(-1), images)


def symmetry_table(size: int) -> Tensor:
    """Pixel indices of the eight turned and mirrored copies of a `size` × `size` image, int64 `(8, size²)`."""
    grid = torch.arange(size * size).reshape(size, size)
    turns = [torch.rot90(image, k) for image in (grid, grid.flip(-1)) for k in range(4)]
    return torch.stack(turns).flatten(1)  # (8, size²)


def symmetry(images: Tensor, which: int) -> Tensor:
    """Images `(…, H, W)`, all turned and mirrored as row `which` of `symmetry_table` says; 0 gives them as they are."""
    return torch.rot90(images.flip(-1) if which >= 4 else images, which % 4, (-2, -1)) if which else images


def flipped_symmetry(which: Tensor, flipped: Tensor) -> Tensor:
    """The row of `symmetry_table` that mirrors where `flipped` is true and then does as row `which` says."""
    return torch.where(flipped, (which + 4) % 8, which)


def apply_symmetries(images: Tensor, which: Tensor) -> Tensor:
    """Turn and mirror whole episodes, which makes new classes of them.

    Args:
        images: square images `(B, N, C, H, W)`.
        which: int64 `(B,)` in 0…7, of the host; a row of `symmetry_table`; 0 leaves an episode as it is.
    """
    index = sent(symmetry_table(images.shape[-1])[which], images.device)  # (B, H·W)
    flat = images.flatten(-2)  # (B, N, C, H·W)
    return flat.gather(-1, index[:, None, None, :].expand_as(flat)).reshape(images.shape)
