"""ViT over all patches of all images of a set (FSDM, arXiv 2205.15463)."""

from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jax_reference.model.attention import SelfAttention
from jax_reference.model.patches import grid_size, patchify
from jax_reference.model.set_encoder import check_pool
from jax_reference.model.vit_base import ViTBase
from jax_reference.written_out.layers import Linear


class ViT(ViTBase):
    """All N·L patches of a set attend to one another; patch positions are shared between its images.

    Takes sets of any size, whatever `n_shot` it was trained with.

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
    """

    any_set_size = True

    def __init__(
        self,
        image_size: int,
        channels: int,
        n_shot: int,
        patch_size: int = 4,
        context_dim: int = 448,
        hidden_size: int | None = None,
        depth: int = 6,
        num_heads: int = 12,
        head_dim: int = 64,
        mlp_dim: int | None = None,
        pool: Literal["cls", "mean", "none", "mean_patch"] = "cls",
        time_conditioned: bool = False,
        dropout: float = 0.0,
        *,
        rngs: nnx.Rngs,
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
            attention=lambda: SelfAttention(hidden_size, num_heads, head_dim, qkv_bias=False, rngs=rngs),
            gives_tokens=pool in ("none", "mean_patch"),
            time_conditioned=time_conditioned,
            dropout=dropout,
            rngs=rngs,
        )
        self.patch_size = patch_size
        self.pool = pool
        self.patch_embedding = Linear(patch_size**2 * channels, hidden_size, rngs=rngs)

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        if not self.gives_tokens:
            return (self.context_dim,)
        return (self.num_patches * (n_images if self.pool == "none" else 1), self.context_dim)

    def __call__(
        self, support: Float[Array, "b n C H W"], t: Int[Array, " b"] | None = None
    ) -> Float[Array, "b *L D_c"]:
        b, n = support.shape[:2]
        of_images = jnp.stack([patchify(support[:, i], self.patch_size) for i in range(n)], axis=1)  # (b, n, L, p·p·C)
        patches = self.patch_embedding(of_images) + self.position[...][:, 2:]  # (b, n, L, D)
        patches = patches.reshape(b, n * self.num_patches, -1)
        tokens = self._run_blocks(jnp.concatenate([self.special_tokens(b, t), patches], axis=1))  # (b, 2 + n·L, D)
        if self.pool == "cls":
            return self.project(tokens[:, 0])
        if self.pool == "mean":
            return self.project(tokens.mean(axis=1))
        if self.pool == "mean_patch":
            return self.project(jnp.stack(jnp.split(tokens[:, 2:], n, axis=1)).mean(axis=0))  # (b, L, D_c)
        return self.project(tokens[:, 2:])
