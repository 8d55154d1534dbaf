"""Which classes are evaluated, how many images of each, and which support sets they are drawn from."""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.episodes import sample_episodes
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.errors import UserError
from lightning_nsd.rng import Stream, generator

Classes = int | Sequence[str] | None
"""All classes of a split (None), so many of them, or these."""


class Group(NamedTuple):
    """Classes that are compared together: one class, or all of a split in a mixture.

    Attributes:
        name: of the class, or of the mixture.
        classes: their numbers in the image set, `()` where nothing can be drawn.
        available: real images that there are.
        n: images that are compared, real and generated alike; 0 where there are too few.
        reason: why n is 0, else empty.
    """

    name: str
    classes: tuple[int, ...]
    available: int
    n: int
    reason: str = ""


class Work(NamedTuple):
    """Everything that is drawn for some groups, as one list of support sets.

    Attributes:
        group_of_set: index of each set's group, int64 `(T,)`, in the order of the groups.
        support: indices into the image set's images, int64 `(T, n_shot)`.
    """

    group_of_set: Tensor
    support: Tensor


def choose_classes(
    names: Sequence[str],
    classes: Classes,
    seed: int,
    split: Split,
    others: Callable[[], Collection[str]] = tuple,
) -> list[str]:
    """The classes to evaluate, in the order of `names`.

    Args:
        names: those of the split.
        classes: see there.
        seed: key of the draw of a number of them.
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
        draw = generator(seed, Stream.EVAL_CLASSES, SPLITS.index(split))
        chosen = torch.randperm(len(names), generator=draw)[:classes].sort().values
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


def class_groups(
    image_set: ImageSet,
    too_small: Mapping[str, int],
    chosen: Sequence[str],
    num_samples: int,
    min_samples: int,
    n_shot: int,
) -> list[Group]:
    """One group for each class, those included that are too small for anything to be said.

    Args:
        too_small: classes that the image set leaves out, and their sizes.
        chosen: names of the classes.
        num_samples: images asked for.
        min_samples: classes with fewer images are reported as NaN, with the reason.
        n_shot: images of a support set.
    """
    number_of = {name: number for number, name in enumerate(image_set.class_names)}
    groups = []
    for name in chosen:
        available = int(image_set.counts[number_of[name]]) if name in number_of else too_small.get(name, 0)
        n = min(num_samples, available)
        if available == 0:
            groups.append(Group(name, (), 0, 0, "the class has no images"))
        elif n < max(2, min_samples):
            reason = f"{available} images; a distance needs at least {max(2, min_samples)} (min_samples)"
            groups.append(Group(name, (), available, 0, reason))
        elif name not in number_of or available < n_shot:
            reason = f"{available} images; an episode takes {n_shot} and one more (data.n_shot + 1)"
            groups.append(Group(name, (), available, 0, reason))
        else:
            groups.append(Group(name, (number_of[name],), available, n))
    return groups


def mixture_group(image_set: ImageSet, name: str, num_samples: int) -> Group:
    """All classes of an image set as one group."""
    available = int(image_set.counts.sum())
    return Group(name, tuple(range(len(image_set))), available, min(num_samples, available))


def lay_out(image_set: ImageSet, groups: Sequence[Group], n_shot: int, seed: int, split: Split) -> Work:
    """Draw the ⌈n / n_shot⌉ support sets of every group: with replacement between sets, without within one.

    A class's sets depend on (seed, split, class) alone. In a mixture each class comes before any comes twice.
    """
    group_of_set, support = [], []
    for index, group in enumerate(groups):
        sets = -(-group.n // n_shot)
        if not sets:
            continue
        draw = generator(seed, Stream.EVAL_SUPPORT, SPLITS.index(split), *_key(group))
        rounds = -(-sets // len(group.classes))
        order = torch.cat([torch.randperm(len(group.classes), generator=draw) for _ in range(rounds)])[:sets]
        support.append(sample_episodes(image_set, torch.tensor(group.classes)[order], n_shot, draw))
        group_of_set.append(torch.full((sets,), index))
    if not support:
        return Work(torch.empty(0, dtype=torch.int64), torch.empty(0, n_shot, dtype=torch.int64))
    return Work(torch.cat(group_of_set), torch.cat(support))


def real_images(image_set: ImageSet, group: Group, seed: int, split: Split) -> Tensor:
    """A group's real images in random order, bytes `(r, C, H, W)`, r up to 2n: n to compare with, all for the floor."""
    rows = torch.cat([image_set.offsets[c] + torch.arange(int(image_set.counts[c])) for c in group.classes])
    draw = generator(seed, Stream.EVAL_REAL, SPLITS.index(split), *_key(group))
    return image_set.images[rows[torch.randperm(len(rows), generator=draw)[: 2 * group.n]]]


def _key(group: Group) -> tuple[int, int]:
    """A mixture's draws differ from those of its first class."""
    return group.classes[0], len(group.classes)
