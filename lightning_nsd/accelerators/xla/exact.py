"""Operations whose constants torch_xla rounds to float32, written out so that float64 is float64 there too.

torch_xla's own GELU, LayerNorm and GroupNorm are off by 2e-9 relative, and their gradients by up to 1e-8, which hides
real differences to eager. Written out they agree to 1e-15; XLA fuses the pieces again.
"""

import math
from functools import cache

import torch
from torch import Tensor


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """GELU (Hendrycks & Gimpel 2016, arXiv 1606.08415), exact or in the tanh form."""
    if approximate == "tanh":
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1.0 + torch.erf(x * math.sqrt(0.5)))


def layer_norm(
    x: Tensor,
    normalized_shape: list[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """Zero mean and unit variance over the last axes (Ba et al. 2016, arXiv 1607.06450)."""
    return _affine(_normalized(x, tuple(range(-len(normalized_shape), 0)), eps), weight, bias)


def group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Zero mean and unit variance over the pixels of a group of channels (Wu & He 2018, arXiv 1803.08494)."""
    groups = x.reshape(x.shape[0], num_groups, -1)  # (b, G, C/G·H·W)
    per_channel = (1, -1) + (1,) * (x.dim() - 2)
    scale, shift = (None if values is None else values.view(per_channel) for values in (weight, bias))
    return _affine(_normalized(groups, (-1,), eps).reshape(x.shape), scale, shift)


@cache
def use_exact_operations() -> torch.library.Library:
    """Take these operations on XLA devices from here on, in this process; `torch.inference_mode` goes past them."""
    library = torch.library.Library("aten", "IMPL")
    for operation in (gelu, layer_norm, group_norm):
        library.impl(operation.__name__, operation, "AutogradXLA")
    return library


def _normalized(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + eps)


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    scaled = x if weight is None else x * weight
    return scaled if bias is None else scaled + bias
