"""SetViT: the images of a set stacked by channel and encoded as one (FSDM, arXiv 2205.15463)."""

from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jax_reference.model.attention import LocalitySelfAttention
from jax_reference.model.patches import grid_size, patchify
from jax_reference.model.set_encoder import check_pool
from jax_reference.model.transformer import LAYER_NORM_EPS
from jax_reference.model.vit_base import ViTBase
from jax_reference.written_out.layers import LayerNorm, Linear


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
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        n_shot: int,
        patch_size: int = 2,
        context_dim: int = 448,
        hidden_size: int | None = None,
        depth: int = 6,
        num_heads: int = 12,
        head_dim: int = 64,
        mlp_dim: int | None = None,
        pool: Literal["cls", "mean", "none"] = "cls",
        time_conditioned: bool = False,
        dropout: float = 0.0,
        time_embedding_dim: int | None = None,
        mlp_head_dim: int | None = None,
        slots: int | None = None,
        tokens: Literal["stacked", "mean"] = "stacked",
        *,
        rngs: nnx.Rngs,
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
            attention=lambda: LocalitySelfAttention(hidden_size, num_heads, head_dim, rngs=rngs),
            gives_tokens=pool == "none",
            time_conditioned=time_conditioned,
            dropout=dropout,
            time_embedding_dim=time_embedding_dim,
            mlp_head_dim=mlp_head_dim,
            slots=slots,
            rngs=rngs,
        )
        self.patch_size = patch_size
        self.pool = pool
        self.tokens = tokens
        self.any_set_size = slots is not None or tokens == "mean"
        patch_dim = patch_size**2 * channels * ((slots or n_shot) if tokens == "stacked" else 1)
        self.patch_norm = LayerNorm(patch_dim, eps=LAYER_NORM_EPS)
        self.patch_embedding = Linear(patch_dim, hidden_size, rngs=rngs)

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        return (self.num_patches, self.context_dim) if self.gives_tokens else (self.context_dim,)

    def embed_patches(self, support: Float[Array, "b n C H W"]) -> Float[Array, "b L D"]:
        """A token for each place of the images."""
        b, n, c, h, w = support.shape
        if self.tokens == "mean":
            of_images = jnp.stack([patchify(support[:, i], self.patch_size) for i in range(n)], axis=1)
            return self.patch_embedding(self.patch_norm(of_images)).mean(axis=1)  # (b, n, L, D) → (b, L, D)
        stacked = jnp.swapaxes(support, 1, 2).reshape(b, c * n, h, w)  # channel-major: all reds, all greens, …
        return self.patch_embedding(self.patch_norm(patchify(stacked, self.patch_size)))

    def __call__(
        self, support: Float[Array, "b n C H W"], t: Int[Array, " b"] | None = None
    ) -> Float[Array, "b *L D_c"]:
        """A vector for each set, or L tokens without pooling.

        Raises:
            ValueError: another number of images than the encoder was built for.
        """
        support = self.fill_slots(support)
        b, n = support.shape[:2]
        if not self.takes(n):
            raise ValueError(f"SetViT was built for {self.n_shot} images a set and got {n}.")
        patches = self.embed_patches(support) + self.position[...][:, 2:]  # (b, L, D)
        tokens = self._run_blocks(jnp.concatenate([self.special_tokens(b, t), patches], axis=1))  # (b, 2 + L, D)
        if self.pool == "cls":
            return self.project(tokens[:, 0])
        if self.pool == "mean":
            return self.project(tokens.mean(axis=1))
        return self.project(tokens[:, 2:])
