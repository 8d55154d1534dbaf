"""Images as sequences of pixels and back: torch's `flatten`, `transpose` and `unflatten`."""

import jax
import jax.numpy as jnp


def to_tokens(x: jax.Array) -> jax.Array:
    """Pixels as tokens, row by row: `(b, C, H, W)` → `(b, H·W, C)`."""
    b, c, h, w = x.shape
    return jnp.moveaxis(x, 1, 3).reshape(b, h * w, c)


def to_pixels(tokens: jax.Array, like: jax.Array) -> jax.Array:
    """The inverse of `to_tokens`: `(b, H·W, C)` → `(b, C, H, W)`, the size of `like`."""
    b, _, h, w = like.shape
    return jnp.moveaxis(tokens.reshape(b, h, w, -1), 3, 1)
