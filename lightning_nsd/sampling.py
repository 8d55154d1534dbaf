"""From support sets to new images of their classes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.ilvr import Reference, reference_images
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.model.few_shot_denoiser import FewShotDenoiser
from lightning_nsd.model.guidance import guided_network


@torch.no_grad()
def sample_images(
    model: FewShotDenoiser,
    diffusion: GaussianDiffusion,
    sampler: Sampler,
    support: Tensor,
    num: int,
    generator: torch.Generator | None = None,
    on_step: Callable[[], object] | None = None,
) -> Tensor:
    """New images of the classes of some support sets.

    Args:
        model: the network.
        diffusion: the process it was trained for.
        sampler: how images come from noise, how much guidance there is, and ILVR.
        support: `(B, n_shot, C, H, W)` in [-1, 1]; with ILVR its images are the references, in turn.
        num: images for each support set.
        generator: where all noise comes from; torch's own state where None.
        on_step: called after every step of the sampler.

    Returns:
        `(B, num, C, H, W)` in [-1, 1].

    Raises:
        UserError: weights of 16 bits, in whose type the schedule's tables and the times are too coarse.
    """
    dtype = next(model.parameters()).dtype
    if dtype.itemsize < 4:
        raise UserError(
            f"The model's weights are {dtype}: the noise schedule would be rounded to them, to no noise at all for "
            "small t. Keep them in float32 and sample under torch.autocast."
        )
    support = support.to(dtype)
    b, _, *shape = support.shape
    on: dict[str, Any] = {"device": support.device, "dtype": support.dtype, "generator": generator}
    network = guided_network(model, support, num, sampler.guidance, sampler.guidance_interval)

    def noise(step: int) -> Tensor:
        return torch.randn(b * num, *shape, **on)

    x_T = torch.randn(b * num, *shape, **on)
    reference = None if sampler.ilvr_factor is None else Reference(reference_images(support, num), noise)
    images = x_T
    for following in sampler.trajectory(diffusion, network, x_T, noise, reference):
        images = following
        if on_step is not None:
            on_step()
    return images.clamp(-1.0, 1.0).unflatten(0, (b, num))
