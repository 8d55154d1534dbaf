"""The paper's UNet encoder: each image on its own, then the mean over the set (FSDM, arXiv 2205.15463)."""

from collections.abc import Sequence
from typing import Literal

from flax import nnx
from jaxtyping import Array, Float, Int

from jax_reference.model.embeddings import TimestepEmbedding
from jax_reference.model.mean_encoder import MeanEncoder
from jax_reference.model.set_encoder import check_pool
from jax_reference.model.unet_blocks import AttentionBlock, Downsample, ResBlock, check_levels, group_norm
from jax_reference.written_out.layers import Conv2d, Linear, silu, standard_normal
from jax_reference.written_out.tokens import to_tokens


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
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        n_shot: int,
        context_dim: int = 128,
        model_channels: int = 32,
        channel_multipliers: Sequence[int] = (1, 2, 3),
        num_res_blocks: int = 1,
        attention_resolutions: Sequence[int] = (),
        num_heads: int = 4,
        pool: Literal["mean", "flatten", "mean_patch"] = "mean",
        time_conditioned: bool = False,
        dropout: float = 0.0,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        check_pool("UNetEncoder", pool, ("mean", "flatten", "mean_patch"))
        super().__init__(n_shot, context_dim, gives_tokens=pool == "mean_patch", time_conditioned=time_conditioned)
        check_levels("UNetEncoder", image_size, len(channel_multipliers))
        time_dim = 4 * model_channels if time_conditioned else None
        if time_dim is not None:
            self.time_embedding = TimestepEmbedding(time_dim, rngs=rngs)
        self.conv_in = Conv2d(channels, model_channels, 3, padding=1, rngs=rngs)
        blocks: list[nnx.Module] = []
        width = model_channels
        for level, multiplier in enumerate(channel_multipliers):
            if level:
                blocks.append(Downsample(width, rngs=rngs))
            for _ in range(num_res_blocks):
                blocks.append(ResBlock(width, multiplier * model_channels, time_dim, dropout, rngs=rngs))
                width = multiplier * model_channels
                if image_size // 2**level in attention_resolutions:
                    blocks.append(AttentionBlock(width, num_heads, rngs=rngs))
        self.blocks = nnx.List(blocks)
        self.pool = pool
        self.num_patches = (image_size // 2 ** (len(channel_multipliers) - 1)) ** 2
        self.norm_out = group_norm(width)
        self.head = Linear(width * self.num_patches if pool == "flatten" else width, context_dim, rngs=rngs)
        if self.gives_tokens:
            self.position = nnx.Param(standard_normal(rngs.params(), (1, self.num_patches, context_dim)))

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        return (self.num_patches, self.context_dim) if self.gives_tokens else (self.context_dim,)

    def encode_images(
        self, images: Float[Array, "b C H W"], t: Int[Array, " b"] | None = None
    ) -> Float[Array, "b *L D_c"]:
        """Each image on its own."""
        self.check_time(t)
        cond = self.time_embedding(t) if self.time_conditioned and t is not None else None  # (b, time_dim)
        h = self.conv_in(images)  # (b, model_channels, H, W)
        for block in self.blocks:
            h = block(h, cond) if isinstance(block, ResBlock) else block(h)
        h = silu(self.norm_out(h))  # (b, width, H', W')
        if self.pool == "mean":
            return self.head(h.mean(axis=(2, 3)))
        if self.pool == "flatten":
            return self.head(h.reshape(len(h), -1))  # channel by channel, its pixels row by row
        return self.head(to_tokens(h)) + self.position[...]
