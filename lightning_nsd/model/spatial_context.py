"""A second context, with a value for every pixel: what a single vector loses is where things are in the support."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lightning_nsd.model.unet_blocks import ResBlock
from lightning_nsd.settings.numbers import Channels, Depth, Width, bounded


@bounded("model.spatial_context")
class SpatialContext(nn.Module):
    """Feature maps of an image's size: each image on its own, then the mean over the set, pixel by pixel.

    They enter the denoiser beside x_t. A mean over the set as in deep sets (Zaheer et al. 2017, arXiv 1703.06114), of
    maps in place of vectors. An image is encoded once, however many sets it is part of: a leave-one-out mean is
    (sum − own) / (N − 1). Takes sets of any size. The null context of a query that is to be denoised without its
    support is 0 everywhere.

    Args:
        channels: C of an image.
        model_channels: M, channels of the maps and of the network that makes them.
        num_res_blocks: residual blocks, all at full resolution.
    """

    def __init__(self, channels: Channels, model_channels: Width = 32, num_res_blocks: Depth = 2) -> None:
        super().__init__()
        self.out_channels = model_channels
        self.conv_in = nn.Conv2d(channels, model_channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            ResBlock(model_channels, model_channels, cond_dim=None, dropout=0.0) for _ in range(num_res_blocks)
        )

    def encode_images(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b M H W"]:
        """Each image on its own."""
        h = self.conv_in(images)  # (b, M, H, W)
        for block in self.blocks:
            h = block(h)
        return h

    def forward(self, support: Float[Tensor, "b n C H W"]) -> Float[Tensor, "b M H W"]:
        return self._encode_sets(support).mean(dim=1)

    def encode_leave_one_out(self, images: Float[Tensor, "B N C H W"]) -> Float[Tensor, "B*N M H W"]:
        """The maps of every image from the others of its episode, with every image encoded once."""
        encoded = self._encode_sets(images)  # (B, N, M, H, W)
        total = encoded.sum(dim=1, keepdim=True)
        return ((total - encoded) / (images.shape[1] - 1)).flatten(0, 1)

    def _encode_sets(self, images: Float[Tensor, "b n C H W"]) -> Float[Tensor, "b n M H W"]:
        return self.encode_images(images.flatten(0, 1)).unflatten(0, images.shape[:2])


def zero_where(maps: Float[Tensor, "b M H W"], dropped: Bool[Tensor, " b"]) -> Float[Tensor, "b M H W"]:
    """The maps, and their null where `dropped` is true."""
    return maps.masked_fill(dropped.reshape(-1, 1, 1, 1), 0.0)
