"""Where a model draws, among images or latents, and what its set encoder sees: images, latents or features."""

import copy
from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from lightning_nsd.data.episodes import EpisodeBatch
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.frozen_encoder import Backbone, FrozenEncoder
from lightning_nsd.latents.autoencoder import Autoencoder
from lightning_nsd.model.set_encoder import SetEncoder

EncoderInput = Literal["latents", "images"]


class LatentSpace:
    """What stands between images and what a model draws, and between images and its set encoder.

    Args:
        autoencoder: None where images themselves are drawn.
        encoder_input: what the set encoder sees where there is an autoencoder and no backbone.
        image_size: pixels of an image along a side.
        channels: of an image.
        backbone: of the features that the set encoder sees; None without.

    Attributes:
        size: pixels along a side of what is drawn.
        channels: of what is drawn.
        seen: places along a side, and channels, of what the set encoder sees.
        shows_images: whether the set encoder sees images.
        frozen: the networks that encode the data's images.

    Raises:
        UserError: images that the autoencoder cannot take.
    """

    def __init__(
        self,
        autoencoder: Autoencoder | None,
        encoder_input: EncoderInput,
        image_size: int,
        channels: int,
        backbone: Backbone | None = None,
    ) -> None:
        self.autoencoder = autoencoder
        self.backbone = backbone
        self.frozen: list[FrozenEncoder] = [each for each in (autoencoder, backbone) if each is not None]
        self.shows_images = backbone is None and (autoencoder is None or encoder_input == "images")
        self.size = autoencoder.latent_size(image_size, channels) if autoencoder else image_size
        self.channels = autoencoder.latent_channels if autoencoder else channels
        self.seen = (image_size, channels) if self.shows_images else (self.size, self.channels)
        if backbone is not None:
            self.seen = backbone.size, backbone.channels

    def fitted(self, encoder: Callable[[int, int, int], SetEncoder]) -> Callable[[int, int, int], SetEncoder]:
        """A set encoder's factory, for what the encoder sees, whatever it is called with."""
        return lambda _size, _channels, n_shot: encoder(*self.seen, n_shot)

    def posterior(
        self, images: Float[Tensor, "B N C H W"], latents: Float[Tensor, "B N 2 C_z h w"] | None
    ) -> Float[Tensor, "B N 2 C_z h w"] | None:
        """Posteriors of the latents of episodes: those that are known, or made anew; None where images are drawn."""
        if self.autoencoder is None or latents is not None:
            return latents
        return self.autoencoder.encode(images.flatten(0, 1)).unflatten(0, images.shape[:2])

    def shown(self, support: Float[Tensor, "b n C H W"]) -> Float[Tensor, "b n C_s H_s W_s"]:
        """What the set encoder sees of support sets: the images, their features, or the means of their latents."""
        if self.backbone is not None:
            return self.backbone.encode(support.flatten(0, 1)).unflatten(0, support.shape[:2])
        if self.autoencoder is None or self.shows_images:
            return support
        return self.autoencoder.encode(support.flatten(0, 1))[:, 0].unflatten(0, support.shape[:2])

    def shown_of(self, batch: EpisodeBatch, drawn: Float[Tensor, "B N C_z h w"]) -> Float[Tensor, "B N C_s H_s W_s"]:
        """What the set encoder sees of a batch, of which `drawn` are the images, or latents, that are denoised."""
        if self.backbone is not None:
            return self.shown(batch.images) if batch.features is None else batch.features
        return batch.images if self.shows_images else drawn

    def sampler(self, sampler: Sampler) -> Sampler:
        """The sampler, which does not clip among latents: they have no bounds."""
        if self.autoencoder is None or not sampler.clip:
            return sampler
        unclipped = copy.copy(sampler)
        unclipped.clip = False
        return unclipped

    def decode(self, drawn: Float[Tensor, "b C_z h w"]) -> Float[Tensor, "b C H W"]:
        """Images of what was drawn, in about [-1, 1]."""
        return drawn if self.autoencoder is None else self.autoencoder.decode(drawn)


def check_latents(diffusion: GaussianDiffusion, encoder_input: EncoderInput, spatial_context: object | None) -> None:
    """Whether settings of images make sense among latents.

    Raises:
        UserError: says which do not.
    """
    if diffusion.variance == "learned":
        raise UserError(
            "model.diffusion.variance is learned, whose loss has the likelihood of images of 8 bits at t = 0, and "
            "model.autoencoder's latents are no such images. Choose fixed_large or fixed_small."
        )
    if encoder_input == "images" and spatial_context is not None:
        raise UserError(
            "model.spatial_context stands beside the latents, and model.encoder_input is images. Set it to latents, or "
            "spatial_context to null."
        )


def check_backbone(encoder: object | None, spatial_context: object | None) -> None:
    """Whether there is something that sees features, and nothing that cannot.

    Raises:
        UserError: says what contradicts them.
    """
    if encoder is None:
        raise UserError(
            "model.backbone makes features for model.encoder, and there is none. Name one, such as FeatureEncoder, or "
            "set backbone to null."
        )
    if spatial_context is not None:
        raise UserError(
            "model.spatial_context is made of images and model.backbone of features, of another size. Set one of them "
            "to null."
        )
