"""ViT over all patches of all images of a set (FSDM, arXiv 2205.15463)."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lightning_nsd.model.attention import SelfAttention
from lightning_nsd.model.patches import grid_size, patchify
from lightning_nsd.model.set_encoder import check_pool
from lightning_nsd.model.vit_base import ViTBase
from lightning_nsd.settings.numbers import Channels, Depth, Heads, Pixels, Probability, Shots, Width, bounded


@bounded("model.encoder")
class ViT(ViTBase):
    """All N·L patches of a set attend to one another.

    Takes sets of any size, whatever `n_shot` it was trained with, or with slots of any size up to them.

    Args:
        image_size: pixels along a side.
        channels: of an image.
        n_shot: images of a set in training.
        patch_size: pixels along a patch's side.
        context_dim: D_c.
        hidden_size: D; `context_dim` where None.
        depth: transformer blocks.
        num_heads: attention heads.
        head_dim: width of a head.
        mlp_dim: width inside the MLP; `hidden_size` where None.
        pool: `cls`, `mean` (over all tokens), `none` (N·L tokens), or `mean_patch`: for each patch position
            the mean over the images, L tokens.
        time_conditioned: let the context depend on the timestep.
        dropout: in the MLPs.
        time_embedding_dim: E of an MLP between E/4 timestep features and the TIME token; 256 features alone where None.
        mlp_head_dim: width inside the head's MLP; one Linear where None.
        slots: images that a set is filled up to with zero images; it stays as it is where None.
        interleaved_positions: give patch q of a set of n images, image after image, the position q // n, as the JAX
            source does; its place in its own image otherwise.
        qkv_bias: a bias of queries, keys and values.

    Raises:
        UserError: an image that does not divide into patches, an unknown pool, or slots that do not fit.
    """

    any_set_size = True

    def __init__(
        self,
        image_size: Pixels,
        channels: Channels,
        n_shot: Shots,
        patch_size: Pixels = 4,
        context_dim: Width = 448,
        hidden_size: Width | None = None,
        depth: Depth = 6,
        num_heads: Heads = 12,
        head_dim: Width = 64,
        mlp_dim: Width | None = None,
        pool: Literal["cls", "mean", "none", "mean_patch"] = "cls",
        time_conditioned: bool = False,
        dropout: Probability = 0.0,
        time_embedding_dim: Width | None = None,
        mlp_head_dim: Width | None = None,
        slots: Shots | None = None,
        interleaved_positions: bool = False,
        qkv_bias: bool = False,
    ) -> None:
        check_pool("ViT", pool, ("cls", "mean", "none", "mean_patch"))
        hidden_size = hidden_size or context_dim
        super().__init__(
            n_shot=n_shot,
            num_patches=grid_size(image_size, patch_size, "ViT") ** 2,
            context_dim=context_dim,
            hidden_size=hidden_size,
            depth=depth,
            mlp_dim=mlp_dim or hidden_size,
            attention=lambda: SelfAttention(hidden_size, num_heads, head_dim, qkv_bias),
            gives_tokens=pool in ("none", "mean_patch"),
            time_conditioned=time_conditioned,
            dropout=dropout,
            time_embedding_dim=time_embedding_dim,
            mlp_head_dim=mlp_head_dim,
            slots=slots,
        )
        self.patch_size = patch_size
        self.pool = pool
        self.interleaved_positions = interleaved_positions
        self.patch_embedding = nn.Linear(patch_size**2 * channels, hidden_size)

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        if not self.gives_tokens:
            return (self.context_dim,)
        return (self.num_patches * ((self.slots or n_images) if self.pool == "none" else 1), self.context_dim)

    def patch_positions(self, n: int) -> Float[Tensor, "1 images L D"]:
        """Of the patches of each of n images, or of any image where all have the same."""
        positions = self.position[:, 2:]  # (1, L, D)
        if not self.interleaved_positions:
            return positions[:, None]
        return positions.repeat_interleave(n, dim=1).unflatten(1, (n, -1))  # (1, n, L, D)

    def forward(
        self, support: Float[Tensor, "b n C H W"], t: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b *L D_c"]:
        support = self.fill_slots(support)
        b, n = support.shape[:2]
        patches = self.patch_embedding(patchify(support.flatten(0, 1), self.patch_size))  # (b·n, L, D)
        patches = patches.unflatten(0, (b, n)) + self.patch_positions(n)  # (b, n, L, D)
        tokens = torch.cat([self.special_tokens(b, t), patches.flatten(1, 2)], dim=1)
        tokens = self.blocks(tokens)  # (b, 2 + n·L, D)
        if self.pool == "cls":
            return self.project(tokens[:, 0])
        if self.pool == "mean":
            return self.project(tokens.mean(dim=1))
        if self.pool == "mean_patch":
            return self.project(tokens[:, 2:].unflatten(1, (n, -1)).mean(dim=1))
        return self.project(tokens[:, 2:])
