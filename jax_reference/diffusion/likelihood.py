"""The variational bound of an image's likelihood, term by term, in bits per dimension."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jax_reference.diffusion.gaussian import GaussianDiffusion
from jax_reference.diffusion.loss import bound_term


def step_bits(
    diffusion: GaussianDiffusion,
    output: Float[Array, "b C_out H W"],
    x_0: Float[Array, "b C H W"],
    x_t: Float[Array, "b C H W"],
    t: Int[Array, " b"],
) -> Float[Array, " b"]:
    """The bound's term of one timestep per image: L_{t-1}, and L_0 at t = 0 (Ho et al. 2020, equation 5).

    As improved DDPM evaluates it (Nichol & Dhariwal 2021, arXiv 2102.09672, section 3): the predicted x_0 is clipped to
    [-1, 1], which the loss does not do, and at t = 0 8-bit images are in 256 bins. The sum over all timesteps and
    `prior_bits` is the bound.

    Args:
        output: of the network, for any prediction and variance.
        x_0: 8-bit images in [-1, 1].
        x_t: the same, noised.
        t: one timestep per image.
    """
    p = diffusion.p_mean_variance(output, x_t, t, clip=True)
    return bound_term(diffusion, p, x_0, x_t, t)


def prior_bits(diffusion: GaussianDiffusion, x_0: Float[Array, "b C H W"]) -> Float[Array, " b"]:
    """KL(q(x_T | x_0) ‖ N(0, I)) per image in bits per dimension: L_T of Ho et al. 2020, equation 5.

    Of N(√abar x_0, 1 − abar) to N(0, 1): (mean² + variance − 1 − log variance) / 2, where variance − 1 is −abar.
    """
    alpha_bar = float(diffusion.tables.alpha_bar[-1])
    of_variance = -alpha_bar - math.log1p(-alpha_bar)
    mean = math.sqrt(alpha_bar) * x_0
    return jnp.mean(mean**2 + of_variance, axis=(1, 2, 3)) / 2 / math.log(2.0)
