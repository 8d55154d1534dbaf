"""The training loss: mean squared error, variational bound, and the normal distributions they need."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jax_reference.diffusion.gaussian import Gaussian, GaussianDiffusion


def mean_flat(values: Float[Array, "b ..."]) -> Float[Array, " b"]:
    """The mean over all axes but the first."""
    return values.reshape(len(values), -1).mean(axis=1)


def normal_kl(q: Gaussian, p: Gaussian) -> Float[Array, "..."]:
    """KL(q ‖ p) = (log σp² − log σq² + (σq² + (μq − μp)²) / σp² − 1) / 2 in nats, element by element."""
    ratio = jnp.exp(q.log_variance - p.log_variance)
    squares = (q.mean - p.mean) ** 2 / jnp.exp(p.log_variance)
    return (p.log_variance - q.log_variance + ratio + squares - 1.0) / 2


def approximate_normal_cdf(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The normal distribution function by its tanh approximation, as improved DDPM uses it."""
    return (1.0 + jnp.tanh((2.0 / math.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2


def discretized_log_likelihood(x_0: Float[Array, "*shape"], p: Gaussian) -> Float[Array, "*shape"]:
    """log p of 8-bit images in [-1, 1] under a normal distribution cut into 256 bins, in nats per element.

    Ho et al. 2020, equation 13: bins are 2/255 wide, the outermost reach to infinity.
    """
    std = jnp.exp(p.log_variance / 2)
    above = approximate_normal_cdf((x_0 + 1 / 255 - p.mean) / std)
    below = approximate_normal_cdf((x_0 - 1 / 255 - p.mean) / std)
    inside = jnp.where(x_0 < -0.999, above, jnp.where(x_0 > 0.999, 1.0 - below, above - below))
    return jnp.log(jnp.maximum(inside, 1e-12))


def bound_term(
    diffusion: GaussianDiffusion,
    p: Gaussian,
    x_0: Float[Array, "b C H W"],
    x_t: Float[Array, "b C H W"],
    t: Int[Array, " b"],
) -> Float[Array, " b"]:
    """KL(q(x_{t-1} | x_t, x_0) ‖ p), or −log p(x_0 | x_t) at t = 0, per image in bits per dimension.

    Ho et al. 2020, equation 5.

    Args:
        p: p(x_{t-1} | x_t).
    """
    nats = jnp.where(
        t == 0,
        -mean_flat(discretized_log_likelihood(x_0, p)),
        mean_flat(normal_kl(diffusion.posterior(x_0, x_t, t), p)),
    )
    return nats / math.log(2.0)


def variational_bound(
    diffusion: GaussianDiffusion,
    output: Float[Array, "b C_out H W"],
    x_0: Float[Array, "b C H W"],
    x_t: Float[Array, "b C H W"],
    t: Int[Array, " b"],
) -> Float[Array, " b"]:
    """One term of the variational bound per image, in bits per dimension (Nichol & Dhariwal 2021, eq. 16).

    The mean is frozen, so that the bound trains the variance alone.
    """
    channels = x_0.shape[1]
    frozen = output.at[:, :channels].set(jax.lax.stop_gradient(output[:, :channels]))
    return bound_term(diffusion, diffusion.p_mean_variance(frozen, x_t, t), x_0, x_t, t)


def diffusion_loss_terms(
    diffusion: GaussianDiffusion,
    output: Float[Array, "b C_out H W"],
    x_0: Float[Array, "b C H W"],
    x_t: Float[Array, "b C H W"],
    t: Int[Array, " b"],
    noise: Float[Array, "b C H W"],
) -> dict[str, Float[Array, " b"]]:
    """The terms of the loss per image: `mse` and, with a learned variance, `vb`, already times `vlb_weight`."""
    prediction, v = diffusion.split(output)
    terms = {"mse": mean_flat((prediction - diffusion.target(x_0, t, noise)) ** 2)}
    if v is not None:
        terms["vb"] = diffusion.vlb_weight * variational_bound(diffusion, output, x_0, x_t, t)
    return terms
