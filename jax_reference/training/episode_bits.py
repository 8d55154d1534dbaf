"""The bits per dimension of an episode's images, each given the context that the loss gives it."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int

from jax_reference.diffusion.gaussian import GaussianDiffusion
from jax_reference.diffusion.likelihood import step_bits
from jax_reference.diffusion.strata import Strata, estimate_sum
from jax_reference.model.few_shot_denoiser import FewShotDenoiser

NAN = float("nan")


class EpisodeTerms(NamedTuple):
    """What is found of every image at some timesteps, in bits per dimension of an image.

    Attributes:
        steps: terms of the diffusion's bound.
        context: KL of the image's context to its prior; 0 where the context is not variational.
    """

    steps: Float[Array, "S N"]
    context: Float[Array, "S N"]


class Bits(NamedTuple):
    """Bits per dimension of real images, given their contexts: an upper bound of −log2 p, over C·H·W.

    Attributes:
        total: the bound: the terms of all timesteps, the prior and the context.
        error: standard error of `total`, of what is left out where not every timestep is visited; 0 where all are. How
            other images or other noise would do is not in it.
        prior: KL of the last x_t to the noise that sampling starts from (L_T).
        decoder: of the step to the 8-bit image, t = 0 (L_0).
        context: KL of a variational context.
    """

    total: float = NAN
    error: float = NAN
    prior: float = NAN
    decoder: float = NAN
    context: float = NAN


def episode_terms(
    model: FewShotDenoiser,
    diffusion: GaussianDiffusion,
    images: Float[Array, "N C H W"],
    t: Int[Array, " S"],
    noise: Float[Array, "S N C H W"],
    context_noise: Float[Array, "N *L D_c"] | None = None,
) -> EpisodeTerms:
    """The terms of every image of one episode at some timesteps, its context from the other images as in the loss.

    A variational context is drawn and its KL counted, as the bound asks; the validation loss and sampling take the
    mean. Every query has a context of its own, so it bears the whole KL: the KL in bits, summed over the context's
    dimensions, divided by the C·H·W dimensions of one image, and not shared among the images of the episode. Guidance
    takes no part.

    Here the episode is encoded anew for every timestep, whether its contexts depend on the time or not.

    Args:
        model: the network.
        diffusion: the process, and what the network predicts.
        images: 8-bit images of one class in [-1, 1].
        t: timesteps.
        noise: eps of each image at each timestep.
        context_noise: xi of each image's variational context, the same at all timesteps; None takes the mean.
    """
    s, n = noise.shape[:2]
    episodes = jnp.stack([images] * s)  # (S, N, C, H, W)
    xi = None if context_noise is None else jnp.stack([context_noise] * s)
    x_0, times = jnp.concatenate([images] * s), jnp.repeat(t, n)
    x_t = diffusion.q_sample(x_0, times, noise.reshape(x_0.shape))
    output, kl = model(episodes, x_t, t, xi)
    steps = step_bits(diffusion, output, x_0, x_t, times).reshape(s, n)
    if kl is None:
        return EpisodeTerms(steps, jnp.zeros_like(steps))
    dimensions = math.prod(model.context_noise_shape(n) or ())
    return EpisodeTerms(steps, dimensions * kl.reshape(s, n) / images[0].size)


def episode_bits(
    strata: Strata,
    steps: Float64[np.ndarray, "S N"],
    context: Float64[np.ndarray, "S N"],
    prior: Float64[np.ndarray, " N"],
    time_conditioned: bool,
) -> Bits:
    """The bits per dimension of an episode, the mean over its images.

    Args:
        strata: the timesteps that were visited.
        steps: of `episode_terms` there.
        context: the same. A context that depends on the time is another latent variable at each timestep, and the KL
            of all of them is counted; else there is one, whose KL is counted once.
        prior: `prior_bits` of every image.
        time_conditioned: whether the context depends on the time.
    """
    if not time_conditioned:  # spread over the timesteps: the sum of the shares is the one KL
        context = np.repeat(context[:1] / strata.sizes.sum(), len(context), axis=0)
    total, error = estimate_sum(strata, (steps + context).mean(axis=1))
    kl, _ = estimate_sum(strata, context.mean(axis=1))
    return Bits(total + float(prior.mean()), error, float(prior.mean()), float(steps[0].mean()), kl)
