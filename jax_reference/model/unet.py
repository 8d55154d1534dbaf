"""The guided-diffusion UNet as a denoiser (Dhariwal & Nichol 2021, arXiv 2105.05233)."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jax_reference.model.context import as_tokens
from jax_reference.model.denoiser import Conditioning, Denoiser
from jax_reference.model.embeddings import TimestepEmbedding
from jax_reference.model.unet_blocks import (
    AttentionBlock,
    Downsample,
    ResBlock,
    SpatialTransformer,
    Upsample,
    check_levels,
    group_norm,
    zeroed,
)
from jax_reference.written_out.layers import Conv2d, silu

_Attention = Callable[..., Any]  # an AttentionBlock, or a SpatialTransformer, which needs a context


class UNetStage(nnx.Module):
    """A residual block, and attention where the resolution asks for it."""

    def __init__(self, block: ResBlock, attention: _Attention | None) -> None:
        self.block = block
        self.attention = attention

    def __call__(
        self, x: Float[Array, "b C_in H W"], cond: Float[Array, "b D"], context: Float[Array, "b M D_c"] | None
    ) -> Float[Array, "b C_out H W"]:
        x = self.block(x, cond)
        return x if self.attention is None else self.attention(x, context)


class UNet(Denoiser):
    """Residual blocks down and up, with skip connections and attention at coarse resolutions.

    Args:
        image_size: pixels along a side.
        in_channels: C of x_t.
        out_channels: C, or 2C with a learned variance.
        context_dim: D_c of the context; unused without conditioning.
        conditioning: `film`: every block is modulated by [t_emb, c]; `cross_attention`: a spatial transformer in
            place of each self-attention; `none`.
        model_channels: channels at full resolution.
        channel_multipliers: channels of each level over `model_channels`; every level halves the resolution.
        num_res_blocks: residual blocks of a level on the way down (one more on the way up).
        attention_resolutions: resolutions, in pixels along a side, that have attention.
        num_heads: attention heads.
        dropout: in the residual blocks.
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int,
        out_channels: int,
        context_dim: int,
        conditioning: Conditioning = "film",
        model_channels: int = 64,
        channel_multipliers: Sequence[int] = (1, 2, 3, 4),
        num_res_blocks: int = 2,
        attention_resolutions: Sequence[int] = (16, 8),
        num_heads: int = 4,
        dropout: float = 0.0,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(conditioning)
        check_levels("UNet", image_size, len(channel_multipliers))
        time_dim = 4 * model_channels
        cond_dim = time_dim + (context_dim if conditioning == "film" else 0)
        widths = [multiplier * model_channels for multiplier in channel_multipliers]

        def attention(channels: int) -> _Attention:
            if conditioning == "cross_attention":
                return SpatialTransformer(channels, context_dim, num_heads, rngs=rngs)
            return AttentionBlock(channels, num_heads, rngs=rngs)

        def stage(in_channels: int, level: int) -> UNetStage:
            block = ResBlock(in_channels, widths[level], cond_dim, dropout, rngs=rngs)
            with_attention = image_size // 2**level in attention_resolutions
            return UNetStage(block, attention(widths[level]) if with_attention else None)

        self.time_embedding = TimestepEmbedding(time_dim, rngs=rngs)
        self.conv_in = Conv2d(in_channels, model_channels, 3, padding=1, rngs=rngs)
        down, downsample, channels, skips = [], [], model_channels, [model_channels]
        for level, width in enumerate(widths):
            if level:
                downsample.append(Downsample(channels, rngs=rngs))
                skips.append(channels)
            stages = []
            for _ in range(num_res_blocks):
                stages.append(stage(channels, level))
                channels = width
                skips.append(channels)
            down.append(nnx.List(stages))
        self.down = nnx.List(down)
        self.downsample = nnx.List(downsample)

        self.middle_1 = ResBlock(channels, channels, cond_dim, dropout, rngs=rngs)
        self.middle_attention = attention(channels)
        self.middle_2 = ResBlock(channels, channels, cond_dim, dropout, rngs=rngs)

        up, upsample = [], []
        for level in reversed(range(len(widths))):
            stages = []
            for _ in range(num_res_blocks + 1):
                stages.append(stage(channels + skips.pop(), level))
                channels = widths[level]
            up.append(nnx.List(stages))
            if level:
                upsample.append(Upsample(channels, rngs=rngs))
        self.up = nnx.List(up)
        self.upsample = nnx.List(upsample)
        self.norm_out = group_norm(channels)
        self.conv_out = zeroed(Conv2d(channels, out_channels, 3, padding=1, rngs=rngs))

    def __call__(
        self, x_t: Float[Array, "b C H W"], t: Int[Array, " b"], context: Float[Array, "b *L D_c"] | None = None
    ) -> Float[Array, "b C_out H W"]:
        cond = self.time_embedding(t)  # (b, time_dim)
        tokens = None
        if self.conditioning == "film" and context is not None:
            cond = jnp.concatenate([cond, context], axis=1)  # (b, time_dim + D_c)
        elif self.conditioning == "cross_attention" and context is not None:
            tokens = as_tokens(context)
        h = self.conv_in(x_t)  # (b, model_channels, H, W)
        skips = [h]
        for level, stages in enumerate(self.down):
            if level:
                h = self.downsample[level - 1](h)  # (b, C', H', W')
                skips.append(h)
            for stage in stages:
                h = stage(h, cond, tokens)
                skips.append(h)
        h = self.middle_2(self.middle_attention(self.middle_1(h, cond), tokens), cond)
        for level, stages in enumerate(self.up):
            if level:
                h = self.upsample[level - 1](h)
            for stage in stages:
                h = stage(jnp.concatenate([h, skips.pop()], axis=1), cond, tokens)
        return self.conv_out(silu(self.norm_out(h)))
