"""Which classes are evaluated, and how many images of each."""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.rng import Stream, generator


class Population(NamedTuple):
    """Classes that are compared together: one class, or all of a split in a mixture.

    Attributes:
        name: of the class, or of the mixture.
        available: real images that there are.
        n: images that are compared, real and generated alike; 0 where there are too few.
        reason: why n is 0, else empty.
        classes: their numbers in the image set, `()` where nothing can be generated.
    """

    name: str
    available: int
    n: int
    reason: str = ""
    classes: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[int, int]:
        """Of its random numbers: those of a mixture are not those of its first class."""
        return self.classes[0], len(self.classes)


def choose_classes(
    names: Sequence[str],
    classes: int | Sequence[str] | None,
    seed: int,
    split: Split,
    others: Callable[[], Collection[str]] = tuple,
) -> list[str]:
    """The classes to evaluate, in the order of `names`.

    Args:
        names: those of the split.
        classes: all of a split (None), so many of them, or these.
        seed: key of the choice of a number of them.
        others: gives the classes of the other splits, which may be named too; called only if a name is not one of
            `names`.

    Raises:
        UserError: a number below 1, a name that is no class, or none that is one of this split.
    """
    if classes is None:
        return list(names)
    if isinstance(classes, int):
        if classes < 1:
            raise UserError(f"classes is {classes}; give a number of at least 1, a list of names, or null for all.")
        rng = generator(seed, Stream.EVAL_CLASSES, SPLITS.index(split))
        chosen = torch.randperm(len(names), generator=rng)[:classes].sort().values
        return [names[i] for i in chosen.tolist()]
    held = f"The {split} split holds {', '.join(names[:20])}{' …' if len(names) > 20 else ''}."
    missing = set(classes) - set(names)
    elsewhere = set(others()) if missing else set()
    if unknown := sorted(missing - elsewhere):
        close = {name: difflib.get_close_matches(name, [*names, *elsewhere], n=1) for name in unknown}
        named = ", ".join(f"{name} (is {near[0]} meant?)" if near else name for name, near in close.items())
        raise UserError(f"classes: there is no class {named}. {held}")
    if not set(classes) - missing:
        raise UserError(f"None of the classes {', '.join(classes)} is in the {split} split. {held}")
    return [name for name in names if name in set(classes)]


def class_populations(
    image_set: ImageSet, too_small: Mapping[str, int], chosen: Sequence[str], settings: EvaluationSettings, n_shot: int
) -> list[Population]:
    """One for each class, those included that are too small for anything to be said.

    Args:
        too_small: classes that the image set leaves out, and their sizes.
        chosen: names of the classes.
        settings: of these the numbers of images count.
        n_shot: images of a support set.
    """
    number_of = {name: number for number, name in enumerate(image_set.class_names)}
    populations = []
    for name in chosen:
        available = int(image_set.counts[number_of[name]]) if name in number_of else too_small.get(name, 0)
        n, reason = min(settings.num_samples, available), ""
        if available == 0:
            reason = "the class has no images"
        elif n < settings.min_samples:
            reason = f"{available} images; a distance needs at least {settings.min_samples} (min_samples)"
        elif name not in number_of or available < n_shot:
            reason = f"{available} images; an episode takes {n_shot} and one more (data.n_shot + 1)"
        if reason:
            populations.append(Population(name, available, 0, reason))
        else:
            populations.append(Population(name, available, n, classes=(number_of[name],)))
    return populations


def mixture_population(image_set: ImageSet, name: str, num_samples: int) -> Population:
    """All classes of an image set as one population."""
    available = int(image_set.counts.sum())
    return Population(name, available, min(num_samples, available), classes=tuple(range(len(image_set))))


def real_images(image_set: ImageSet, population: Population, seed: int, split: Split) -> Tensor:
    """A population's real images in random order, bytes `(r, C, H, W)`.

    r is up to 2n: n to compare with, all for the floor.
    """
    rows = torch.cat([image_set.offsets[c] + torch.arange(int(image_set.counts[c])) for c in population.classes])
    rng = generator(seed, Stream.EVAL_REAL, SPLITS.index(split), *population.key)
    return image_set.images[rows[torch.randperm(len(rows), generator=rng)[: 2 * population.n]]]
