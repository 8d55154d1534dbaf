"""Attention as torch's fused operation computes it."""

import jax
import jax.numpy as jnp


def scaled_dot_product_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    attn_mask: jax.Array | None = None,
    scale: jax.Array | float | None = None,
) -> jax.Array:
    """softmax(q kᵀ · scale) v: `(b, heads, L, dim)`, `(b, heads, M, dim)` twice → `(b, heads, L, dim)`.

    Args:
        attn_mask: `(L, M)` bool, true where a query may look; everywhere where None.
        scale: 1 / √dim where None.
    """
    products = q @ jnp.swapaxes(k, -1, -2)  # (b, heads, L, M)
    logits = products / q.shape[-1] ** 0.5 if scale is None else products * scale
    if attn_mask is not None:
        logits = jnp.where(attn_mask, logits, -jnp.inf)
    return jax.nn.softmax(logits, axis=-1) @ v
