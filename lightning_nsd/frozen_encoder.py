"""What a network beside the model owes, that is frozen and whose outputs of the data's images are computed once."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from lightning_nsd.errors import UserError

Kind = Literal["latents", "features"]

_beside_the_model: ContextVar[bool] = ContextVar("beside_the_model", default=False)


class FrozenEncoder(ABC):
    """A frozen network that encodes images, each on its own.

    It is no module, so that it is never in a model's weights, its moving average, its optimiser or its checkpoint. A
    subclass keeps its constructor's arguments as attributes; a checkpoint names the class and them.

    Attributes:
        kind: what it makes: a field of `EpisodeBatch`, and the name of its cache.
        hash: of its weights. It is an argument too, which a checkpoint has: weights of another are an error.
    """

    kind: Kind
    hash: str

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Encodings `(b, *shape)` of images `(b, C, H, W)` in [-1, 1], without gradients."""

    @abstractmethod
    def encoding_shape(self, image_size: int) -> tuple[int, ...]:
        """`shape` of one encoding of an image of `image_size` pixels along a side."""

    def check_hash(self, expected: str | None, named: str) -> None:
        """Whether it is the one that a checkpoint knows.

        Args:
            expected: its hash; None for any.
            named: what and where it is, for the message.

        Raises:
            UserError: it is another.
        """
        if expected not in (None, self.hash):
            raise UserError(
                f"{named} is another than the one that the model was trained with: its hash is {self.hash}, and "
                f"{expected} is expected."
            )

    def input_size(self, image_size: int) -> int:
        """Pixels along a side of what it computes on: the image's, or those that an image is resized to."""
        return image_size


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


@contextmanager
def building_beside_the_model() -> Iterator[None]:
    """While a frozen network is built: its parameters are not the model's."""
    token = _beside_the_model.set(True)
    try:
        yield
    finally:
        _beside_the_model.reset(token)


def is_beside_the_model() -> bool:
    """Whether a frozen network is being built."""
    return _beside_the_model.get()
