"""The guided-diffusion UNet as a denoiser (Dhariwal & Nichol 2021, arXiv 2105.05233)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lightning_nsd.model.context import as_tokens
from lightning_nsd.model.denoiser import Conditioning, Denoiser
from lightning_nsd.model.embeddings import TimestepEmbedding
from lightning_nsd.model.unet_blocks import (
    AttentionBlock,
    Downsample,
    ResBlock,
    SpatialTransformer,
    Upsample,
    check_levels,
    group_norm,
    zeroed,
)
from lightning_nsd.settings.numbers import Channels, Depth, Heads, Multiplier, Pixels, Probability, Width, bounded


class UNetStage(nn.Module):
    """A residual block, and attention where the resolution asks for it."""

    def __init__(self, block: ResBlock, attention: nn.Module | None) -> None:
        super().__init__()
        self.block = block
        self.attention = attention

    def forward(
        self, x: Float[Tensor, "b C_in H W"], cond: Float[Tensor, "b D"], context: Float[Tensor, "b M D_c"] | None
    ) -> Float[Tensor, "b C_out H W"]:
        x = self.block(x, cond)
        return x if self.attention is None else self.attention(x, context)


@bounded("model.denoiser")
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

    Raises:
        UserError: an image that cannot be halved that often, or channels that do not divide into heads.
    """

    def __init__(
        self,
        image_size: Pixels,
        in_channels: Channels,
        out_channels: Channels,
        context_dim: int,
        conditioning: Conditioning = "film",
        model_channels: Width = 64,
        channel_multipliers: Sequence[Multiplier] = (1, 2, 3, 4),
        num_res_blocks: Depth = 2,
        attention_resolutions: Sequence[Pixels] = (16, 8),
        num_heads: Heads = 4,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__(conditioning)
        check_levels("UNet", image_size, len(channel_multipliers))
        time_dim = 4 * model_channels
        cond_dim = time_dim + (context_dim if conditioning == "film" else 0)

        def attention(channels: int) -> nn.Module:
            if conditioning == "cross_attention":
                return SpatialTransformer(channels, context_dim, num_heads)
            return AttentionBlock(channels, num_heads)

        def stage(in_channels: int, out_channels: int, resolution: int) -> UNetStage:
            block = ResBlock(in_channels, out_channels, cond_dim, dropout)
            return UNetStage(block, attention(out_channels) if resolution in attention_resolutions else None)

        self.time_embedding = TimestepEmbedding(time_dim)
        self.conv_in = nn.Conv2d(in_channels, model_channels, 3, padding=1)
        self.down = nn.ModuleList()
        self.downsample = nn.ModuleList()
        channels, resolution, skips = model_channels, image_size, [model_channels]
        for level, multiplier in enumerate(channel_multipliers):
            if level:
                self.downsample.append(Downsample(channels))
                resolution //= 2
                skips.append(channels)
            stages = nn.ModuleList()
            for _ in range(num_res_blocks):
                stages.append(stage(channels, multiplier * model_channels, resolution))
                channels = multiplier * model_channels
                skips.append(channels)
            self.down.append(stages)

        self.middle_1 = ResBlock(channels, channels, cond_dim, dropout)
        self.middle_attention = attention(channels)
        self.middle_2 = ResBlock(channels, channels, cond_dim, dropout)

        self.up = nn.ModuleList()
        self.upsample = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(channel_multipliers))):
            stages = nn.ModuleList()
            for _ in range(num_res_blocks + 1):
                stages.append(stage(channels + skips.pop(), multiplier * model_channels, resolution))
                channels = multiplier * model_channels
            self.up.append(stages)
            if level:
                self.upsample.append(Upsample(channels))
                resolution *= 2
        self.norm_out = group_norm(channels)
        self.act = nn.SiLU()
        self.conv_out = zeroed(nn.Conv2d(channels, out_channels, 3, padding=1))

    def forward(
        self, x_t: Float[Tensor, "b C H W"], t: Int[Tensor, " b"], context: Float[Tensor, "b *L D_c"] | None = None
    ) -> Float[Tensor, "b C_out H W"]:
        cond = self.time_embedding(t)  # (b, time_dim)
        tokens = None
        if self.conditioning == "film":
            cond = torch.cat([cond, context], dim=1)  # type: ignore[list-item]
        elif self.conditioning == "cross_attention":
            tokens = as_tokens(context)  # type: ignore[arg-type]
        h = self.conv_in(x_t)  # (b, model_channels, H, W)
        skips = [h]
        for level, stages in enumerate(self.down):
            if level:
                h = self.downsample[level - 1](h)  # (b, C', H', W')
                skips.append(h)
            for stage in stages:  # type: ignore[attr-defined]
                h = stage(h, cond, tokens)
                skips.append(h)
        h = self.middle_2(self.middle_attention(self.middle_1(h, cond), tokens), cond)
        for level, stages in enumerate(self.up):
            if level:
                h = self.upsample[level - 1](h)
            for stage in stages:  # type: ignore[attr-defined]
                h = stage(torch.cat([h, skips.pop()], dim=1), cond, tokens)
        return self.conv_out(self.act(self.norm_out(h)))
