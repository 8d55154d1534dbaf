"""From support sets to new images of their classes."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.ilvr import Reference, reference_images
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.model.class_embedding import ClassEmbedding
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
    decode: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """New images of the classes of some support sets.

    Args:
        model: the network.
        diffusion: the process it was trained for.
        sampler: how images come from noise, how much guidance there is, and ILVR.
        support: `(B, n_shot, C, H, W)` in [-1, 1], or latents; for a ClassEmbedding numbers of training's classes,
            `(B,)`. With ILVR its images are the references, in turn.
        num: images for each support set.
        generator: where all noise comes from; torch's own state where None.
        on_step: called after every step of the sampler.
        decode: makes images of what the network draws, `(B·num, …)`; these are the images where None.

    Returns:
        `(B, num, C, H, W)` in [-1, 1].

    Raises:
        UserError: weights of 16 bits, in whose type the schedule's tables and the times are too coarse; or a class that
            training did not see.
    """
    images: Tensor | None = None
    for images in sample_steps(model, diffusion, sampler, support, num, generator, decode, every=None):  # noqa: B007
        if on_step is not None:
            on_step()
    assert images is not None  # what the last step gives
    return images


@torch.no_grad()
def sample_steps(
    model: FewShotDenoiser,
    diffusion: GaussianDiffusion,
    sampler: Sampler,
    support: Tensor,
    num: int,
    generator: torch.Generator | None = None,
    decode: Callable[[Tensor], Tensor] | None = None,
    every: int | None = 1,
) -> Iterator[Tensor | None]:
    """The same, step by step: what is drawn so far, which is noise at first and the images at last.

    Args:
        model: the network.
        diffusion: the process it was trained for.
        sampler: how images come from noise.
        support: see `sample_images`.
        num: images for each support set.
        generator: where all noise comes from; torch's own state where None.
        decode: see `sample_images`.
        every: after how many steps the images so far are given. They are given after the last step in any case, and
            after that alone where None.

    Yields:
        `(B, num, C, H, W)` in [-1, 1] or None, once for every step of the sampler.

    Raises:
        UserError: see `sample_images`.
    """
    dtype = next(model.parameters()).dtype
    if dtype.itemsize < 4:
        raise UserError(
            f"The model's weights are {dtype}: the noise schedule would be rounded to them, to no noise at all for "
            "small t. Keep them in float32 and sample under torch.autocast."
        )
    if isinstance(model.encoder, ClassEmbedding):
        check_classes(support, model.encoder)
    else:
        support = support.to(dtype)
    b, shape = len(support), model.image_shape
    on: dict[str, Any] = {"device": support.device, "dtype": dtype, "generator": generator}
    network = guided_network(model, support, num, sampler.guidance, sampler.guidance_interval)

    def noise(step: int) -> Tensor:
        return torch.randn(b * num, *shape, **on)

    x_T = torch.randn(b * num, *shape, **on)
    reference = None
    if sampler.ilvr_factor is not None:
        if support.shape[2:] != shape:
            raise UserError(
                "sampler.ilvr_factor: ILVR holds what is drawn to examples, and this model is shown others."
            )
        reference = Reference(reference_images(support, num), noise)
    total = len(sampler.chain(diffusion))
    for step, x in enumerate(sampler.trajectory(diffusion, network, x_T, noise, reference), 1):
        if step == total or (every is not None and step % every == 0):
            images = x if decode is None else decode(x)
            yield images.clamp(-1.0, 1.0).unflatten(0, (b, num))
        else:
            yield None


def check_classes(classes: Tensor, encoder: ClassEmbedding) -> None:
    """Whether numbers are of classes that a model was trained on.

    Raises:
        UserError: they are none: images, or a class of another split.
    """
    if classes.dtype != torch.int64 or not bool(((classes >= 0) & (classes < encoder.num_classes)).all()):
        raise UserError(f"{encoder.knows} It draws from their numbers, 0 to {encoder.num_classes - 1}.")
