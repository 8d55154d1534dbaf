"""Set encoder, context and denoiser as one network."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lightning_nsd.errors import UserError
from lightning_nsd.model.context import Context, ContextOutput, Noise, replace_by_null
from lightning_nsd.model.denoiser import Denoiser
from lightning_nsd.model.set_encoder import SetEncoder
from lightning_nsd.model.spatial_context import SpatialContext, zero_where
from lightning_nsd.settings.numbers import Channels, Pixels, Probability, Shots, bounded

EncoderFactory = Callable[[int, int, int], SetEncoder]
ContextFactory = Callable[[int], Context]
DenoiserFactory = Callable[[int, int, int, int], Denoiser]
SpatialContextFactory = Callable[[int], SpatialContext]


class FewShotOutput(NamedTuple):
    """Network output and each context's KL in bits, or None."""

    output: Float[Tensor, "b C_out H W"]
    kl_context: Float[Tensor, " b"] | None


@bounded("model")
class FewShotDenoiser(nn.Module):
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

    Raises:
        UserError: parts that do not fit together.
    """

    def __init__(
        self,
        image_size: Pixels,
        channels: Channels,
        out_channels: Channels,
        n_shot: Shots,
        encoder: EncoderFactory | None,
        context: ContextFactory,
        denoiser: DenoiserFactory,
        context_dropout: Probability = 0.0,
        spatial_context: SpatialContextFactory | None = None,
        leave_one_out: bool = True,
    ) -> None:
        super().__init__()
        self.image_shape = (channels, image_size, image_size)
        self.leave_one_out = leave_one_out
        self.encoder = encoder(image_size, channels, n_shot) if encoder else None
        context_dim = self.encoder.context_dim if self.encoder else 0
        # None where there is no encoder, which everybody asks about first
        self.context: Context = context(context_dim) if self.encoder else None  # type: ignore[assignment]
        self.spatial_context = spatial_context(channels) if spatial_context else None
        in_channels = channels + (self.spatial_context.out_channels if self.spatial_context else 0)
        self.denoiser = denoiser(image_size, in_channels, out_channels, context_dim)
        check_parts(self.encoder, self.spatial_context, self.denoiser, context_dropout)
        if not leave_one_out and self.encoder is not None and not self.encoder.takes(n_shot + 1):
            raise UserError(
                f"model.leave_one_out is false, which shows the encoder all {n_shot + 1} images of an episode, and "
                f"{type(self.encoder).__name__} was built for {n_shot}. Set its slots to {n_shot + 1} or more."
            )
        self.null_context = nn.Parameter(torch.zeros(context_dim)) if context_dropout and self.encoder else None

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
        images: Float[Tensor, "B N C H W"],
        t: Int[Tensor, " B"] | None = None,
        context_noise: Float[Tensor, "B N *L D_n"] | Float[Tensor, "B*N *L D_n"] | None = None,
        classes: Int[Tensor, " B"] | None = None,
    ) -> ContextOutput | None:
        """The context of every image, from the others of its episode or from all, in one encoder call.

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
            h = h.repeat_interleave(n, dim=0)  # (B·N, …)
        if context_noise is not None:
            context_noise = context_noise.reshape(*h.shape[:-1], -1)  # (B·N, …)
        return self.context(h, context_noise)

    def episode_maps(self, images: Float[Tensor, "B N C H W"]) -> Float[Tensor, "B*N M H W"] | None:
        """The spatial context of every image of an episode; None without one."""
        if self.spatial_context is None:
            return None
        if self.leave_one_out:
            return self.spatial_context.encode_leave_one_out(images)
        maps, n = self.spatial_context(images), images.shape[1]
        return maps.repeat_interleave(n, dim=0)

    def support_context(
        self, support: Float[Tensor, "b n C H W"] | Int[Tensor, " b"], t: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b *L D_c"] | None:
        """The context of support sets, or of classes: the mean, or the likeliest entry; None without an encoder."""
        if self.encoder is None:
            return None
        return self.context(self.encoder(support, t)).context

    def support_maps(self, support: Float[Tensor, "b n C H W"] | Int[Tensor, " b"]) -> Float[Tensor, "b M H W"] | None:
        """The spatial context of support sets; None without one."""
        return None if self.spatial_context is None else self.spatial_context(support)

    def denoise(
        self,
        x_t: Float[Tensor, "b C H W"],
        t: Int[Tensor, " b"],
        context: Float[Tensor, "b *L D_c"] | None,
        maps: Float[Tensor, "b M H W"] | None,
    ) -> Float[Tensor, "b C_out H W"]:
        """The network's output, given both contexts."""
        return self.denoiser(x_t if maps is None else torch.cat([x_t, maps], dim=1), t, context)

    def forward(
        self,
        images: Float[Tensor, "B N C H W"],
        x_t: Float[Tensor, "B*N C_x H_x W_x"],
        t: Int[Tensor, " B"],
        context_noise: Float[Tensor, "B N *L D_n"] | Float[Tensor, "B*N *L D_n"] | None = None,
        dropped: Bool[Tensor, " B*N"] | None = None,
        classes: Int[Tensor, " B"] | None = None,
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
            unseen = (classes < 0).repeat_interleave(images.shape[1])  # (B·N,)
            dropped = unseen if dropped is None else dropped | unseen
        if dropped is not None and self.null_context is not None and context is not None:
            context = replace_by_null(context, self.null_context, dropped)
        maps = self.episode_maps(images)
        if dropped is not None and maps is not None:
            maps = zero_where(maps, dropped)
        output = self.denoise(x_t, t.repeat_interleave(images.shape[1]), context, maps)
        return FewShotOutput(output, context_output.kl if context_output else None)


def check_parts(
    encoder: SetEncoder | None, spatial_context: SpatialContext | None, denoiser: Denoiser, context_dropout: float
) -> None:
    """Whether the encoder's output is what the denoiser's conditioning takes.

    Raises:
        UserError: says which two settings contradict each other.
    """
    conditioning = denoiser.conditioning
    if encoder is None and spatial_context is not None:
        raise UserError(
            "model.spatial_context stands beside the context of model.encoder, and there is no encoder. Name one, or "
            "set spatial_context to null."
        )
    if encoder is not None and encoder.takes_classes and spatial_context is not None:
        raise UserError(
            f"model.spatial_context is of example images, and {type(encoder).__name__} has none. Set it to null."
        )
    if encoder is not None and encoder.takes_classes and not context_dropout:
        raise UserError(
            f"model.context_dropout is 0, and {type(encoder).__name__} needs the null context for held-out classes. "
            "Set it above 0 (0.1 is usual)."
        )
    if encoder is None and conditioning != "none":
        raise UserError(
            f"model.denoiser.conditioning is {conditioning}, but there is no model.encoder to make a context. "
            "Name an encoder, or set conditioning to none."
        )
    if encoder is not None and conditioning == "none":
        raise UserError(
            "model.denoiser.conditioning is none, so model.encoder would never be used. Set the encoder to null "
            "(the unconditional baseline), or conditioning to film or cross_attention."
        )
    if encoder is not None and encoder.gives_tokens and conditioning == "film":
        raise UserError(
            f"model.encoder's pool gives tokens, and model.denoiser.conditioning is film, which takes one vector. "
            f"Choose conditioning cross_attention, or another pool of {type(encoder).__name__}, such as cls or mean."
        )
