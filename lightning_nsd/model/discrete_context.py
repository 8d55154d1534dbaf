"""From a set encoder's output to entries of a codebook: one for every token."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_nsd.model.context import Context, ContextOutput
from lightning_nsd.settings.numbers import Entries, Temperature, bounded

EDGE = 1e-6
"""Uniform numbers are kept so far from 0 and 1, where Gumbel noise is infinite."""


def gumbel(uniform: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Gumbel noise −log(−log u) of uniform numbers in [0, 1] (Jang et al. 2017, arXiv 1611.01144, section 2.1)."""
    return -(-uniform.clamp(EDGE, 1 - EDGE).log()).log()


@bounded("model.context")
class DiscreteContext(Context):
    """c = a token's entry of a learned codebook, chosen by the logits Linear(h), with a uniform prior.

    The `variational_discrete` context of FSDM (arXiv 2205.15463). Vectors are single tokens.

    Args:
        context_dim: D_c, of the tokens and of the entries.
        codebook_size: K, entries.
        temperature: of the relaxed choice in training; near 0 it is a choice of one entry.
    """

    noise = "uniform"

    def __init__(self, context_dim: int, codebook_size: Entries = 512, temperature: Temperature = 0.5) -> None:
        super().__init__(context_dim)
        self.codebook_size = codebook_size
        self.temperature = temperature
        self.linear = nn.Linear(context_dim, codebook_size)
        self.codebook = nn.Parameter(torch.randn(codebook_size, context_dim))

    def noise_shape(self, context_shape: tuple[int, ...]) -> tuple[int, ...]:
        """A number for every token and entry: `(K,)` or `(L, K)`."""
        return (*context_shape[:-1], self.codebook_size)

    def forward(self, h: Float[Tensor, "b *L D_c"], noise: Float[Tensor, "b *L D_n"] | None = None) -> ContextOutput:
        """The likeliest entry, and with uniform noise in [0, 1] the entries weighted by a Gumbel-softmax.

        Weights are softmax((logits + g) / temperature) with Gumbel noise g (Jang et al. 2017, equation 2). The KL of
        q = softmax(logits) to the uniform distribution is log K + Σ q log q, from 0 to log K; it is averaged over
        tokens and given in bits.
        """
        logits = self.linear(h)  # (b, *L, K)
        if noise is None:
            context = self.codebook[logits.argmax(dim=-1)]  # (b, *L, D_c)
        else:
            context = ((logits + gumbel(noise)) / self.temperature).softmax(dim=-1) @ self.codebook
        log_q = logits.log_softmax(dim=-1)
        kl = math.log(self.codebook_size) + (log_q.exp() * log_q).sum(dim=-1, keepdim=True)  # (b, *L, 1)
        return ContextOutput(context, kl.flatten(1).mean(dim=1) / math.log(2.0))
