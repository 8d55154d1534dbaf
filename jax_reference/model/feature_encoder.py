"""A head behind the features of a pretrained network, then the mean over the set."""

from typing import Literal

from flax import nnx
from jaxtyping import Array, Float, Int

from jax_reference.model.mean_encoder import MeanEncoder
from jax_reference.model.set_encoder import check_pool
from jax_reference.written_out.layers import Linear, gelu
from jax_reference.written_out.tokens import to_tokens


class FeatureEncoder(MeanEncoder):
    """One linear layer, or three with GELU (tanh form) between, for each feature; then the mean over the images.

    What it sees are the features of `model.backbone`, whose shape is that of images: D channels, s × s places.

    Args:
        image_size: s, places along a side; 1 where an image has one feature.
        channels: D, of a feature.
        n_shot: images of a set in training.
        context_dim: D_c.
        mlp_head_dim: width inside a head of three layers; one Linear where None.
        pool: `mean` over an image's places, before the head; or `mean_patch`: a token for each of the L = s² places,
            for cross-attention.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        n_shot: int,
        context_dim: int = 128,
        mlp_head_dim: int | None = None,
        pool: Literal["mean", "mean_patch"] = "mean",
        *,
        rngs: nnx.Rngs,
    ) -> None:
        check_pool("FeatureEncoder", pool, ("mean", "mean_patch"))
        super().__init__(n_shot, context_dim, gives_tokens=pool == "mean_patch", time_conditioned=False)
        self.pool = pool
        self.num_patches = image_size * image_size
        if mlp_head_dim is None:
            layers = [Linear(channels, context_dim, rngs=rngs)]
        else:
            layers = [
                Linear(channels, mlp_head_dim, rngs=rngs),
                Linear(mlp_head_dim, mlp_head_dim, rngs=rngs),
                Linear(mlp_head_dim, context_dim, rngs=rngs),
            ]
        self.head = nnx.List(layers)

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        return (self.num_patches, self.context_dim) if self.gives_tokens else (self.context_dim,)

    def encode_images(
        self, images: Float[Array, "b C H W"], t: Int[Array, " b"] | None = None
    ) -> Float[Array, "b *L D_c"]:
        """The features of each image on their own."""
        h = to_tokens(images) if self.gives_tokens else images.mean(axis=(2, 3))  # (b, …, D)
        first, *following = self.head
        h = first(h)
        for layer in following:
            h = layer(gelu(h))
        return h
