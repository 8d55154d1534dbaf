"""What a latent diffusion model asks of its autoencoder (Rombach et al. 2022, arXiv 2112.10752)."""

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor

from lightning_nsd.errors import UserError
from lightning_nsd.frozen_encoder import FrozenEncoder, Kind


class Autoencoder(FrozenEncoder):
    """A frozen pair of networks between images and latents.

    Attributes:
        image_channels: of the images that it takes.
        latent_channels: of a latent.
        factor: pixels of an image along a side for each of a latent.
    """

    kind: Kind = "latents"
    image_channels: int
    latent_channels: int
    factor: int

    @abstractmethod
    def encode(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b 2 C_z h w"]:
        """The posterior of images in [-1, 1]: mean and standard deviation of a latent, in about unit variance."""

    @abstractmethod
    def decode(self, latents: Float[Tensor, "b C_z h w"]) -> Float[Tensor, "b C H W"]:
        """Images, in about [-1, 1], of latents."""

    def encoding_shape(self, image_size: int) -> tuple[int, ...]:
        size = image_size // self.factor
        return (2, self.latent_channels, size, size)

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
