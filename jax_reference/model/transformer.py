"""The pre-norm transformer that both ViT encoders share."""

from collections.abc import Callable

from flax import nnx
from jaxtyping import Array, Float

from jax_reference.written_out import layers
from jax_reference.written_out.layers import LayerNorm, Linear, gelu

LAYER_NORM_EPS = 1e-6


class FeedForward(nnx.Module):
    """Linear → GELU (tanh form) → dropout → Linear, to D_out; `hidden_size` where None."""

    def __init__(
        self, hidden_size: int, mlp_dim: int, dropout: float = 0.0, out_dim: int | None = None, *, rngs: nnx.Rngs
    ) -> None:
        self.linear_1 = Linear(hidden_size, mlp_dim, rngs=rngs)
        self.dropout = layers.dropout(dropout, rngs)
        self.linear_2 = Linear(mlp_dim, out_dim or hidden_size, rngs=rngs)

    def __call__(self, x: Float[Array, "*shape D"]) -> Float[Array, "*shape D_out"]:
        return self.linear_2(self.dropout(gelu(self.linear_1(x))))


class TransformerBlock(nnx.Module):
    """`x + Attn(LN x)`, then `x + FF(LN x)`."""

    def __init__(
        self, hidden_size: int, attention: nnx.Module, mlp_dim: int, dropout: float, *, rngs: nnx.Rngs
    ) -> None:
        self.norm_1 = LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.attention = attention
        self.norm_2 = LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.mlp = FeedForward(hidden_size, mlp_dim, dropout, rngs=rngs)

    def __call__(self, x: Float[Array, "b L D"]) -> Float[Array, "b L D"]:
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


def transformer(
    depth: int, hidden_size: int, attention: Callable[[], nnx.Module], mlp_dim: int, dropout: float, *, rngs: nnx.Rngs
) -> nnx.List:
    """`depth` blocks, each with an attention of its own; no LayerNorm after the last."""
    return nnx.List([TransformerBlock(hidden_size, attention(), mlp_dim, dropout, rngs=rngs) for _ in range(depth)])
