"""How the same numbers stand in two arrays: axes in another order, split or merged, or turned round."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np


@dataclass(frozen=True)
class Layout:
    """What makes an array of one framework that of the other.

    Attributes:
        axes: the other's axes in this one's numbers; None where they are the same.
        shape: of the other, where axes are split or merged after that; None where they are not.
        flipped: axes of the other that are turned round, last of all.
    """

    axes: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None
    flipped: tuple[int, ...] = ()

    def apply(self, value: np.ndarray) -> np.ndarray:
        """The array in the other's layout."""
        if self.axes is not None:
            value = value.transpose(self.axes)
        if self.shape is not None:
            value = value.reshape(self.shape)
        return np.flip(value, self.flipped) if self.flipped else value

    def invert(self, value: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Back again, to an array of `shape`."""
        if self.flipped:
            value = np.flip(value, self.flipped)
        if self.axes is None:
            return value.reshape(shape)
        value = value.reshape([shape[axis] for axis in self.axes])
        return value.transpose(np.argsort(self.axes))

    def __str__(self) -> str:
        words = [
            f"axes {self.axes}" if self.axes is not None else "",
            f"as {self.shape}" if self.shape is not None else "",
            f"axes {self.flipped} turned round" if self.flipped else "",
        ]
        return ", ".join(filter(None, words)) or "as it is"


SAME = Layout()
TRANSPOSED = Layout((1, 0))


def regroups(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether one shape comes from the other by merging neighbouring axes, or by splitting, and axes of length 1."""
    a, b = [n for n in a if n != 1], [n for n in b if n != 1]
    if len(a) < len(b):
        a, b = b, a
    position = 0
    for whole in b:
        product = 1
        while product < whole and position < len(a):
            product *= a[position]
            position += 1
        if product != whole:
            return False
    return position == len(a)


def fits(axes: tuple[int, ...] | None, source: Sequence[int], target: Sequence[int]) -> Layout | None:
    """The layout of an order of axes, where it makes an array of the wanted shape."""
    ordered = tuple(source) if axes is None else tuple(source[axis] for axis in axes)
    if ordered == tuple(target):
        return Layout(axes)
    return Layout(axes, tuple(target)) if regroups(ordered, target) else None


def data_layouts(source: Sequence[int], target: Sequence[int]) -> Iterator[Layout]:
    """Layouts of activations, usual ones first: as they are, channels moved to the end or to the front, any order.

    The batch stays in front. A less usual one comes only where no usual one fits: it would hide a transposition.
    """
    n = len(source)
    usual = [None, (0, *range(2, n), 1), (0, n - 1, *range(1, n - 1))] if n > 2 else [None]
    found = list(dict.fromkeys(filter(None, (fits(axes, source, target) for axes in usual))))
    if not found and n <= 5:
        others = (fits((0, *axes), source, target) for axes in permutations(range(1, n)))
        found = list(filter(None, others))
    yield from found


def same_layout(source: Sequence[int], target: Sequence[int]) -> Iterator[Layout]:
    """As it is, of equal shapes: for two sides that keep their axes in the same order."""
    if tuple(source) == tuple(target):
        yield SAME


def closest(layouts: Iterable[Layout], source: np.ndarray, target: np.ndarray) -> Layout | None:
    """The layout that brings one array nearest to the other; the first of equals, None of none."""

    def distance(layout: Layout) -> float:
        found = np.abs(layout.apply(source).astype(np.float64) - target).max() if target.size else 0.0
        return float(found) if np.isfinite(found) else float("inf")

    return min(layouts, key=distance, default=None)
