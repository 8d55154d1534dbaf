"""What every denoiser offers: x_t, t and a context in, the network's output out."""

from typing import Literal

from torch import Tensor, nn

Conditioning = Literal["film", "cross_attention", "none"]


class Denoiser(nn.Module):
    """Maps `(b, C, H, W)`, `(b,)` and a context to `(b, C_out, H, W)`.

    Attributes:
        conditioning: how the context enters: `film` (a vector), `cross_attention` (tokens), or `none`.
    """

    def __init__(self, conditioning: Conditioning) -> None:
        super().__init__()
        self.conditioning = conditioning

    def forward(self, x_t: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        """`(b, C, H, W)`, `(b,)`, `(b, D_c)` or `(b, M, D_c)` → `(b, C_out, H, W)`."""
        raise NotImplementedError
