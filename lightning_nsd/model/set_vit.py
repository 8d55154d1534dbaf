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

    The number of shots is part of the parameters' shape, unless there are slots, some of which may be empty.

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
        time_embedding_dim: E of an MLP between E/4 timestep features and the TIME token; 256 features alone where None.
        mlp_head_dim: width inside the head's MLP; one Linear where None.
        slots: images that a set is filled up to with zero images; `n_shot`, and no other number, where None.
        tokens: `stacked`: a patch holds all images, stacked by channel; `mean`: each image is cut and embedded on its
            own, then the mean over the set.

    Raises:
        UserError: an image that does not divide into patches, an unknown pool, or slots that do not fit.
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
        time_embedding_dim: Width | None = None,
        mlp_head_dim: Width | None = None,
        slots: Shots | None = None,
        tokens: Literal["stacked", "mean"] = "stacked",
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
            time_embedding_dim=time_embedding_dim,
            mlp_head_dim=mlp_head_dim,
            slots=slots,
        )
        self.patch_size = patch_size
        self.pool = pool
        self.tokens = tokens
        self.any_set_size = slots is not None or tokens == "mean"
        patch_dim = patch_size**2 * channels * ((slots or n_shot) if tokens == "stacked" else 1)
        self.patch_norm = nn.LayerNorm(patch_dim, eps=LAYER_NORM_EPS)
        self.patch_embedding = nn.Linear(patch_dim, hidden_size)

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        return (self.num_patches, self.context_dim) if self.gives_tokens else (self.context_dim,)

    def embed_patches(self, support: Float[Tensor, "b n C H W"]) -> Float[Tensor, "b L D"]:
        """A token for each place of the images."""
        if self.tokens == "mean":
            patches = patchify(support.flatten(0, 1), self.patch_size)  # (b·n, L, p·p·C)
            return self.patch_embedding(self.patch_norm(patches)).unflatten(0, support.shape[:2]).mean(dim=1)
        stacked = support.transpose(1, 2).flatten(1, 2)  # (b, C·n, H, W)
        return self.patch_embedding(self.patch_norm(patchify(stacked, self.patch_size)))

    def forward(
        self, support: Float[Tensor, "b n C H W"], t: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b *L D_c"]:
        """A vector for each set, or L tokens without pooling.

        Raises:
            UserError: another number of images than the encoder was built for.
        """
        support = self.fill_slots(support)
        if not self.takes(support.shape[1]):
            raise UserError(
                f"SetViT was built for {self.n_shot} images a set and got {support.shape[1]}: its patches hold all "
                f"images of a set, so the number cannot change. Give {self.n_shot}, or train it with slots, a ViT or a "
                "UNetEncoder."
            )
        patches = self.embed_patches(support)  # (b, L, D)
        tokens = torch.cat([self.special_tokens(len(support), t), patches + self.position[:, 2:]], dim=1)
        tokens = self.blocks(tokens)  # (b, 2 + L, D)
        if self.pool == "cls":
            return self.project(tokens[:, 0])
        if self.pool == "mean":
            return self.project(tokens.mean(dim=1))
        return self.project(tokens[:, 2:])
