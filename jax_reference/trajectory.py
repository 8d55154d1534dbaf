"""Drawing images of classes from support sets."""

from collections.abc import Callable
from typing import Any

import jax

from jax_reference import train_step
from jax_reference.diffusion.gaussian import GaussianDiffusion
from jax_reference.diffusion.ilvr import Reference, reference_images
from jax_reference.diffusion.sampler import Sampler
from jax_reference.model.few_shot_denoiser import FewShotDenoiser
from jax_reference.model.guidance import guided_network


def make_sampler(
    model: FewShotDenoiser, diffusion: GaussianDiffusion, sampler: Sampler, num: int
) -> Callable[..., jax.Array]:
    """A compiled function that draws `num` images for each support set.

    Returns:
        A function of the parameters, support sets `(b, n_shot, C, H, W)` or classes `(b,)`, x_T `(b·num, C, H, W)`,
        each step's noise `(S, b·num, C, H, W)` and, with ILVR, that of the references `(S, b·num, C, H, W)`, to every x
        of the chain, `(S, b·num, C, H, W)`.
    """
    graph, _, rest = train_step.split(model)

    @jax.jit
    def trajectory(
        params: Any, support: jax.Array, x_T: jax.Array, noise: jax.Array, reference_noise: jax.Array | None = None
    ) -> jax.Array:
        merged = train_step.merge(graph, params, rest)
        network = guided_network(merged, support, num, sampler.guidance, sampler.guidance_interval)
        reference = None if reference_noise is None else Reference(reference_images(support, num), reference_noise)
        return sampler.trajectory(diffusion, network, x_T, noise, reference)

    return trajectory
