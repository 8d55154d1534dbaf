"""Random numbers that depend on their key alone, never on what ran before.

Training, evaluation, pictures and resuming draw from generators keyed by (seed, stream, number, …), so that
none of them can shift another's numbers.
"""

from enum import IntEnum

import numpy as np
import torch
from torch import Tensor


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


def mix(*key: int) -> int:
    """One 63-bit seed from a key of non-negative integers (NumPy's SeedSequence does the mixing)."""
    return int(np.random.SeedSequence(list(key)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator whose numbers depend on `key` and on nothing else."""
    return torch.Generator(device).manual_seed(mix(*key))


def philox(*key: int) -> np.random.Generator:
    """A NumPy generator keyed the same way: the source that both frameworks can share."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(list(key))))


def rows_of_rank(values: Tensor, rank: int, world_size: int) -> Tensor:
    """The rows of a global batch `(world_size · B, …)` that belong to one process, `(B, …)`."""
    per_rank = values.shape[0] // world_size
    return values[rank * per_rank : (rank + 1) * per_rank]
