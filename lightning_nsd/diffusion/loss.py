"""The training loss: mean squared error, variational bound, and the normal distributions they need."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_nsd.diffusion.gaussian import Gaussian, GaussianDiffusion


def mean_flat(values: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """The mean over all axes but the first."""
    return values.flatten(1).mean(dim=1)


def normal_kl(q: Gaussian, p: Gaussian) -> Float[Tensor, "..."]:
    """KL(q ‖ p) in nats, element by element."""
    difference = q.log_variance - p.log_variance
    squares = (q.mean - p.mean).square() * (-p.log_variance).exp()
    return 0.5 * (-1.0 - difference + difference.exp() + squares)


def approximate_normal_cdf(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The normal distribution function by its tanh approximation, as improved DDPM uses it."""
    return 0.5 * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def discretized_log_likelihood(x_0: Float[Tensor, "*shape"], p: Gaussian) -> Float[Tensor, "*shape"]:
    """log p of 8-bit images in [-1, 1] under a normal distribution cut into 256 bins, in nats per element.

    Ho et al. 2020, equation 13.
    """
    centred = x_0 - p.mean
    inverse_std = (-0.5 * p.log_variance).exp()
    above = approximate_normal_cdf(inverse_std * (centred + 1.0 / 255.0))
    below = approximate_normal_cdf(inverse_std * (centred - 1.0 / 255.0))
    log_inside = (above - below).clamp(min=1e-12).log()
    log_first = above.clamp(min=1e-12).log()  # the bin of 0 reaches to minus infinity
    log_last = (1.0 - below).clamp(min=1e-12).log()  # the bin of 255 reaches to infinity
    return torch.where(x_0 < -0.999, log_first, torch.where(x_0 > 0.999, log_last, log_inside))


def bound_term(
    diffusion: GaussianDiffusion,
    p: Gaussian,
    x_0: Float[Tensor, "b C H W"],
    x_t: Float[Tensor, "b C H W"],
    t: Int[Tensor, " b"],
) -> Float[Tensor, " b"]:
    """KL(q(x_{t-1} | x_t, x_0) ‖ p), or −log p(x_0 | x_t) at t = 0, per image in bits per dimension.

    Ho et al. 2020, equation 5.

    Args:
        p: p(x_{t-1} | x_t).
    """
    kl = mean_flat(normal_kl(diffusion.posterior(x_0, x_t, t), p))
    likelihood = -mean_flat(discretized_log_likelihood(x_0, p))
    return torch.where(t == 0, likelihood, kl) / math.log(2.0)


def variational_bound(
    diffusion: GaussianDiffusion,
    output: Float[Tensor, "b C_out H W"],
    x_0: Float[Tensor, "b C H W"],
    x_t: Float[Tensor, "b C H W"],
    t: Int[Tensor, " b"],
) -> Float[Tensor, " b"]:
    """One term of the variational bound per image, in bits per dimension (Nichol & Dhariwal 2021, eq. 16).

    The mean is frozen, so that the bound trains the variance alone.
    """
    prediction, v = output.chunk(2, dim=1)
    p = diffusion.p_mean_variance(torch.cat([prediction.detach(), v], dim=1), x_t, t)
    return bound_term(diffusion, p, x_0, x_t, t)


def diffusion_loss_terms(
    diffusion: GaussianDiffusion,
    output: Float[Tensor, "b C_out H W"],
    x_0: Float[Tensor, "b C H W"],
    x_t: Float[Tensor, "b C H W"],
    t: Int[Tensor, " b"],
    noise: Float[Tensor, "b C H W"],
) -> dict[str, Float[Tensor, " b"]]:
    """The terms of the loss per image: `mse` and, with a learned variance, `vb`, already times `vlb_weight`."""
    prediction, v = diffusion.split(output)
    terms = {"mse": mean_flat((diffusion.target(x_0, t, noise) - prediction).square())}
    if v is not None:
        terms["vb"] = diffusion.vlb_weight * variational_bound(diffusion, output, x_0, x_t, t)
    return terms
