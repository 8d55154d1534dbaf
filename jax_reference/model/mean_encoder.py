"""Set encoders that encode each image on its own: the context of a set is the mean over its images."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jax_reference.model.set_encoder import SetEncoder


class MeanEncoder(SetEncoder):
    """The mean over the images of a set, of any size."""

    any_set_size = True

    def encode_images(
        self, images: Float[Array, "b C H W"], t: Int[Array, " b"] | None = None
    ) -> Float[Array, "b *L D_c"]:
        """Each image on its own."""
        raise NotImplementedError

    def __call__(
        self, support: Float[Array, "b n C H W"], t: Int[Array, " b"] | None = None
    ) -> Float[Array, "b *L D_c"]:
        return self._encode_sets(support, t).mean(axis=1)

    def encode_leave_one_out(
        self, images: Float[Array, "B N C H W"], t: Int[Array, " B"] | None = None
    ) -> Float[Array, "B*N *L D_c"]:
        """For every image the mean over the others."""
        encoded = self._encode_sets(images, t)  # (B, N, …, D_c)
        n = images.shape[1]
        means = [jnp.delete(encoded, i, axis=1, assume_unique_indices=True).mean(axis=1) for i in range(n)]
        return jnp.stack(means, axis=1).reshape(-1, *encoded.shape[2:])

    def _encode_sets(self, images: Float[Array, "b n C H W"], t: Int[Array, " b"] | None) -> Float[Array, "b n *L D_c"]:
        b, n = images.shape[:2]
        times = None if t is None else jnp.repeat(t, n)
        encoded = self.encode_images(images.reshape(b * n, *images.shape[2:]), times)
        return encoded.reshape(b, n, *encoded.shape[1:])  # (b, n, …, D_c)
