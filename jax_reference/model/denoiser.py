"""What every denoiser offers: x_t, t and a context in, the network's output out."""

from typing import Literal

import jax
from flax import nnx

Conditioning = Literal["film", "cross_attention", "none"]


class Denoiser(nnx.Module):
    """Maps `(b, C, H, W)`, `(b,)` and a context to `(b, C_out, H, W)`.

    Attributes:
        conditioning: how the context enters: `film` (a vector), `cross_attention` (tokens), or `none`.
    """

    def __init__(self, conditioning: Conditioning) -> None:
        self.conditioning = conditioning

    def __call__(self, x_t: jax.Array, t: jax.Array, context: jax.Array | None = None) -> jax.Array:
        """`(b, C, H, W)`, `(b,)`, `(b, D_c)` or `(b, M, D_c)` → `(b, C_out, H, W)`."""
        raise NotImplementedError
