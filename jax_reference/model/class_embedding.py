"""The class-conditional baseline: contexts of classes, given by their numbers, instead of images."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jax_reference.model.set_encoder import SetEncoder
from jax_reference.written_out.layers import standard_normal


class ClassEmbedding(SetEncoder):
    """A learned vector for every class of training, as DiT's label embedding (Peebles & Xie 2023, arXiv 2212.09748).

    It says nothing of other classes: the learned null context stands for them, so that there must be one.

    Args:
        image_size: of images, which it does not see.
        channels: of images.
        n_shot: images of a support set, which it does not see.
        num_classes: classes of training.
        context_dim: D_c.
    """

    any_set_size = True
    takes_classes = True

    def __init__(
        self,
        image_size: int,
        channels: int,
        n_shot: int,
        num_classes: int,
        context_dim: int = 256,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(n_shot, context_dim, gives_tokens=False, time_conditioned=False)
        self.num_classes = num_classes
        self.table = nnx.Param(0.02 * standard_normal(rngs.params(), (num_classes, context_dim)))

    def __call__(self, support: Int[Array, " b"], t: Int[Array, " b"] | None = None) -> Float[Array, "b D_c"]:
        """The vectors of classes, from 0; what a number below 0 gives is for the null context to replace."""
        return jnp.take(self.table[...], jnp.maximum(support, 0), axis=0)
