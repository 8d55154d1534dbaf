"""The pre-norm transformer that both ViT encoders share."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6


class FeedForward(nn.Module):
    """Linear → GELU (tanh form) → dropout → Linear, to D_out; `hidden_size` where None."""

    def __init__(self, hidden_size: int, mlp_dim: int, dropout: float = 0.0, out_dim: int | None = None) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(hidden_size, mlp_dim)
        self.act = nn.GELU(approximate="tanh")
        self.dropout = nn.Dropout(dropout)
        self.linear_2 = nn.Linear(mlp_dim, out_dim or hidden_size)

    def forward(self, x: Float[Tensor, "*shape D"]) -> Float[Tensor, "*shape D_out"]:
        return self.linear_2(self.dropout(self.act(self.linear_1(x))))


class TransformerBlock(nn.Module):
    """`x + Attn(LN x)`, then `x + FF(LN x)`."""

    def __init__(self, hidden_size: int, attention: nn.Module, mlp_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.attention = attention
        self.norm_2 = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.mlp = FeedForward(hidden_size, mlp_dim, dropout)

    def forward(self, x: Float[Tensor, "b L D"]) -> Float[Tensor, "b L D"]:
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


def transformer(
    depth: int, hidden_size: int, attention: Callable[[], nn.Module], mlp_dim: int, dropout: float
) -> nn.Sequential:
    """`depth` blocks, each with an attention of its own; no LayerNorm after the last."""
    return nn.Sequential(*(TransformerBlock(hidden_size, attention(), mlp_dim, dropout) for _ in range(depth)))
