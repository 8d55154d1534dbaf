"""Set encoders that encode each image on its own: the context of a set is the mean over its images."""

from jaxtyping import Float, Int
from torch import Tensor

from lightning_nsd.model.set_encoder import SetEncoder


class MeanEncoder(SetEncoder):
    """The mean over the images of a set, of any size.

    An image is encoded once, however many sets it is part of: a leave-one-out mean is (sum − own) / (N − 1).
    """

    any_set_size = True

    def encode_images(
        self, images: Float[Tensor, "b C H W"], t: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b *L D_c"]:
        """Each image on its own."""
        raise NotImplementedError

    def forward(
        self, support: Float[Tensor, "b n C H W"], t: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b *L D_c"]:
        return self._encode_sets(support, t).mean(dim=1)

    def encode_leave_one_out(
        self, images: Float[Tensor, "B N C H W"], t: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B*N *L D_c"]:
        """With every image encoded once."""
        encoded = self._encode_sets(images, t)  # (B, N, …, D_c)
        total = encoded.sum(dim=1, keepdim=True)
        return ((total - encoded) / (images.shape[1] - 1)).flatten(0, 1)

    def _encode_sets(
        self, images: Float[Tensor, "b n C H W"], t: Int[Tensor, " b"] | None
    ) -> Float[Tensor, "b n *L D_c"]:
        b, n = images.shape[:2]
        times = None if t is None else t.repeat_interleave(n)
        return self.encode_images(images.flatten(0, 1), times).unflatten(0, (b, n))  # (b, n, …, D_c)
