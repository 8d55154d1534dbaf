"""From a set encoder's output to the context: as it is, or a Gaussian around it."""

import math
from typing import Literal, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from jax_reference.written_out.layers import Linear, silu

Noise = Literal["normal", "uniform"]


class ContextOutput(NamedTuple):
    """A context and what it costs.

    Attributes:
        context: vectors or tokens: `*L` in a shape is the axis of tokens, if there is one.
        kl: KL to the prior in bits, averaged over a context's dimensions or tokens; None for a deterministic context.
    """

    context: Float[Array, "b *L D_c"]
    kl: Float[Array, " b"] | None


class Context(nnx.Module):
    """Turns the encoder's output h into a context.

    Attributes:
        noise: what training draws for it: numbers of N(0, 1), or of [0, 1); None where it draws none.
    """

    noise: Noise | None = None

    def __init__(self, context_dim: int, *, rngs: nnx.Rngs) -> None:
        self.context_dim = context_dim

    def __call__(self, h: Float[Array, "b *L D_c"], noise: Float[Array, "b *L D_n"] | None = None) -> ContextOutput:
        raise NotImplementedError

    def noise_shape(self, context_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one context's noise, `(D_n,)` or `(L, D_n)`, given that of the context."""
        return context_shape


class DeterministicContext(Context):
    """c = h."""

    def __call__(self, h: Float[Array, "b *L D_c"], noise: Float[Array, "b *L D_n"] | None = None) -> ContextOutput:
        """h, unchanged; there is no noise to use."""
        return ContextOutput(h, None)


class VariationalContext(Context):
    """c = mu + exp(log var / 2) · xi, with (mu, log var) = Linear(SiLU(Linear(h))) and prior N(0, I)."""

    noise = "normal"

    def __init__(self, context_dim: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(context_dim, rngs=rngs)
        self.linear_1 = Linear(context_dim, context_dim, rngs=rngs)
        self.linear_2 = Linear(context_dim, 2 * context_dim, rngs=rngs)

    def __call__(self, h: Float[Array, "b *L D_c"], noise: Float[Array, "b *L D_c"] | None = None) -> ContextOutput:
        """The mean, and with noise xi a draw around it.

        KL(N(mu, var) ‖ N(0, 1)) = (mu² + var − log var − 1) / 2, averaged over all dimensions of a context, in bits
        (Kingma & Welling 2014, arXiv 1312.6114, appendix B).
        """
        mu, log_var = jnp.split(self.linear_2(silu(self.linear_1(h))), 2, axis=-1)
        context = mu if noise is None else mu + jnp.sqrt(jnp.exp(log_var)) * noise
        nats = (mu**2 + jnp.exp(log_var) - log_var - 1) / 2
        return ContextOutput(context, nats.mean(axis=tuple(range(1, nats.ndim))) / math.log(2.0))


def as_tokens(context: Float[Array, "b *L D_c"]) -> Float[Array, "b M D_c"]:
    """A vector is one token; tokens stay as they are."""
    return context[:, None] if context.ndim == 2 else context


def replace_by_null(
    context: Float[Array, "b *L D_c"], null: Float[Array, " D_c"], dropped: Bool[Array, " b"]
) -> Float[Array, "b *L D_c"]:
    """The learned null context where `dropped` is true (Ho & Salimans 2022, arXiv 2207.12598)."""
    return jnp.where(jnp.expand_dims(dropped, tuple(range(1, context.ndim))), null, context)
