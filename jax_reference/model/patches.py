"""Cutting images into patches and back."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def grid_size(image_size: int, patch_size: int, owner: str) -> int:
    """Patches along one side of an image.

    Raises:
        ValueError: the image does not divide into patches.
    """
    if patch_size < 1 or image_size % patch_size:
        raise ValueError(f"{owner}: {image_size} × {image_size} pixels do not divide into patches of {patch_size}.")
    return image_size // patch_size


def patchify(
    images: Float[Array, "b C H W"], patch_size: int
) -> Float[Array, "b H*W//{patch_size}**2 C*{patch_size}**2"]:
    """Patches row by row, a patch's vector ordered (p1, p2, c)."""
    b, c, h, w = images.shape
    p = patch_size
    rows = jnp.stack(jnp.split(images, h // p, axis=2), axis=1)  # (b, h/p, c, p1, w)
    cells = jnp.stack(jnp.split(rows, w // p, axis=4), axis=2)  # (b, h/p, w/p, c, p1, p2)
    return jnp.moveaxis(cells, 3, 5).reshape(b, -1, p * p * c)


def unpatchify(
    patches: Float[Array, "b L patch_dim"], patch_size: int, channels: int
) -> Float[Array, "b {channels} H H"]:
    """The inverse of `patchify` for square images."""
    b, length, _ = patches.shape
    p, side = patch_size, round(length**0.5)
    cells = patches.reshape(b, side, side, p, p, channels)  # (b, row, column, p1, p2, c)
    pixels = jnp.swapaxes(cells, 2, 3).reshape(b, side * p, side * p, channels)  # (b, h, w, c)
    return jnp.moveaxis(pixels, 3, 1)
