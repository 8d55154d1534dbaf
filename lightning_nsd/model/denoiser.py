"""What every denoiser offers: x_t, t and a context in, the network's output out."""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

Conditioning = Literal["film", "cross_attention", "none"]


class Denoiser(nn.Module):
    """Maps x_t, t and a context to the network's output.

    Attributes:
        conditioning: how the context enters: `film` (a vector), `cross_attention` (tokens), or `none`.
    """

    def __init__(self, conditioning: Conditioning) -> None:
        super().__init__()
        self.conditioning = conditioning

    def forward(
        self, x_t: Float[Tensor, "b C H W"], t: Int[Tensor, " b"], context: Float[Tensor, "b *L D_c"] | None = None
    ) -> Float[Tensor, "b C_out H W"]:
        raise NotImplementedError
