"""Building blocks of the guided-diffusion UNet (Dhariwal & Nichol 2021, arXiv 2105.05233)."""

from typing import TypeVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jax_reference.model.attention import CrossAttention, SelfAttention
from jax_reference.written_out import layers
from jax_reference.written_out.layers import Conv2d, GroupNorm, LayerNorm, Linear, gelu, silu
from jax_reference.written_out.tokens import to_pixels, to_tokens

GROUP_NORM_EPS = 1e-5
_Layer = TypeVar("_Layer", Conv2d, Linear)


def group_norm(channels: int) -> GroupNorm:
    """GroupNorm with 32 groups, or the largest divisor of the channels up to 32."""
    groups = 32
    while channels % groups:
        groups -= 1
    return GroupNorm(groups, channels, eps=GROUP_NORM_EPS)


def zeroed(module: _Layer) -> _Layer:
    """The module with its parameters set to zero, so that a block starts as the identity."""
    module.kernel[...] = jnp.zeros_like(module.kernel[...])
    if module.bias is not None:
        module.bias[...] = jnp.zeros_like(module.bias[...])
    return module


def check_heads(owner: str, channels: int, num_heads: int) -> None:
    """Raise ValueError unless attention's channels divide into heads."""
    if channels % num_heads:
        raise ValueError(f"{owner}: {channels} channels do not divide into {num_heads} heads.")


class ResBlock(nnx.Module):
    """GroupNorm → SiLU → conv, (scale, shift) of the second GroupNorm from the embedding, → SiLU → dropout → conv.

    Without an embedding (`cond_dim` None) the second GroupNorm is plain.
    """

    def __init__(
        self, in_channels: int, out_channels: int, cond_dim: int | None, dropout: float, *, rngs: nnx.Rngs
    ) -> None:
        self.norm_1 = group_norm(in_channels)
        self.conv_1 = Conv2d(in_channels, out_channels, 3, padding=1, rngs=rngs)
        if cond_dim is not None:
            self.modulation = Linear(cond_dim, 2 * out_channels, rngs=rngs)
        self.norm_2 = group_norm(out_channels)
        self.dropout = layers.dropout(dropout, rngs)
        self.conv_2 = zeroed(Conv2d(out_channels, out_channels, 3, padding=1, rngs=rngs))
        self.skip = None if in_channels == out_channels else Conv2d(in_channels, out_channels, 1, rngs=rngs)
        self.has_cond = cond_dim is not None

    def __call__(
        self, x: Float[Array, "b C_in H W"], cond: Float[Array, "b D"] | None = None
    ) -> Float[Array, "b C_out H W"]:
        h = self.norm_2(self.conv_1(silu(self.norm_1(x))))  # (b, C_out, H, W)
        if self.has_cond and cond is not None:
            scale, shift = jnp.split(self.modulation(silu(cond)), 2, axis=-1)  # (b, C_out) each
            h = h * (1 + scale[:, :, None, None]) + shift[:, :, None, None]
        skipped = x if self.skip is None else self.skip(x)
        return skipped + self.conv_2(self.dropout(silu(h)))


class AttentionBlock(nnx.Module):
    """GroupNorm → self-attention over the pixels, added to the input; its output projection starts at zero."""

    def __init__(self, channels: int, num_heads: int, *, rngs: nnx.Rngs) -> None:
        check_heads("AttentionBlock", channels, num_heads)
        self.norm = group_norm(channels)
        self.attention = SelfAttention(channels, num_heads, channels // num_heads, qkv_bias=True, rngs=rngs)
        zeroed(self.attention.to_out)

    def __call__(
        self, x: Float[Array, "b C H W"], context: Float[Array, "b M D_c"] | None = None
    ) -> Float[Array, "b C H W"]:
        """The context is not looked at."""
        return x + to_pixels(self.attention(to_tokens(self.norm(x))), like=x)


class GatedMLP(nnx.Module):
    """Linear → split in two → a · GELU(b) → Linear (Shazeer 2020, arXiv 2002.05202, GEGLU)."""

    def __init__(self, channels: int, mlp_ratio: int = 4, *, rngs: nnx.Rngs) -> None:
        self.linear_1 = Linear(channels, 2 * mlp_ratio * channels, rngs=rngs)
        self.linear_2 = Linear(mlp_ratio * channels, channels, rngs=rngs)

    def __call__(self, x: Float[Array, "b L C"]) -> Float[Array, "b L C"]:
        value, gate = jnp.split(self.linear_1(x), 2, axis=-1)
        return self.linear_2(value * gelu(gate))


class SpatialTransformer(nnx.Module):
    """Self-attention, cross-attention to the context's tokens and a gated MLP, added to the input.

    Rombach et al. 2022, arXiv 2112.10752, appendix E.2.1.
    """

    def __init__(self, channels: int, context_dim: int, num_heads: int, *, rngs: nnx.Rngs) -> None:
        check_heads("SpatialTransformer", channels, num_heads)
        head_dim = channels // num_heads
        self.norm = group_norm(channels)
        self.proj_in = Linear(channels, channels, rngs=rngs)
        self.norm_1 = LayerNorm(channels, eps=GROUP_NORM_EPS)
        self.attention = SelfAttention(channels, num_heads, head_dim, qkv_bias=False, rngs=rngs)
        self.norm_2 = LayerNorm(channels, eps=GROUP_NORM_EPS)
        self.cross_attention = CrossAttention(channels, context_dim, num_heads, head_dim, qkv_bias=False, rngs=rngs)
        self.norm_3 = LayerNorm(channels, eps=GROUP_NORM_EPS)
        self.mlp = GatedMLP(channels, rngs=rngs)
        self.proj_out = zeroed(Linear(channels, channels, rngs=rngs))

    def __call__(self, x: Float[Array, "b C H W"], context: Float[Array, "b M D_c"]) -> Float[Array, "b C H W"]:
        h = self.proj_in(to_tokens(self.norm(x)))  # (b, H·W, C)
        h = h + self.attention(self.norm_1(h))
        h = h + self.cross_attention(self.norm_2(h), context)
        h = h + self.mlp(self.norm_3(h))
        return x + to_pixels(self.proj_out(h), like=x)


class Downsample(nnx.Module):
    """Half the height and width by a strided convolution."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        self.conv = Conv2d(channels, channels, 3, stride=2, padding=1, rngs=rngs)

    def __call__(self, x: Float[Array, "b C H W"]) -> Float[Array, "b C H//2 W//2"]:
        return self.conv(x)


class Upsample(nnx.Module):
    """Twice the height and width by repeating pixels, then a convolution."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        self.conv = Conv2d(channels, channels, 3, padding=1, rngs=rngs)

    def __call__(self, x: Float[Array, "b C H W"]) -> Float[Array, "b C 2*H 2*W"]:
        return self.conv(jnp.repeat(jnp.repeat(x, 2, axis=2), 2, axis=3))


def check_levels(owner: str, image_size: int, num_levels: int) -> None:
    """Raise ValueError unless the image can be halved once for every level after the first."""
    if image_size % 2 ** (num_levels - 1):
        raise ValueError(f"{owner}: {image_size} × {image_size} pixels cannot be halved {num_levels - 1} times.")
