"""From a set encoder's output to the context: as it is, or a Gaussian around it."""

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Noise = Literal["normal", "uniform"]


class ContextOutput(NamedTuple):
    """A context and what it costs.

    Attributes:
        context: vectors or tokens: `*L` in a shape is the axis of tokens, if there is one.
        kl: KL to the prior in bits, averaged over a context's dimensions or tokens; None for a deterministic context.
    """

    context: Float[Tensor, "b *L D_c"]
    kl: Float[Tensor, " b"] | None


class Context(nn.Module):
    """Turns the encoder's output h into a context.

    Attributes:
        noise: what training draws for it: numbers of N(0, 1), or of [0, 1); None where it draws none.
    """

    noise: Noise | None = None

    def __init__(self, context_dim: int) -> None:
        super().__init__()
        self.context_dim = context_dim

    def forward(self, h: Float[Tensor, "b *L D_c"], noise: Float[Tensor, "b *L D_n"] | None = None) -> ContextOutput:
        raise NotImplementedError

    def noise_shape(self, context_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one context's noise, `(D_n,)` or `(L, D_n)`, given that of the context."""
        return context_shape


class DeterministicContext(Context):
    """c = h."""

    def forward(self, h: Float[Tensor, "b *L D_c"], noise: Float[Tensor, "b *L D_n"] | None = None) -> ContextOutput:
        """h, unchanged; there is no noise to use."""
        return ContextOutput(h, None)


class VariationalContext(Context):
    """c = mu + exp(log var / 2) · xi, with (mu, log var) = Linear(SiLU(Linear(h))) and prior N(0, I)."""

    noise = "normal"

    def __init__(self, context_dim: int) -> None:
        super().__init__(context_dim)
        self.linear_1 = nn.Linear(context_dim, context_dim)
        self.act = nn.SiLU()
        self.linear_2 = nn.Linear(context_dim, 2 * context_dim)

    def forward(self, h: Float[Tensor, "b *L D_c"], noise: Float[Tensor, "b *L D_c"] | None = None) -> ContextOutput:
        """The mean, and with noise xi a draw around it.

        The KL of N(mu, var) to N(0, I) is averaged over dimensions and given in bits
        (Kingma & Welling 2014, arXiv 1312.6114, appendix B).
        """
        mean, log_variance = self.linear_2(self.act(self.linear_1(h))).chunk(2, dim=-1)
        context = mean if noise is None else mean + (log_variance / 2).exp() * noise
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)
        return ContextOutput(context, kl.flatten(1).mean(dim=1) / math.log(2.0))


def as_tokens(context: Float[Tensor, "b *L D_c"]) -> Float[Tensor, "b M D_c"]:
    """A vector is one token; tokens stay as they are."""
    return context[:, None] if context.dim() == 2 else context


def replace_by_null(
    context: Float[Tensor, "b *L D_c"], null: Float[Tensor, " D_c"], dropped: Bool[Tensor, " b"]
) -> Float[Tensor, "b *L D_c"]:
    """The learned null context where `dropped` is true (Ho & Salimans 2022, arXiv 2207.12598)."""
    where = dropped.reshape(-1, *[1] * (context.dim() - 1))
    return torch.where(where, null.to(context.dtype), context)
