"""What simple relation makes one array of another."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from parity_tests.compare import relative_error

EXPLAINED = 1e-10
"""A relation that leaves a larger relative error explains nothing in float64."""


def explain(
    ours: np.ndarray, theirs: np.ndarray, inputs: Mapping[str, np.ndarray], within: float = EXPLAINED
) -> str | None:
    """A sentence on how torch's array and JAX's differ, where a simple relation makes them equal.

    Args:
        ours: torch's.
        theirs: JAX's, in torch's layout.
        inputs: of the module, by name.
        within: how far from equal they may be, relative to the largest entry.
    """
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    return next((words for changed, words in _candidates(a, b, inputs) if _alike(changed, b, within)), None)


def _alike(a: np.ndarray, b: np.ndarray, within: float) -> bool:
    return a.shape == b.shape and relative_error(a, b) <= within


def _candidates(a: np.ndarray, b: np.ndarray, inputs: Mapping[str, np.ndarray]) -> Iterator[tuple[np.ndarray, str]]:
    yield from _factors(a, b)
    yield from _orders(a)
    for name, x in inputs.items():
        if x.shape == a.shape and np.issubdtype(x.dtype, np.floating):
            yield a + x, f"JAX adds {name}, and torch does not: a residual is missing"
            yield a - x, f"torch adds {name}, and JAX does not: a residual is missing"
    yield from _offsets(a, b)
    for axis in range(1, a.ndim):  # a factor or an offset for each channel
        others = tuple(i for i in range(a.ndim) if i != axis)
        if 1 < a.shape[axis] <= a.size // 4:  # of fewer numbers anything is a multiple
            power = (a * a).sum(others, keepdims=True)
            scale = (a * b).sum(others, keepdims=True) / np.where(power == 0, 1, power)
            yield a * scale, f"JAX's is torch's times a vector along axis {axis}: a scale is applied on one side only"
            shift = (b - a).mean(others, keepdims=True)
            yield a + shift, f"JAX's is torch's plus a vector along axis {axis}: a bias is added on one side only"


def _factors(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    power = float((a * a).sum())
    if power:
        factor = float((a * b).sum()) / power
        yield a * factor, f"JAX's is torch's times {_number(factor)}"


def _offsets(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    offset = float((b - a).mean()) if a.size else 0.0
    yield a + offset, f"JAX's is torch's plus {_number(offset)}"
    if a.std() > 0:
        factor = float(((a - a.mean()) * (b - b.mean())).sum() / ((a - a.mean()) ** 2).sum())
        rest = float(b.mean() - factor * a.mean())
        yield factor * a + rest, f"JAX's is torch's times {_number(factor)}, plus {_number(rest)}"


def _orders(a: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    for i, j in combinations(range(a.ndim), 2):
        if a.shape[i] == a.shape[j] > 1:
            yield a.swapaxes(i, j), f"axes {i} and {j} of the one are axes {j} and {i} of the other: a transposition"
    for axis in range(a.ndim):
        n = a.shape[axis]
        if n < 2:
            continue
        yield np.flip(a, axis), f"the one is the other turned round along axis {axis}"
        if n % 2 == 0:
            halves = np.roll(a, n // 2, axis)
            yield halves, f"the two halves along axis {axis} are swapped (as sine and cosine, or scale and shift)"
            pairs = a.reshape(*a.shape[:axis], n // 2, 2, *a.shape[axis + 1 :])
            yield np.flip(pairs, axis + 1).reshape(a.shape), f"neighbours along axis {axis} are swapped"
            yield (
                pairs.swapaxes(axis, axis + 1).reshape(a.shape),
                f"torch's entries along axis {axis} take turns where JAX's stand in halves",
            )
            apart = a.reshape(*a.shape[:axis], 2, n // 2, *a.shape[axis + 1 :])
            yield (
                apart.swapaxes(axis, axis + 1).reshape(a.shape),
                f"torch's entries along axis {axis} stand in halves where JAX's take turns",
            )
        for step in (1, -1):
            yield np.roll(a, step, axis), f"JAX's is torch's moved by {step} along axis {axis}"
    if a.ndim == 4:
        b, c, h, w = a.shape
        yield a.transpose(0, 2, 3, 1).reshape(b, c, h, w), "the one's memory is read as NHWC where the other's is NCHW"
        yield a.reshape(b, h, w, c).transpose(0, 3, 1, 2), "the one's memory is read as NCHW where the other's is NHWC"


def where(a: np.ndarray, b: np.ndarray, within: float = EXPLAINED) -> str | None:
    """Where along one axis two arrays differ, if it is in few entries; and whether one of them is zero there."""
    largest = max(float(np.abs(b).max(initial=0.0)), 1e-300)
    for axis in range(a.ndim):
        others = tuple(i for i in range(a.ndim) if i != axis)
        differ = np.flatnonzero((np.abs(a - b) > within * largest).any(others))
        if 0 < len(differ) <= a.shape[axis] // 4:
            shown = ", ".join(map(str, differ[:8])) + (", …" if len(differ) > 8 else "")
            zero = [n for n, x in (("torch's", a), ("JAX's", b)) if not np.take(x, differ, axis).any()]
            return f"they differ at {shown} of axis {axis} alone" + (f", where {zero[0]} is zero" if zero else "")
    return None


def permutation(a: np.ndarray, b: np.ndarray, within: float = EXPLAINED) -> str | None:
    """Which entries along one axis stand where on the other side, where that is all that differs."""
    for axis in range(1, a.ndim):
        rows, others = (np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1) for x in (a, b))
        if len(rows) > 4096 or rows.shape != others.shape:
            continue
        left, right = np.lexsort(rows.T[:3]), np.lexsort(others.T[:3])
        if _alike(rows[left], others[right], within):
            order = left[np.argsort(right)]
            shown = ", ".join(map(str, order[:8])) + (", …" if len(order) > 8 else "")
            return f"along axis {axis} JAX has torch's entries {shown}: a permutation"
    return None


def _number(value: float) -> str:
    """A number, and what it may be: √2, 1/8."""
    names = {2**0.5: "√2", 2**-0.5: "1/√2", **{float(n): str(n) for n in range(2, 65)}}
    names |= {1 / n: f"1/{n}" for n in range(2, 129)} | {n**0.5: f"√{n}" for n in range(2, 129) if n**0.5 % 1}
    names |= {n**-0.5: f"1/√{n}" for n in range(2, 129) if n**0.5 % 1}
    known = next((name for size, name in names.items() if abs(abs(value) - size) <= 1e-9 * size), None)
    return f"{'−' if value < 0 else ''}{known}" if known else f"{value:.10g}"
