"""What a latent diffusion model asks of its autoencoder (Rombach et al. 2022, arXiv 2112.10752)."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from lightning_nsd.errors import UserError


class Autoencoder(ABC):
    """A frozen pair of networks between images and latents.

    It is no module, so that it is never in a model's weights, its moving average, its optimiser or its checkpoint. A
    subclass keeps its constructor's arguments as attributes; a checkpoint names the class and them.

    Attributes:
        image_channels: of the images that it takes.
        latent_channels: of a latent.
        factor: pixels of an image along a side for each of a latent.
        hash: of its weights. It is an argument too, which a checkpoint has: weights of another are an error.
    """

    image_channels: int
    latent_channels: int
    factor: int
    hash: str

    @abstractmethod
    def encode(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b 2 C_z h w"]:
        """The posterior of images in [-1, 1]: mean and standard deviation of a latent, in about unit variance."""

    @abstractmethod
    def decode(self, latents: Float[Tensor, "b C_z h w"]) -> Float[Tensor, "b C H W"]:
        """Images, in about [-1, 1], of latents."""

    def latent_size(self, image_size: int, channels: int) -> int:
        """Pixels along a side of the latents of images.

        Raises:
            UserError: images that it cannot take.
        """
        if channels != self.image_channels:
            raise UserError(
                f"model.autoencoder takes images of {self.image_channels} channels, and those of the data have "
                f"{channels}. Set data.channels, or name another autoencoder."
            )
        if image_size % self.factor or image_size < self.factor:
            raise UserError(
                f"model.autoencoder makes one latent of {self.factor} × {self.factor} pixels, and data.image_size is "
                f"{image_size}. Choose a multiple of {self.factor}."
            )
        return image_size // self.factor
