"""What every denoiser offers: x_t, t and a context in, the network's output out."""

from typing import Literal

from flax import nnx
from jaxtyping import Array, Float, Int

Conditioning = Literal["film", "cross_attention", "none"]


class Denoiser(nnx.Module):
    """Maps x_t, t and a context to the network's output.

    Attributes:
        conditioning: how the context enters: `film` (a vector), `cross_attention` (tokens), or `none`.
    """

    def __init__(self, conditioning: Conditioning) -> None:
        self.conditioning = conditioning

    def __call__(
        self, x_t: Float[Array, "b C H W"], t: Int[Array, " b"], context: Float[Array, "b *L D_c"] | None = None
    ) -> Float[Array, "b C_out H W"]:
        raise NotImplementedError
