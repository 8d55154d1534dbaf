"""A head behind the features of a pretrained network, then the mean over the set."""

from itertools import pairwise
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from lightning_nsd.model.mean_encoder import MeanEncoder
from lightning_nsd.model.set_encoder import check_pool
from lightning_nsd.settings.numbers import Channels, Pixels, Shots, Width, bounded


@bounded("model.encoder")
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

    Raises:
        UserError: an unknown pool.
    """

    def __init__(
        self,
        image_size: Pixels,
        channels: Channels,
        n_shot: Shots,
        context_dim: Width = 128,
        mlp_head_dim: Width | None = None,
        pool: Literal["mean", "mean_patch"] = "mean",
    ) -> None:
        check_pool("FeatureEncoder", pool, ("mean", "mean_patch"))
        super().__init__(n_shot, context_dim, gives_tokens=pool == "mean_patch", time_conditioned=False)
        self.pool = pool
        self.num_patches = image_size**2
        widths = (
            [channels, context_dim] if mlp_head_dim is None else [channels, mlp_head_dim, mlp_head_dim, context_dim]
        )
        self.head = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(widths)])
        self.act = nn.GELU(approximate="tanh")

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        return (self.num_patches, self.context_dim) if self.gives_tokens else (self.context_dim,)

    def encode_images(
        self, images: Float[Tensor, "b C H W"], t: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b *L D_c"]:
        """The features of each image on their own."""
        features = images.flatten(2).transpose(1, 2)  # (b, L, D)
        h = features if self.gives_tokens else features.mean(dim=1)
        for number, layer in enumerate(self.head):
            h = layer(self.act(h) if number else h)  # (b, …, D_c) in the end
        return h
