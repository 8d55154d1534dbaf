"""What makes JAX's parameters of torch's, and torch's of JAX's: one of one, several of one, one of several."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from parity_tests.pairing.layouts import SAME, TRANSPOSED, Layout

Shapes = Sequence[tuple[int, ...]]


class Transform(ABC):
    """Between arrays that belong together."""

    @abstractmethod
    def to_jax(self, values: Sequence[np.ndarray], shapes: Shapes) -> list[np.ndarray]:
        """JAX's arrays of torch's; `shapes` are those of JAX."""

    @abstractmethod
    def to_torch(self, values: Sequence[np.ndarray], shapes: Shapes) -> list[np.ndarray]:
        """Torch's arrays of JAX's; `shapes` are those of torch."""


@dataclass(frozen=True)
class Single(Transform):
    """One of one."""

    layout: Layout = SAME

    def to_jax(self, values: Sequence[np.ndarray], shapes: Shapes) -> list[np.ndarray]:
        return [self.layout.apply(values[0])]

    def to_torch(self, values: Sequence[np.ndarray], shapes: Shapes) -> list[np.ndarray]:
        return [self.layout.invert(values[0], shapes[0])]

    def __str__(self) -> str:
        return str(self.layout)


@dataclass(frozen=True)
class Split(Transform):
    """Torch's one array is JAX's several, one behind the other along torch's first axis (a fused q, k, v)."""

    layout: Layout = field(default=TRANSPOSED)

    def to_jax(self, values: Sequence[np.ndarray], shapes: Shapes) -> list[np.ndarray]:
        parts = np.split(values[0], len(shapes), axis=0)
        order = self.layout if values[0].ndim > 1 else SAME
        return [order.apply(part).reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def to_torch(self, values: Sequence[np.ndarray], shapes: Shapes) -> list[np.ndarray]:
        (whole,) = shapes
        one = (whole[0] // len(values), *whole[1:])
        order = self.layout if len(whole) > 1 else SAME
        return [np.concatenate([order.invert(value, one) for value in values])]

    def __str__(self) -> str:
        return f"split along the first axis, each {self.layout}"


@dataclass(frozen=True)
class Join(Transform):
    """JAX's one array is torch's several, one behind the other along torch's first axis."""

    layout: Layout = field(default=TRANSPOSED)

    def to_jax(self, values: Sequence[np.ndarray], shapes: Shapes) -> list[np.ndarray]:
        whole = np.concatenate(values)
        return [(self.layout if whole.ndim > 1 else SAME).apply(whole).reshape(shapes[0])]

    def to_torch(self, values: Sequence[np.ndarray], shapes: Shapes) -> list[np.ndarray]:
        whole = (sum(shape[0] for shape in shapes), *shapes[0][1:])
        order = self.layout if len(whole) > 1 else SAME
        ends = np.cumsum([shape[0] for shape in shapes])[:-1]
        return np.split(order.invert(values[0], whole), ends)

    def __str__(self) -> str:
        return f"joined along the first axis, then {self.layout}"
