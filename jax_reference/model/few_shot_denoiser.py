"""Set encoder, context and denoiser as one network."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jax_reference.model.context import Context, ContextOutput, Noise, replace_by_null
from jax_reference.model.denoiser import Denoiser
from jax_reference.model.set_encoder import SetEncoder
from jax_reference.model.spatial_context import SpatialContext, zero_where

EncoderFactory = Callable[..., SetEncoder]
ContextFactory = Callable[..., Context]
DenoiserFactory = Callable[..., Denoiser]
SpatialContextFactory = Callable[..., SpatialContext]


class FewShotOutput(NamedTuple):
    """Network output and each context's KL in bits, or None."""

    output: Float[Array, "b C_out H W"]
    kl_context: Float[Array, " b"] | None


class FewShotDenoiser(nnx.Module):
    """Denoises an image given other images of its class (FSDM, arXiv 2205.15463).

    Args:
        image_size: pixels along a side.
        channels: of an image.
        out_channels: of the network's output.
        n_shot: images of a support set.
        encoder: makes the set encoder from (image_size, channels, n_shot); None without conditioning.
        context: makes the context from context_dim.
        denoiser: makes the denoiser from (image_size, in_channels, out_channels, context_dim).
        context_dropout: probability that a query's context is replaced by a learned null context in training;
            there is no null context where it is 0.
        spatial_context: makes a second context from channels: maps of an image's size, concatenated with x_t (as of
            a low-resolution image in Saharia et al. 2021, arXiv 2104.07636). None without.
        leave_one_out: whether in training a query is left out of its own context; without, the context is of all
            images of the episode, and says what is to be denoised.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        out_channels: int,
        n_shot: int,
        encoder: EncoderFactory | None,
        context: ContextFactory,
        denoiser: DenoiserFactory,
        context_dropout: float = 0.0,
        spatial_context: SpatialContextFactory | None = None,
        leave_one_out: bool = True,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        if not 0.0 <= context_dropout < 1.0:
            raise ValueError(f"context_dropout is {context_dropout}; it must lie in [0, 1).")
        self.image_shape = (channels, image_size, image_size)
        self.leave_one_out = leave_one_out
        self.encoder = encoder(image_size, channels, n_shot, rngs=rngs) if encoder else None
        context_dim = self.encoder.context_dim if self.encoder else 0
        # None where there is no encoder, which everybody asks about first
        self.context: Context = context(context_dim, rngs=rngs) if self.encoder else None  # type: ignore[assignment]
        self.spatial_context = spatial_context(channels, rngs=rngs) if spatial_context else None
        in_channels = channels + (self.spatial_context.out_channels if self.spatial_context else 0)
        self.denoiser = denoiser(image_size, in_channels, out_channels, context_dim, rngs=rngs)
        check_parts(self.encoder, self.spatial_context, self.denoiser, context_dropout)
        if not leave_one_out and self.encoder is not None and not self.encoder.takes(n_shot + 1):
            raise ValueError(f"leave_one_out is false, and {type(self.encoder).__name__} takes {n_shot} images alone.")
        self.null_context = nnx.Param(jnp.zeros(context_dim, jnp.float32)) if context_dropout and self.encoder else None

    @property
    def time_conditioned(self) -> bool:
        """Whether the context has to be computed anew at every sampling step."""
        return self.encoder is not None and self.encoder.time_conditioned

    @property
    def takes_classes(self) -> bool:
        """Whether contexts are of classes, by their numbers, and not of images."""
        return self.encoder is not None and self.encoder.takes_classes

    @property
    def context_noise_kind(self) -> Noise | None:
        """What a context's noise is drawn from; None where none is drawn."""
        return None if self.encoder is None else self.context.noise

    def context_noise_shape(self, n_images: int) -> tuple[int, ...] | None:
        """Shape of the noise of one query's context in episodes of `n_images`; None where none is drawn."""
        if self.encoder is None or self.context.noise is None:
            return None
        context_shape = self.encoder.context_shape(n_images - 1 if self.leave_one_out else n_images)
        return self.context.noise_shape(context_shape)

    def episode_context(
        self,
        images: Float[Array, "B N C H W"],
        t: Int[Array, " B"] | None = None,
        context_noise: Float[Array, "B N *L D_n"] | Float[Array, "B*N *L D_n"] | None = None,
        classes: Int[Array, " B"] | None = None,
    ) -> ContextOutput | None:
        """The context of every image, from the others of its episode or from all.

        Args:
            images: episodes, in [-1, 1].
            t: one timestep per episode, for a time-conditioned encoder.
            context_noise: of a variational or discrete context, for each of the B·N; None takes the mean, or the
                likeliest entry.
            classes: of the episodes, for an encoder that takes them.

        Returns:
            Contexts and their KL; None without an encoder.
        """
        if self.encoder is None:
            return None
        shown = classes if self.takes_classes else images
        if shown is None:
            raise ValueError(f"{type(self.encoder).__name__} sees no images: give the classes (B,)")
        if self.leave_one_out and not self.takes_classes:
            h = self.encoder.encode_leave_one_out(images, t)
        else:
            h = self.encoder(shown, t)
            n = images.shape[1]
            h = jnp.repeat(h, n, axis=0)  # (B·N, …)
        if context_noise is not None:
            context_noise = context_noise.reshape(*h.shape[:-1], -1)  # (B·N, …)
        return self.context(h, context_noise)

    def episode_maps(self, images: Float[Array, "B N C H W"]) -> Float[Array, "B*N M H W"] | None:
        """The spatial context of every image of an episode; None without one."""
        if self.spatial_context is None:
            return None
        if self.leave_one_out:
            return self.spatial_context.encode_leave_one_out(images)
        maps, n = self.spatial_context(images), images.shape[1]
        return jnp.repeat(maps, n, axis=0)

    def support_context(
        self, support: Float[Array, "b n C H W"] | Int[Array, " b"], t: Int[Array, " b"] | None = None
    ) -> Float[Array, "b *L D_c"] | None:
        """The context of support sets, or of classes: the mean, or the likeliest entry; None without an encoder."""
        if self.encoder is None:
            return None
        return self.context(self.encoder(support, t)).context

    def support_maps(self, support: Float[Array, "b n C H W"] | Int[Array, " b"]) -> Float[Array, "b M H W"] | None:
        """The spatial context of support sets; None without one."""
        return None if self.spatial_context is None else self.spatial_context(support)

    def denoise(
        self,
        x_t: Float[Array, "b C H W"],
        t: Int[Array, " b"],
        context: Float[Array, "b *L D_c"] | None,
        maps: Float[Array, "b M H W"] | None,
    ) -> Float[Array, "b C_out H W"]:
        """The network's output, given both contexts."""
        return self.denoiser(x_t if maps is None else jnp.concatenate([x_t, maps], axis=1), t, context)

    def __call__(
        self,
        images: Float[Array, "B N C H W"],
        x_t: Float[Array, "B*N C_x H_x W_x"],
        t: Int[Array, " B"],
        context_noise: Float[Array, "B N *L D_n"] | Float[Array, "B*N *L D_n"] | None = None,
        dropped: Bool[Array, " B*N"] | None = None,
        classes: Int[Array, " B"] | None = None,
    ) -> FewShotOutput:
        """Denoise every image of an episode given the others.

        Args:
            images: clean episodes.
            x_t: noised images.
            t: one timestep per episode.
            context_noise: see `episode_context`.
            dropped: queries whose contexts are replaced by the null contexts.
            classes: of the episodes, for an encoder that takes them. Of a class below 0 training sees nothing, and the
                null contexts are its own.
        """
        context_output = self.episode_context(images, t if self.time_conditioned else None, context_noise, classes)
        context = context_output.context if context_output else None
        if classes is not None:
            unseen = jnp.repeat(classes < 0, images.shape[1])  # (B·N,)
            dropped = unseen if dropped is None else dropped | unseen
        if dropped is not None and self.null_context is not None and context is not None:
            context = replace_by_null(context, self.null_context[...], dropped)
        maps = self.episode_maps(images)
        if dropped is not None and maps is not None:
            maps = zero_where(maps, dropped)
        output = self.denoise(x_t, jnp.repeat(t, images.shape[1]), context, maps)
        return FewShotOutput(output, context_output.kl if context_output else None)


def check_parts(
    encoder: SetEncoder | None, spatial_context: SpatialContext | None, denoiser: Denoiser, context_dropout: float
) -> None:
    """Whether the encoder's output is what the denoiser's conditioning takes.

    Raises:
        ValueError: says which two settings contradict each other.
    """
    conditioning = denoiser.conditioning
    if encoder is None and spatial_context is not None:
        raise ValueError("a spatial context stands beside an encoder's, and there is no encoder.")
    if encoder is not None and encoder.takes_classes and (spatial_context is not None or not context_dropout):
        raise ValueError(f"{type(encoder).__name__} needs context_dropout above 0, and sees no images for maps.")
    if (encoder is None) != (conditioning == "none"):
        raise ValueError(f"conditioning is {conditioning}, and the encoder is {type(encoder).__name__}.")
    if encoder is not None and encoder.gives_tokens and conditioning == "film":
        raise ValueError(f"{type(encoder).__name__} gives tokens, and conditioning film takes one vector.")
