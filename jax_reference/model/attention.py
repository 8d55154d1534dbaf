"""Attention over tokens: standard, locality (small data sets), and across to a context."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jax_reference.written_out.attention import scaled_dot_product_attention
from jax_reference.written_out.layers import Linear


def split_heads(x: Float[Array, "b L D"], num_heads: int) -> Float[Array, "b {num_heads} L D//{num_heads}"]:
    """Neighbouring features as heads."""
    b, length, width = x.shape
    return jnp.swapaxes(x.reshape(b, length, num_heads, width // num_heads), 1, 2)


def merge_heads(x: Float[Array, "b heads L dim"]) -> Float[Array, "b L heads*dim"]:
    """The inverse of `split_heads`."""
    b, heads, length, dim = x.shape
    return jnp.swapaxes(x, 1, 2).reshape(b, length, heads * dim)


class SelfAttention(nnx.Module):
    """softmax(q kᵀ / √dim) v over the tokens of a sequence (Vaswani et al. 2017, equation 1).

    One Linear gives q, k and v one behind the other, each with its heads one behind the other.
    """

    def __init__(self, hidden_size: int, num_heads: int, head_dim: int, qkv_bias: bool, *, rngs: nnx.Rngs) -> None:
        self.num_heads = num_heads
        self.to_qkv = Linear(hidden_size, 3 * num_heads * head_dim, bias=qkv_bias, rngs=rngs)
        self.to_out = Linear(num_heads * head_dim, hidden_size, rngs=rngs)

    def __call__(self, x: Float[Array, "b L D"]) -> Float[Array, "b L D"]:
        q, k, v = (split_heads(part, self.num_heads) for part in jnp.split(self.to_qkv(x), 3, axis=-1))
        return self.to_out(merge_heads(scaled_dot_product_attention(q, k, v)))


class LocalitySelfAttention(nnx.Module):
    """Self-attention with a learned temperature and no token looking at itself (Lee et al. 2021, arXiv 2112.13492).

    Logits are q kᵀ · exp(tau); tau starts at log(head_dim^-1/2).
    """

    def __init__(self, hidden_size: int, num_heads: int, head_dim: int, *, rngs: nnx.Rngs) -> None:
        self.num_heads = num_heads
        self.to_qkv = Linear(hidden_size, 3 * num_heads * head_dim, bias=False, rngs=rngs)
        self.temperature = nnx.Param(jnp.log(jnp.asarray(head_dim**-0.5, jnp.float32)))
        self.to_out = Linear(num_heads * head_dim, hidden_size, rngs=rngs)

    def __call__(self, x: Float[Array, "b L D"]) -> Float[Array, "b L D"]:
        q, k, v = (split_heads(part, self.num_heads) for part in jnp.split(self.to_qkv(x), 3, axis=-1))
        others = ~jnp.eye(x.shape[1], dtype=bool)  # false on the diagonal
        scale = jnp.exp(self.temperature[...])
        return self.to_out(merge_heads(scaled_dot_product_attention(q, k, v, attn_mask=others, scale=scale)))


class CrossAttention(nnx.Module):
    """softmax(q kᵀ / √dim) v with queries from `x` and keys and values from the context's tokens."""

    def __init__(
        self, hidden_size: int, context_dim: int, num_heads: int, head_dim: int, qkv_bias: bool, *, rngs: nnx.Rngs
    ) -> None:
        self.num_heads = num_heads
        self.to_q = Linear(hidden_size, num_heads * head_dim, bias=qkv_bias, rngs=rngs)
        self.to_kv = Linear(context_dim, 2 * num_heads * head_dim, bias=qkv_bias, rngs=rngs)
        self.to_out = Linear(num_heads * head_dim, hidden_size, rngs=rngs)

    def __call__(self, x: Float[Array, "b L D"], context: Float[Array, "b M D_c"]) -> Float[Array, "b L D"]:
        q = split_heads(self.to_q(x), self.num_heads)
        k, v = (split_heads(part, self.num_heads) for part in jnp.split(self.to_kv(context), 2, axis=-1))
        return self.to_out(merge_heads(scaled_dot_product_attention(q, k, v)))
