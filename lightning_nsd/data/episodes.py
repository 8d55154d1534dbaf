"""Which images form an episode: indices only, drawn for a whole batch at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.errors import UserError


class EpisodeBatch(NamedTuple):
    """A batch of episodes as it comes from a loader.

    Attributes:
        images: `(B, N, C, H, W)`, uint8 from the loader, float in [-1, 1] once on the device.
        mask: `(B,)` float32, 1 for an episode that counts and 0 for one that only fills the batch.
        number: number of the batch in its stream; the key of every random number used with it.
        n_valid: how many episodes count, over all processes; at least one.
        classes: numbers of the episodes' classes in the training split, int64 `(B,)`; None in other splits.
        latents: of the images, `(B, N, 2, C_z, h, w)`, mean and standard deviation; None where the data has none.
        features: of the images, `(B, N, D, s, s)`; None where the data has none.
    """

    images: Tensor
    mask: Tensor
    number: int
    n_valid: int
    classes: Tensor | None = None
    latents: Tensor | None = None
    features: Tensor | None = None

    def class_numbers(self) -> Tensor:
        """The class of training that each episode is of, int64 `(B,)`; −1 for those that training does not see."""
        return torch.full_like(self.mask, -1, dtype=torch.int64) if self.classes is None else self.classes

    def mean(self, values: Tensor, world_size: int) -> Tensor:
        """The part of one process in the mean over the episodes that count, `()`.

        The mean over all processes of what each gives is the mean over their episodes, whoever has most of them.

        Args:
            values: of every image, `(B·N,)`.
            world_size: processes that share the batch.
        """
        per_episode = values.unflatten(0, (len(self.mask), -1)).mean(dim=1)  # (B,)
        return (per_episode * (self.mask * (world_size / self.n_valid))).sum()


def sample_positions(counts: Tensor, n_images: int, generator: torch.Generator) -> Tensor:
    """For each row draw `n_images` different positions below `counts[row]`.

    Args:
        counts: int64 `(B,)`, each at least `n_images`.

    Returns:
        int64 `(B, n_images)`.

    Raises:
        UserError: a row has fewer.
    """
    if int(counts.min()) < n_images:
        raise UserError(f"{n_images} different images are asked for of a class that has {int(counts.min())}.")
    longest = int(counts.max())
    keys = torch.rand(len(counts), longest, generator=generator)
    keys = keys.masked_fill(torch.arange(longest) >= counts[:, None], 2.0)
    return keys.topk(n_images, dim=1, largest=False).indices  # (B, n_images)


def sample_episodes(image_set: ImageSet, classes: Tensor, n_images: int, generator: torch.Generator) -> Tensor:
    """Indices into `image_set.images` of one episode for each entry of `classes`: int64 `(B, n_images)`."""
    positions = sample_positions(image_set.counts[classes], n_images, generator)
    return image_set.offsets[classes][:, None] + positions


def sample_classes(image_set: ImageSet, num_episodes: int, generator: torch.Generator) -> Tensor:
    """A class for every episode, uniformly and with replacement: int64 `(num_episodes,)`."""
    return torch.randint(len(image_set), (num_episodes,), generator=generator)


def spread_classes(num_classes: int, num_episodes: int, generator: torch.Generator) -> Tensor:
    """A class for every episode, each class before any comes twice: int64 `(num_episodes,)`."""
    rounds = -(-num_episodes // num_classes)
    shuffled = [torch.randperm(num_classes, generator=generator) for _ in range(rounds)]
    return torch.cat(shuffled)[:num_episodes]
