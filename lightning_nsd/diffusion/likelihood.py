"""The variational bound of an image's likelihood, term by term, in bits per dimension."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.loss import bound_term, mean_flat


def step_bits(
    diffusion: GaussianDiffusion,
    output: Float[Tensor, "b C_out H W"],
    x_0: Float[Tensor, "b C H W"],
    x_t: Float[Tensor, "b C H W"],
    t: Int[Tensor, " b"],
) -> Float[Tensor, " b"]:
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
    return bound_term(diffusion, diffusion.p_mean_variance(output, x_t, t, clip=True), x_0, x_t, t)


def prior_bits(diffusion: GaussianDiffusion, x_0: Float[Tensor, "b C H W"]) -> Float[Tensor, " b"]:
    """KL(q(x_T | x_0) ‖ N(0, I)) per image in bits per dimension: L_T of Ho et al. 2020, equation 5.

    With abar of the last step it is (abar (x_0² − 1) − log(1 − abar)) / 2, written so that single precision can tell
    it from 0.
    """
    last = torch.tensor([diffusion.num_steps - 1], device=x_0.device)
    alpha_bar = diffusion.tables.at("alpha_bar", last, x_0)  # (1, 1, 1, 1)
    nats = 0.5 * (alpha_bar * (x_0.square() - 1.0) - (-alpha_bar).log1p())
    return mean_flat(nats) / math.log(2.0)
