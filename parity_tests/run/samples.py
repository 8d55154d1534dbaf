"""What both moving averages draw from the same support sets and the same noise."""

from typing import Any, NamedTuple

import numpy as np
import torch

from jax_reference.experiment import Experiment
from jax_reference.trajectory import make_sampler
from lightning_nsd.data.datamodule import SPLITS, EpisodeDataModule, Split
from lightning_nsd.data.episodes import sample_episodes, spread_classes
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.model.guidance import guided_network
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.rng import Stream, generator
from parity_tests.pairing.arrays import to_jax, to_numpy
from parity_tests.rungs.sampler import reference_noise, references, start_and_noise
from parity_tests.tolerances import Dtype

HELD_OUT: Split = "val"


class Support(NamedTuple):
    """Support sets of held-out classes.

    Attributes:
        names: of the classes.
        images: `(k, n_shot, C, H, W)` in [-1, 1].
    """

    names: list[str]
    images: np.ndarray


class Samples(NamedTuple):
    """What the two sides draw, each `(k, num, C, H, W)`."""

    ours: np.ndarray
    theirs: np.ndarray


def held_out_support(data: EpisodeDataModule, num_classes: int, dtype: Dtype) -> Support:
    """A support set of each of some classes that training does not see; they follow from the data's seed."""
    image_set = data.image_set(HELD_OUT)
    choose = generator(data.seed, Stream.SAMPLING, SPLITS.index(HELD_OUT))
    classes = spread_classes(len(image_set), min(num_classes, len(image_set)), choose).sort().values
    images = to_unit_range(image_set.images[sample_episodes(image_set, classes, data.n_shot, choose)])
    return Support([image_set.class_names[i] for i in classes.tolist()], images.numpy().astype(dtype))


def sample_both(
    ours: FewShotDiffusion, theirs: Experiment, ema_params: Any, support: np.ndarray, num: int, dtype: Dtype
) -> Samples:
    """`num` images of each support set `(k, n_shot, C, H, W)`, with the config's sampler and the moving averages."""
    k, _, *image = support.shape
    shape, steps = (k * num, *image), len(ours.sampler.chain(ours.diffusion))
    x_T, noise = start_and_noise(shape, steps, dtype)
    of_reference = None if ours.sampler.ilvr_factor is None else reference_noise(shape, steps, dtype)
    reference = references(torch.from_numpy(support), num, of_reference)
    with torch.no_grad():
        network = guided_network(
            ours.evaluation_model, torch.from_numpy(support), num, ours.sampler.guidance, ours.sampler.guidance_interval
        )
        left = ours.sampler.sample(
            ours.diffusion, network, torch.from_numpy(x_T), lambda step: torch.from_numpy(noise[step]), reference
        )
    theirs.model.eval()
    trajectory = make_sampler(theirs.model, theirs.diffusion, theirs.sampler, num)
    right = trajectory(ema_params, *map(to_jax, (support, x_T, noise, of_reference)))[-1]
    return Samples(*(to_numpy(side).reshape(k, num, *image) for side in (left, right)))
