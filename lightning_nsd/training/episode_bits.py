"""The bits per dimension of an episode's images, each given the context that the loss gives it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int
from torch import Tensor

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.likelihood import step_bits
from lightning_nsd.diffusion.strata import Strata, estimate_sum
from lightning_nsd.model.few_shot_denoiser import FewShotDenoiser

NAN = float("nan")


class EpisodeTerms(NamedTuple):
    """What is found of every image at some timesteps, in bits per dimension of an image.

    Attributes:
        steps: terms of the diffusion's bound.
        context: KL of the image's context to its prior; 0 where the context is not variational.
    """

    steps: Float[Tensor, "S N"]
    context: Float[Tensor, "S N"]


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
    images: Float[Tensor, "N C H W"],
    t: Int[Tensor, " S"],
    noise: Float[Tensor, "S N C H W"],
    context_noise: Float[Tensor, "N *L D_c"] | None = None,
) -> EpisodeTerms:
    """The terms of every image of one episode at some timesteps, its context from the other images as in the loss.

    A variational context is drawn and its KL counted, as the bound asks; the validation loss and sampling take the
    mean. Every query has a context of its own, so it bears the whole KL: the KL in bits, summed over the context's
    dimensions, divided by the C·H·W dimensions of one image, and not shared among the images of the episode. Guidance
    takes no part.

    Args:
        model: the network.
        diffusion: the process, and what the network predicts.
        images: 8-bit images of one class in [-1, 1].
        t: timesteps.
        noise: eps of each image at each timestep.
        context_noise: xi of each image's variational context, the same at all timesteps; None takes the mean.
    """
    s, n = noise.shape[:2]
    copies = s if model.time_conditioned else 1  # of the episode, where each timestep has contexts of its own
    episodes = images.expand(copies, *images.shape)  # (1 or S, N, C, H, W)
    xi = None if context_noise is None else context_noise.expand(copies, *context_noise.shape)
    given = model.episode_context(episodes, t if model.time_conditioned else None, xi)
    maps = model.episode_maps(images[None])  # (N, M, H, W)
    x_0, times = _at_each(images, s), t.repeat_interleave(n)  # (S·N, C, H, W), (S·N,)
    x_t = diffusion.q_sample(x_0, times, noise.flatten(0, 1))
    context = None if given is None else _at_each(given.context, s // copies)
    output = model.denoise(x_t, times, context, None if maps is None else _at_each(maps, s))
    steps = step_bits(diffusion, output, x_0, x_t, times).unflatten(0, (s, n))
    if given is None or given.kl is None:
        return EpisodeTerms(steps, 0 * steps)
    share = given.context[0].numel() / images[0].numel()  # the KL is a mean over the context's dimensions
    return EpisodeTerms(steps, share * _at_each(given.kl, s // copies).unflatten(0, (s, n)))


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
    of_steps, of_context, of_prior = steps.mean(axis=1), context.mean(axis=1), float(prior.mean())
    if time_conditioned:
        total, error = estimate_sum(strata, of_steps + of_context)
        kl, _ = estimate_sum(strata, of_context)
        return Bits(total + of_prior, error, of_prior, float(of_steps[0]), kl)
    total, error = estimate_sum(strata, of_steps)
    kl = float(of_context[0])
    return Bits(total + of_prior + kl, error, of_prior, float(of_steps[0]), kl)


def _at_each(values: Float[Tensor, "n ..."], times: int) -> Float[Tensor, "m ..."]:
    """All rows, then all again: row `k·n + i` is row i."""
    return values.repeat(times, *[1] * (values.dim() - 1))
