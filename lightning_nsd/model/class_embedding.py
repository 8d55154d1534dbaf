"""The class-conditional baseline: contexts of classes, given by their numbers, instead of images."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lightning_nsd.model.set_encoder import SetEncoder
from lightning_nsd.settings.numbers import Channels, Classes, Pixels, Shots, Width, bounded


@bounded("model.encoder")
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
        self, image_size: Pixels, channels: Channels, n_shot: Shots, num_classes: Classes, context_dim: Width = 256
    ) -> None:
        super().__init__(n_shot, context_dim, gives_tokens=False, time_conditioned=False)
        self.num_classes = num_classes
        self.table = nn.Parameter(0.02 * torch.randn(num_classes, context_dim))

    @property
    def knows(self) -> str:
        """What it can be asked about, as a sentence of an error."""
        return f"A ClassEmbedding knows the {self.num_classes} classes of training, and none that is held out."

    def forward(self, support: Int[Tensor, " b"], t: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b D_c"]:
        """The vectors of classes, from 0; what a number below 0 gives is for the null context to replace."""
        return self.table[support.clamp(min=0)]
