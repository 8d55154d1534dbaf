"""Image arithmetic on whole batches: value ranges, flips, and the eight symmetries of the square."""

import torch
from torch import Tensor


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 0…255 → float32 -1…1, same shape."""
    return images.float() / 127.5 - 1.0


def to_bytes(images: Tensor) -> Tensor:
    """Float -1…1 → uint8 0…255, clipped and rounded (not truncated), same shape."""
    return ((images.clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8)


def flip_horizontally(images: Tensor, flipped: Tensor) -> Tensor:
    """Mirror the images `(B, N, C, H, W)` where `flipped` `(B, N)` is true."""
    return torch.where(flipped[:, :, None, None, None], images.flip(-1), images)


def symmetry_table(size: int) -> Tensor:
    """Pixel indices of the eight turned and mirrored copies of a `size` × `size` image, int64 `(8, size²)`."""
    grid = torch.arange(size * size).reshape(size, size)
    turns = [torch.rot90(image, k) for image in (grid, grid.flip(-1)) for k in range(4)]
    return torch.stack(turns).flatten(1)  # (8, size²)


def flipped_symmetry(which: Tensor, flipped: Tensor) -> Tensor:
    """The row of `symmetry_table` that mirrors where `flipped` is true and then does as row `which` says."""
    return torch.where(flipped, (which + 4) % 8, which)


def apply_symmetries(images: Tensor, which: Tensor) -> Tensor:
    """Turn and mirror whole episodes, which makes new classes of them.

    Args:
        images: square images `(B, N, C, H, W)`.
        which: int64 `(B,)` in 0…7, a row of `symmetry_table`; 0 leaves an episode as it is.
    """
    index = symmetry_table(images.shape[-1])[which]  # (B, H·W)
    flat = images.flatten(-2)  # (B, N, C, H·W)
    return flat.gather(-1, index[:, None, None, :].expand_as(flat)).reshape(images.shape)
