"""The paper's UNet encoder: each image on its own, then the mean over the set (FSDM, arXiv 2205.15463)."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lightning_nsd.model.embeddings import TimestepEmbedding
from lightning_nsd.model.mean_encoder import MeanEncoder
from lightning_nsd.model.set_encoder import check_pool
from lightning_nsd.model.unet_blocks import AttentionBlock, Downsample, ResBlock, check_levels, group_norm
from lightning_nsd.settings.numbers import (
    Channels,
    Depth,
    Heads,
    Multiplier,
    Pixels,
    Probability,
    Shots,
    Width,
    bounded,
)


@bounded("model.encoder")
class UNetEncoder(MeanEncoder):
    """The down path of a UNet, pooled for each image; the context of a set is the mean over its images.

    Takes sets of any size.

    Args:
        image_size: pixels along a side.
        channels: of an image.
        n_shot: images of a set in training.
        context_dim: D_c.
        model_channels: channels at full resolution.
        channel_multipliers: channels of each level over `model_channels`; every level halves the resolution.
        num_res_blocks: residual blocks of a level.
        attention_resolutions: resolutions, in pixels along a side, that have attention.
        num_heads: attention heads.
        pool: `mean` over the coarsest pixels; `flatten`, which keeps where things are (for images whose content is
            centred and upright); or `mean_patch`: a token for each of the L coarsest pixels, for cross-attention.
        time_conditioned: modulate the residual blocks by the timestep.
        dropout: in the residual blocks.

    Raises:
        UserError: an image that cannot be halved that often, channels that do not divide into heads, or an unknown
            pool.
    """

    def __init__(
        self,
        image_size: Pixels,
        channels: Channels,
        n_shot: Shots,
        context_dim: Width = 128,
        model_channels: Width = 32,
        channel_multipliers: Sequence[Multiplier] = (1, 2, 3),
        num_res_blocks: Depth = 1,
        attention_resolutions: Sequence[Pixels] = (),
        num_heads: Heads = 4,
        pool: Literal["mean", "flatten", "mean_patch"] = "mean",
        time_conditioned: bool = False,
        dropout: Probability = 0.0,
    ) -> None:
        check_pool("UNetEncoder", pool, ("mean", "flatten", "mean_patch"))
        super().__init__(n_shot, context_dim, gives_tokens=pool == "mean_patch", time_conditioned=time_conditioned)
        check_levels("UNetEncoder", image_size, len(channel_multipliers))
        time_dim = 4 * model_channels if time_conditioned else None
        if time_dim is not None:
            self.time_embedding = TimestepEmbedding(time_dim)
        self.conv_in = nn.Conv2d(channels, model_channels, 3, padding=1)
        self.blocks = nn.ModuleList()
        width, resolution = model_channels, image_size
        for level, multiplier in enumerate(channel_multipliers):
            if level:
                self.blocks.append(Downsample(width))
                resolution //= 2
            for _ in range(num_res_blocks):
                self.blocks.append(ResBlock(width, multiplier * model_channels, time_dim, dropout))
                width = multiplier * model_channels
                if resolution in attention_resolutions:
                    self.blocks.append(AttentionBlock(width, num_heads))
        self.pool = pool
        self.num_patches = resolution**2
        self.norm_out = group_norm(width)
        self.act = nn.SiLU()
        self.head = nn.Linear(width * self.num_patches if pool == "flatten" else width, context_dim)
        if self.gives_tokens:
            self.position = nn.Parameter(torch.randn(1, self.num_patches, context_dim))

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        return (self.num_patches, self.context_dim) if self.gives_tokens else (self.context_dim,)

    def encode_images(
        self, images: Float[Tensor, "b C H W"], t: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b *L D_c"]:
        """Each image on its own."""
        self.check_time(t)
        cond = self.time_embedding(t) if self.time_conditioned else None  # (b, time_dim)
        h = self.conv_in(images)  # (b, model_channels, H, W)
        for block in self.blocks:
            h = block(h, cond) if isinstance(block, ResBlock) else block(h)
        h = self.act(self.norm_out(h))  # (b, width, H', W')
        if self.pool == "mean":
            return self.head(h.mean(dim=(2, 3)))
        if self.pool == "flatten":
            return self.head(h.flatten(1))
        return self.head(h.flatten(2).transpose(1, 2)) + self.position
