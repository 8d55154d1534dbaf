"""Drawing images of classes from support sets."""

from collections.abc import Callable
from typing import Any

import jax

from jax_reference import train_step
from jax_reference.diffusion.gaussian import GaussianDiffusion
from jax_reference.diffusion.sampler import Sampler
from jax_reference.model.few_shot_denoiser import FewShotDenoiser
from jax_reference.model.guidance import guided_network


def make_sampler(
    model: FewShotDenoiser, diffusion: GaussianDiffusion, sampler: Sampler, num: int
) -> Callable[[Any, jax.Array, jax.Array, jax.Array], jax.Array]:
    """A compiled function that draws `num` images for each support set.

    Returns:
        A function of the parameters, support sets `(b, n_shot, C, H, W)` or classes `(b,)`, x_T `(b·num, C, H, W)` and
        each step's noise `(S, b·num, C, H, W)`, to every x of the chain, `(S, b·num, C, H, W)`.
    """
    graph, _, rest = train_step.split(model)

    @jax.jit
    def trajectory(params: Any, support: jax.Array, x_T: jax.Array, noise: jax.Array) -> jax.Array:
        merged = train_step.merge(graph, params, rest)
        network = guided_network(merged, support, num, sampler.guidance, sampler.guidance_interval)
        return sampler.trajectory(diffusion, network, x_T, noise)

    return trajectory
