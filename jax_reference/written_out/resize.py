"""Bilinear resizing, the two ways that FID is computed with.

Both are linear and treat rows and columns alike, so each is a matrix of weights applied from either side.
"""

import jax
import jax.numpy as jnp


def resize(images: jax.Array, size: int) -> jax.Array:
    """Float `(n, C, H, W)` to `size` × `size`, averaging where it makes an image smaller.

    Pixel i covers (i, i+1): its centre lies at (i + 1/2) · in/size, and every pixel nearer to it than max(in/size, 1)
    counts by a triangle over that distance. Weights of one pixel sum to one, at the borders too.
    """
    return _apply(images, *(_triangles(length, size, images.dtype) for length in images.shape[-2:]))


def resize_like_tensorflow1(images: jax.Array, size: int) -> jax.Array:
    """Float `(n, C, H, W)` to `size` × `size`, as `tf.image.resize_bilinear` of TensorFlow 1 does it.

    Pixel i lies at i · in/size, without the half pixel, between its two neighbours; nothing is averaged. That shifts
    images, but the published weights' first FID was computed so.
    """
    return _apply(images, *(_two_neighbours(length, size, images.dtype) for length in images.shape[-2:]))


def _apply(images: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Weights `(size, H)` and `(size, W)` applied to `(n, C, H, W)`: `(n, C, size, size)`."""
    return jnp.einsum("yh,nchw,xw->ncyx", rows, images, columns)


def _triangles(length: int, size: int, dtype: jnp.dtype) -> jax.Array:
    """Weights `(size, length)` of averaging."""
    scale = length / size
    centres = (jnp.arange(size, dtype=dtype) + 0.5) * scale
    away = (jnp.arange(length, dtype=dtype) + 0.5) - centres[:, None]  # (size, length)
    weights = jnp.clip(1 - jnp.abs(away) / max(scale, 1.0), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _two_neighbours(length: int, size: int, dtype: jnp.dtype) -> jax.Array:
    """Weights `(size, length)` of TensorFlow 1."""
    scale = jnp.float32(length / size).astype(dtype)  # TensorFlow holds it in float32 whatever the images are in
    at = jnp.arange(size, dtype=dtype) * scale
    low = jnp.floor(at).astype(int)
    high = jnp.minimum(low + 1, length - 1)
    part = (at - low)[:, None]
    return (1 - part) * jax.nn.one_hot(low, length, dtype=dtype) + part * jax.nn.one_hot(high, length, dtype=dtype)
