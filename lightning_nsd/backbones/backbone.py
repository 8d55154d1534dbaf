"""What a model asks of the pretrained network whose features its set encoder sees."""

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor

from lightning_nsd.frozen_encoder import FrozenEncoder, Kind


class Backbone(FrozenEncoder):
    """A frozen network from images to features, which have the shape of images: channels, and places along two sides.

    Attributes:
        channels: D, of a feature.
        size: s, features along a side of an image; 1 where an image has a single one.
    """

    kind: Kind = "features"
    channels: int
    size: int

    @abstractmethod
    def encode(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b D s s"]:
        """Features of images in [-1, 1], grey ones or in colour, of any size."""

    def encoding_shape(self, image_size: int) -> tuple[int, ...]:
        return (self.channels, self.size, self.size)
