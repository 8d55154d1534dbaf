"""Random numbers that depend on their key alone, never on what ran before.

Training, evaluation, pictures and resuming draw from generators keyed by (seed, stream, number, …), so that
none of them can shift another's numbers.
"""

from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from lightning_nsd.accelerators.device import keyed_generator


class Stream(IntEnum):
    """What a generator is for. The numbers are part of every run's history: append, never renumber."""

    TRAIN_EPISODES = 0
    TRAIN_AUGMENTATION = 1
    TRAIN_NOISE = 2
    TRAIN_GLOBAL = 3
    EVAL_EPISODES = 4
    EVAL_NOISE = 5
    SAMPLING = 6
    SPLIT = 7
    INIT = 8
    EVAL_CLASSES = 9
    EVAL_SUPPORT = 10
    EVAL_REAL = 11
    EVAL_IMAGES = 12
    EVAL_BITS = 13


def mix(*key: int) -> int:
    """One 63-bit seed from a key of integers in 0 … 2⁶⁴−1 (NumPy's SeedSequence does the mixing)."""
    return int(_sequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _sequence(key: tuple[int, ...]) -> np.random.SeedSequence:
    """With the key's length in front and two words for each number, so that no two keys look alike."""
    words = [word for number in key for word in (number & 0xFFFFFFFF, number >> 32)]
    return np.random.SeedSequence([len(key), *words])


def generator(*key: int) -> torch.Generator:
    """A generator of the CPU whose numbers depend on `key` and on nothing else."""
    return torch.Generator().manual_seed(mix(*key))


def device_generator(device: torch.device, *key: int) -> torch.Generator | None:
    """The same for any device. XLA has no generators: its own state is keyed instead, and None means that state."""
    return keyed_generator(device, mix(*key))


def philox(*key: int) -> np.random.Generator:
    """A NumPy generator keyed the same way: the source that both frameworks can share."""
    return np.random.Generator(np.random.Philox(_sequence(key)))


def rows_of_rank(values: Tensor, rank: int, world_size: int) -> Tensor:
    """The rows of a global batch `(world_size · B, …)` that belong to one process, `(B, …)`."""
    per_rank = values.shape[0] // world_size
    return values[rank * per_rank : (rank + 1) * per_rank]
