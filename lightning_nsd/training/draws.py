"""The random numbers of one batch of episodes, all from one source."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lightning_nsd.model.context import Noise
from lightning_nsd.random_source import RandomSource

TimestepSampling = Literal["uniform", "logit_normal"]


class Draws(NamedTuple):
    """What a loss needs besides the images.

    Attributes:
        t: one timestep per episode.
        noise: eps of each image.
        context_noise: of each leave-one-out context, for a variational or a discrete context.
        dropped: queries that see the null context, with context dropout.
        classes: of the episodes, for an encoder that takes them; below 0 where training sees none of it. Not drawn
            here.
        latent_noise: of the posterior of each latent, for latent diffusion.
    """

    t: Int[Tensor, " B"]
    noise: Float[Tensor, "B*N C H W"]
    context_noise: Float[Tensor, "B*N *L D_n"] | None = None
    dropped: Bool[Tensor, " B*N"] | None = None
    classes: Int[Tensor, " B"] | None = None
    latent_noise: Float[Tensor, "B N C H W"] | None = None


def draw(
    images: Float[Tensor, "B N C H W"],
    num_steps: int,
    context_noise_shape: tuple[int, ...] | None,
    context_dropout: float,
    source: RandomSource,
    context_noise_kind: Noise | None = "normal",
    latents: bool = False,
    timestep_sampling: TimestepSampling = "uniform",
) -> Draws:
    """The draws of a batch, in the order of `Draws`; those that are not needed are not drawn.

    Args:
        images: episodes, or the means of their latents; give the shape.
        num_steps: timesteps are drawn from 0 … num_steps − 1.
        context_noise_shape: of one context; None for none.
        context_dropout: probability of the null context; 0 draws nothing.
        source: gives the numbers.
        context_noise_kind: what contexts' noise is drawn from.
        latents: whether these are latents, which are drawn from their posteriors.
        timestep_sampling: of an episode's timestep; logit-normal draws the middle ones more often.
    """
    b, n, *shape = images.shape
    t = draw_timesteps(num_steps, b, source, timestep_sampling)
    noise = source.normal(b * n, *shape)
    context_noise = None
    if context_noise_shape is not None:
        numbers = source.uniform if context_noise_kind == "uniform" else source.normal
        context_noise = numbers(b * n, *context_noise_shape).to(noise.dtype)
    dropped = source.uniform(b * n) < context_dropout if context_dropout > 0 else None
    latent_noise = source.normal(b * n, *shape).unflatten(0, (b, n)) if latents else None
    return Draws(t, noise, context_noise, dropped, latent_noise=latent_noise)


def draw_timesteps(num_steps: int, count: int, source: RandomSource, sampling: TimestepSampling) -> Int[Tensor, " B"]:
    """Timesteps 0 … num_steps − 1: uniform, or ⌊num_steps · σ(z)⌋ of normal z (arXiv 2403.03206, section 3.1)."""
    if sampling == "uniform":
        return source.integers(num_steps, count)
    z = source.normal(count).float().double()  # (B,); so both sides round to one integer
    return (num_steps / (1 + torch.exp(-z))).long().clamp(max=num_steps - 1)
