"""The support sets that the images of an evaluation are generated from."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.episodes import sample_episodes, spread_classes
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.evaluation.populations import Population
from lightning_nsd.rng import Stream, generator


class SupportSets(NamedTuple):
    """The support sets of some populations, one population after the other.

    Attributes:
        population: index of each set's population, int64 `(T,)`.
        images: indices into the image set's images, int64 `(T, n_shot)`.
    """

    population: Tensor
    images: Tensor


def choose_support_sets(
    image_set: ImageSet, populations: Sequence[Population], n_shot: int, seed: int, split: Split
) -> SupportSets:
    """⌈n / n_shot⌉ random support sets of every population: with replacement between sets, without within one.

    A class's sets depend on (seed, split, class) alone. In a mixture each class comes before any comes twice.
    """
    owners = [torch.empty(0, dtype=torch.int64)]
    images = [torch.empty(0, n_shot, dtype=torch.int64)]
    for index, population in enumerate(populations):
        sets = -(-population.n // n_shot)
        if sets:
            rng = generator(seed, Stream.EVAL_SUPPORT, SPLITS.index(split), *population.key)
            classes = torch.tensor(population.classes)[spread_classes(len(population.classes), sets, rng)]
            images.append(sample_episodes(image_set, classes, n_shot, rng))
            owners.append(torch.full((sets,), index))
    return SupportSets(torch.cat(owners), torch.cat(images))
