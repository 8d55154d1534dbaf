"""The random numbers of one batch of episodes, all from one source."""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jax_reference.model.context import Noise

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

    t: Int[Array, " B"]
    noise: Float[Array, "B*N C H W"]
    context_noise: Float[Array, "B*N *L D_n"] | None = None
    dropped: Bool[Array, " B*N"] | None = None
    classes: Int[Array, " B"] | None = None
    latent_noise: Float[Array, "B N C H W"] | None = None


def draw(
    images: Float[np.ndarray, "B N C H W"],
    num_steps: int,
    context_noise_shape: tuple[int, ...] | None,
    context_dropout: float,
    source: np.random.Generator,
    context_noise_kind: Noise | None = "normal",
    latents: bool = False,
    timestep_sampling: TimestepSampling = "uniform",
) -> Draws:
    """The draws of a batch, in the order of `Draws`; those that are not needed are not drawn.

    Args:
        images: episodes, or the means of their latents; give shape and dtype.
        num_steps: timesteps are drawn from 0 … num_steps − 1.
        context_noise_shape: of one context; None for none.
        context_dropout: probability of the null context; 0 draws nothing.
        source: gives the numbers.
        context_noise_kind: what contexts' noise is drawn from.
        latents: whether these are latents, which are drawn from their posteriors.
        timestep_sampling: of an episode's timestep; logit-normal draws the middle ones more often.
    """
    b, n, *shape = images.shape
    t = jnp.asarray(draw_timesteps(num_steps, b, source, timestep_sampling))
    noise = jnp.asarray(source.standard_normal((b * n, *shape)).astype(images.dtype))
    context_noise, dropped, latent_noise = None, None, None
    if context_noise_shape is not None:
        numbers = source.random if context_noise_kind == "uniform" else source.standard_normal
        context_noise = jnp.asarray(numbers((b * n, *context_noise_shape)).astype(images.dtype))
    if context_dropout > 0:
        dropped = jnp.asarray(source.random(b * n) < context_dropout)
    if latents:
        latent_noise = jnp.asarray(source.standard_normal(images.shape).astype(images.dtype))
    return Draws(t, noise, context_noise, dropped, latent_noise=latent_noise)


def draw_timesteps(
    num_steps: int, count: int, source: np.random.Generator, sampling: TimestepSampling
) -> Int[np.ndarray, " B"]:
    """Timesteps 0 … num_steps − 1: uniform, or ⌊num_steps · σ(z)⌋ of normal z (arXiv 2403.03206, section 3.1)."""
    if sampling == "uniform":
        return source.integers(0, num_steps, count)
    z = source.standard_normal(count).astype(np.float32).astype(np.float64)  # (B,); so both sides round to one integer
    return np.minimum((num_steps / (1 + np.exp(-z))).astype(np.int64), num_steps - 1)
