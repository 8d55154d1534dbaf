"""Attention over tokens: standard, locality (small data sets), and across to a context."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def split_heads(x: Float[Tensor, "b L D"], num_heads: int) -> Float[Tensor, "b {num_heads} L D//{num_heads}"]:
    """Neighbouring features as heads."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(x: Float[Tensor, "b heads L dim"]) -> Float[Tensor, "b L heads*dim"]:
    """The inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """softmax(q kᵀ / √dim) v over the tokens of a sequence (Vaswani et al. 2017, equation 1)."""

    def __init__(self, hidden_size: int, num_heads: int, head_dim: int, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_qkv = nn.Linear(hidden_size, 3 * num_heads * head_dim, bias=qkv_bias)
        self.to_out = nn.Linear(num_heads * head_dim, hidden_size)

    def forward(self, x: Float[Tensor, "b L D"]) -> Float[Tensor, "b L D"]:
        q, k, v = (split_heads(part, self.num_heads) for part in self.to_qkv(x).chunk(3, dim=-1))
        return self.to_out(merge_heads(F.scaled_dot_product_attention(q, k, v)))


class LocalitySelfAttention(nn.Module):
    """Self-attention with a learned temperature and no token looking at itself (Lee et al. 2021, arXiv 2112.13492).

    Logits are q kᵀ · exp(tau); tau starts at log(head_dim^-1/2).
    """

    def __init__(self, hidden_size: int, num_heads: int, head_dim: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_qkv = nn.Linear(hidden_size, 3 * num_heads * head_dim, bias=False)
        self.temperature = nn.Parameter(torch.tensor(math.log(head_dim**-0.5)))
        self.to_out = nn.Linear(num_heads * head_dim, hidden_size)

    def forward(self, x: Float[Tensor, "b L D"]) -> Float[Tensor, "b L D"]:
        q, k, v = (split_heads(part, self.num_heads) for part in self.to_qkv(x).chunk(3, dim=-1))
        length = x.shape[1]
        others = ~torch.eye(length, dtype=torch.bool, device=x.device)  # false on the diagonal
        # The temperature multiplies q, not the logits, so that the fused kernel can be used.
        attended = F.scaled_dot_product_attention(
            q * self.temperature.exp().to(q.dtype), k, v, attn_mask=others, scale=1.0
        )
        return self.to_out(merge_heads(attended))


class CrossAttention(nn.Module):
    """softmax(q kᵀ / √dim) v with queries from `x` and keys and values from the context's tokens."""

    def __init__(self, hidden_size: int, context_dim: int, num_heads: int, head_dim: int, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_q = nn.Linear(hidden_size, num_heads * head_dim, bias=qkv_bias)
        self.to_kv = nn.Linear(context_dim, 2 * num_heads * head_dim, bias=qkv_bias)
        self.to_out = nn.Linear(num_heads * head_dim, hidden_size)

    def forward(self, x: Float[Tensor, "b L D"], context: Float[Tensor, "b M D_c"]) -> Float[Tensor, "b L D"]:
        q = split_heads(self.to_q(x), self.num_heads)
        k, v = (split_heads(part, self.num_heads) for part in self.to_kv(context).chunk(2, dim=-1))
        return self.to_out(merge_heads(F.scaled_dot_product_attention(q, k, v)))
