"""Cutting images into patches and back, by reshapes alone (im2col falls back to the host on XLA)."""

from jaxtyping import Float
from torch import Tensor

from lightning_nsd.errors import UserError


def grid_size(image_size: int, patch_size: int, owner: str) -> int:
    """Patches along one side of an image.

    Raises:
        UserError: the image does not divide into patches.
    """
    if patch_size < 1 or image_size % patch_size:
        raise UserError(
            f"{owner}: an image of {image_size} × {image_size} pixels does not divide into patches of "
            f"patch_size {patch_size}. Choose a divisor of {image_size}."
        )
    return image_size // patch_size


def patchify(
    images: Float[Tensor, "b C H W"], patch_size: int
) -> Float[Tensor, "b H*W//{patch_size}**2 C*{patch_size}**2"]:
    """Patches row by row, a patch's vector ordered (p1, p2, c)."""
    b, c, h, w = images.shape
    p = patch_size
    grid = images.reshape(b, c, h // p, p, w // p, p)
    return grid.permute(0, 2, 4, 3, 5, 1).reshape(b, (h // p) * (w // p), p * p * c)


def unpatchify(
    patches: Float[Tensor, "b L patch_dim"], patch_size: int, channels: int
) -> Float[Tensor, "b {channels} H H"]:
    """The inverse of `patchify` for square images."""
    b, length, _ = patches.shape
    p, side = patch_size, round(length**0.5)
    grid = patches.reshape(b, side, side, p, p, channels)
    return grid.permute(0, 5, 1, 3, 2, 4).reshape(b, channels, side * p, side * p)
