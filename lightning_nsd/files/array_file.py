"""Arrays in files that can be made anew: whatever is wrong with one, it is as if it were not there."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn

from lightning_nsd.files.whole_file import whole_file

T = TypeVar("T")


def read_arrays(path: Path, take: Callable[[Mapping[str, np.ndarray]], T | None]) -> T | None:
    """What `take` makes of a file's arrays, or None; a file that it cannot use costs one warning.

    Args:
        take: from name → array (read when asked for) to anything; raises for what is damaged.
    """
    try:
        if not path.is_file():  # a pipe would wait for ever
            return None
        with np.load(path, allow_pickle=False) as stored:
            return take(stored)
    except Exception as error:  # a damaged or forged file may make any part of the reader raise anything
        rank_zero_warn(f"{path} is damaged and is made anew ({type(error).__name__}: {error})")
        return None


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays under their names, uncompressed, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with whole_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
