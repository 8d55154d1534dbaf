"""All images of a split in one tensor, class after class."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_nsd.errors import UserError


@dataclass(frozen=True)
class ImageSet:
    """Images of several classes, sorted by class.

    Attributes:
        images: uint8 `(M, C, H, W)`, 0 to 255; the images of one class lie next to one another.
        class_names: K names.
        counts: int64 `(K,)`, images of each class.
    """

    images: Tensor
    class_names: tuple[str, ...]
    counts: Tensor

    @classmethod
    def from_classes(cls, classes: Mapping[str, Tensor]) -> "ImageSet":
        """Join a mapping from class name to uint8 images `(n, C, H, W)`; its order is kept."""
        counts = torch.tensor([len(images) for images in classes.values()], dtype=torch.int64)
        return cls(torch.cat(list(classes.values())), tuple(classes), counts)

    @cached_property
    def offsets(self) -> Tensor:
        """Index of every class's first image, int64 `(K,)`."""
        return self.counts.cumsum(0) - self.counts

    def __len__(self) -> int:
        return len(self.class_names)

    def of_class(self, index: int) -> Tensor:
        """The images of class number `index`, uint8 `(n, C, H, W)` (a view)."""
        start = int(self.offsets[index])
        return self.images[start : start + int(self.counts[index])]

    def between(self, start: int, stop: int) -> "ImageSet":
        """The classes from number `start` up to `stop`; their images are a view."""
        first = int(self.counts[:start].sum())
        last = first + int(self.counts[start:stop].sum())
        return ImageSet(self.images[first:last], self.class_names[start:stop], self.counts[start:stop])

    def classes_of(self, images: Tensor) -> Tensor:
        """The numbers of the classes that images, given by their indices, are of; int64, of the same shape."""
        return torch.searchsorted(self.offsets, images.contiguous(), right=True) - 1

    def with_at_least(self, n_images: int, split: str) -> "ImageSet":
        """The same set without the classes that are too small for an episode of `n_images`.

        One warning names the classes that were dropped.

        Raises:
            UserError: no class is left.
        """
        small = [i for i, n in enumerate(self.counts.tolist()) if n < n_images]
        if not small:
            if not len(self):
                raise UserError(f"The {split} split holds no class at all.")
            return self
        named = ", ".join(f"{self.class_names[i]} ({int(self.counts[i])})" for i in small[:20])
        more = f" and {len(small) - 20} more" if len(small) > 20 else ""
        if len(small) == len(self):
            raise UserError(
                f"No class of the {split} split has the {n_images} images that an episode takes "
                f"(n_shot + 1): {named}{more}. Lower data.n_shot or add images."
            )
        rank_zero_warn(
            f"{len(small)} of {len(self)} classes of the {split} split have fewer than the {n_images} images "
            f"that an episode takes and are left out: {named}{more}"
        )
        kept = [i for i in range(len(self)) if i not in set(small)]
        return ImageSet.from_classes({self.class_names[i]: self.of_class(i) for i in kept})
