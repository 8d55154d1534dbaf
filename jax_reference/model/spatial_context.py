"""A second context, with a value for every pixel: what a single vector loses is where things are in the support."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from jax_reference.model.unet_blocks import ResBlock
from jax_reference.written_out.layers import Conv2d


class SpatialContext(nnx.Module):
    """Feature maps of an image's size: each image on its own, then the mean over the set, pixel by pixel.

    They enter the denoiser beside x_t. Takes sets of any size. The null context is 0 everywhere.

    Args:
        channels: C of an image.
        model_channels: M, channels of the maps and of the network that makes them.
        num_res_blocks: residual blocks, all at full resolution.
    """

    def __init__(self, channels: int, model_channels: int = 32, num_res_blocks: int = 2, *, rngs: nnx.Rngs) -> None:
        self.out_channels = model_channels
        self.conv_in = Conv2d(channels, model_channels, 3, padding=1, rngs=rngs)
        self.blocks = nnx.List(
            [ResBlock(model_channels, model_channels, None, 0.0, rngs=rngs) for _ in range(num_res_blocks)]
        )

    def encode_images(self, images: Float[Array, "b C H W"]) -> Float[Array, "b M H W"]:
        """Each image on its own."""
        h = self.conv_in(images)  # (b, M, H, W)
        for block in self.blocks:
            h = block(h)
        return h

    def __call__(self, support: Float[Array, "b n C H W"]) -> Float[Array, "b M H W"]:
        return self._encode_sets(support).mean(axis=1)

    def encode_leave_one_out(self, images: Float[Array, "B N C H W"]) -> Float[Array, "B*N M H W"]:
        """For every image the mean over the others."""
        encoded = self._encode_sets(images)  # (B, N, M, H, W)
        n = images.shape[1]
        means = [jnp.delete(encoded, i, axis=1, assume_unique_indices=True).mean(axis=1) for i in range(n)]
        return jnp.stack(means, axis=1).reshape(-1, *encoded.shape[2:])

    def _encode_sets(self, images: Float[Array, "b n C H W"]) -> Float[Array, "b n M H W"]:
        return self.encode_images(images.reshape(-1, *images.shape[2:])).reshape(
            *images.shape[:2], -1, *images.shape[3:]
        )


def zero_where(maps: Float[Array, "b M H W"], dropped: Bool[Array, " b"]) -> Float[Array, "b M H W"]:
    """The maps, and their null where `dropped` is true."""
    return jnp.where(dropped[:, None, None, None], 0.0, maps)
