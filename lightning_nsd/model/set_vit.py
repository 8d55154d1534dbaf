"""SetViT: the images of a set stacked by channel and encoded as one (FSDM, arXiv 2205.15463)."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lightning_nsd.errors import UserError
from lightning_nsd.model.attention import LocalitySelfAttention
from lightning_nsd.model.patches import grid_size, patchify
from lightning_nsd.model.set_encoder import check_pool
from lightning_nsd.model.transformer import LAYER_NORM_EPS
from lightning_nsd.model.vit_base import ViTBase
from lightning_nsd.settings.numbers import Channels, Depth, Heads, Pixels, Probability, Shots, Width, bounded


@bounded("model.encoder")
class SetViT(ViTBase):
    """Vision transformer over patches that hold all images of the set at one place.

    The number of shots is part of the parameters' shape.

    Args:
        image_size: pixels along a side.
        channels: of an image.
        n_shot: images of a set.
        patch_size: pixels along a patch's side.
        context_dim: D_c.
        hidden_size: D; `context_dim` where None.
        depth: transformer blocks.
        num_heads: attention heads.
        head_dim: width of a head.
        mlp_dim: width inside the MLP; `hidden_size` where None.
        pool: `cls` (token 0), `mean` (over all 2 + L tokens) or `none` (the L patch tokens).
        time_conditioned: let the context depend on the timestep.
        dropout: in the MLPs.

    Raises:
        UserError: an image that does not divide into patches, or an unknown pool.
    """

    def __init__(
        self,
        image_size: Pixels,
        channels: Channels,
        n_shot: Shots,
        patch_size: Pixels = 2,
        context_dim: Width = 448,
        hidden_size: Width | None = None,
        depth: Depth = 6,
        num_heads: Heads = 12,
        head_dim: Width = 64,
        mlp_dim: Width | None = None,
        pool: Literal["cls", "mean", "none"] = "cls",
        time_conditioned: bool = False,
        dropout: Probability = 0.0,
    ) -> None:
        check_pool("SetViT", pool, ("cls", "mean", "none"))
        hidden_size = hidden_size or context_dim
        super().__init__(
            n_shot=n_shot,
            num_patches=grid_size(image_size, patch_size, "SetViT") ** 2,
            context_dim=context_dim,
            hidden_size=hidden_size,
            depth=depth,
            mlp_dim=mlp_dim or hidden_size,
            attention=lambda: LocalitySelfAttention(hidden_size, num_heads, head_dim),
            gives_tokens=pool == "none",
            time_conditioned=time_conditioned,
            dropout=dropout,
        )
        self.patch_size = patch_size
        self.pool = pool
        patch_dim = patch_size**2 * channels * n_shot
        self.patch_norm = nn.LayerNorm(patch_dim, eps=LAYER_NORM_EPS)
        self.patch_embedding = nn.Linear(patch_dim, hidden_size)

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        return (self.num_patches, self.context_dim) if self.gives_tokens else (self.context_dim,)

    def forward(
        self, support: Float[Tensor, "b n C H W"], t: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b *L D_c"]:
        """A vector for each set, or L tokens without pooling.

        Raises:
            UserError: another number of images than the encoder was built for.
        """
        if support.shape[1] != self.n_shot:
            raise UserError(
                f"SetViT was built for {self.n_shot} images a set and got {support.shape[1]}: its patches hold all "
                f"images of a set, so the number cannot change. Give {self.n_shot}, or train a ViT or UNetEncoder."
            )
        stacked = support.transpose(1, 2).flatten(1, 2)  # (b, C·n, H, W)
        patches = self.patch_embedding(self.patch_norm(patchify(stacked, self.patch_size)))  # (b, L, D)
        tokens = torch.cat([self.special_tokens(len(support), t), patches + self.position[:, 2:]], dim=1)
        tokens = self.blocks(tokens)  # (b, 2 + L, D)
        if self.pool == "cls":
            return self.project(tokens[:, 0])
        if self.pool == "mean":
            return self.project(tokens.mean(dim=1))
        return self.project(tokens[:, 2:])
