"""From a set encoder's output to entries of a codebook: one for every token."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jax_reference.model.context import Context, ContextOutput
from jax_reference.written_out.layers import Linear, standard_normal

EDGE = 1e-6
"""Uniform numbers are kept so far from 0 and 1, where Gumbel noise is infinite."""


def gumbel(uniform: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Gumbel noise −log(−log u) of uniform numbers in [0, 1] (Jang et al. 2017, arXiv 1611.01144, section 2.1)."""
    u = jnp.clip(uniform, EDGE, 1 - EDGE)
    return -jnp.log(-jnp.log(u))


class DiscreteContext(Context):
    """c = a token's entry of a learned codebook, chosen by the logits Linear(h), with a uniform prior.

    The `variational_discrete` context of FSDM (arXiv 2205.15463). Vectors are single tokens.

    Args:
        context_dim: D_c, of the tokens and of the entries.
        codebook_size: K, entries.
        temperature: of the relaxed choice in training; near 0 it is a choice of one entry.
    """

    noise = "uniform"

    def __init__(self, context_dim: int, codebook_size: int = 512, temperature: float = 0.5, *, rngs: nnx.Rngs) -> None:
        super().__init__(context_dim, rngs=rngs)
        self.codebook_size = codebook_size
        self.temperature = temperature
        self.linear = Linear(context_dim, codebook_size, rngs=rngs)
        self.codebook = nnx.Param(standard_normal(rngs.params(), (codebook_size, context_dim)))

    def noise_shape(self, context_shape: tuple[int, ...]) -> tuple[int, ...]:
        """A number for every token and entry: `(K,)` or `(L, K)`."""
        return (*context_shape[:-1], self.codebook_size)

    def __call__(self, h: Float[Array, "b *L D_c"], noise: Float[Array, "b *L D_n"] | None = None) -> ContextOutput:
        """The likeliest entry, and with uniform noise in [0, 1] the entries weighted by a Gumbel-softmax.

        y_i = exp((log π_i + g_i) / τ) / Σ_j exp((log π_j + g_j) / τ) (Jang et al. 2017, equation 2), with log π the
        logits up to a constant, which cancels. KL(π ‖ uniform) = Σ_i π_i log(K π_i), averaged over tokens, in bits.
        """
        logits = self.linear(h)  # (b, *L, K)
        probabilities = jax.nn.softmax(logits)
        log_probabilities = logits - jax.nn.logsumexp(logits, axis=-1, keepdims=True)
        if noise is None:
            weights = jax.nn.one_hot(jnp.argmax(logits, axis=-1), self.codebook_size, dtype=logits.dtype)
        else:
            weights = jax.nn.softmax((log_probabilities + gumbel(noise)) / self.temperature)
        context = jnp.einsum("...k,kd->...d", weights, self.codebook[...])  # (b, *L, D_c)
        nats = jnp.sum(probabilities * (log_probabilities + math.log(self.codebook_size)), axis=-1)  # (b, *L)
        return ContextOutput(context, nats.mean(axis=tuple(range(1, nats.ndim))) / math.log(2.0))
