"""Everything that is said about one class, from its features."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jax_reference.metrics.confidence import frechet_at_infinity, frechet_error, interval
from jax_reference.metrics.frechet import frechet_distance
from jax_reference.metrics.kernel import kernel_distance
from jax_reference.metrics.precision_recall import precision_recall

NAN = float("nan")


class Distances(NamedTuple):
    """Comparison of n generated with n real images.

    Attributes:
        fid: Fréchet distance.
        kid: kernel distance.
        precision: part of the generated images that look real; NaN for fewer than 4 images.
        recall: part of the real images that are covered; NaN for fewer than 4 images.
        floor: Fréchet distance between two disjoint parts of the real images; NaN where there are fewer than 4.
        floor_n: images in each of the two parts: n where the class has 2n, else half of the class.
        fid_low: where the interval of 95 % about `fid` begins; NaN for fewer than 8 images.
        fid_high: where it ends.
        fid_infinity: Fréchet distance without the bias of few images, where there are enough for that to be said.
    """

    fid: float = NAN
    kid: float = NAN
    precision: float = NAN
    recall: float = NAN
    floor: float = NAN
    floor_n: int = 0
    fid_low: float = NAN
    fid_high: float = NAN
    fid_infinity: float = NAN


def floor_size(available: int, n: int) -> int:
    """Images in each of the two parts that give the floor, 0 where there are too few for any."""
    size = min(n, available // 2)
    return size if size >= 2 else 0


def measure(real: Float[Array | np.ndarray, "r d"], generated: Float[Array | np.ndarray, "n d"]) -> Distances:
    """Compare features.

    Args:
        real: r at least n; the first n are compared, up to 2n give the floor.
        generated: of n images.

    Raises:
        ValueError: features that cannot be compared; says why.
    """
    n = len(generated)
    used = real[:n]
    size = floor_size(len(real), n)
    fid = frechet_distance(used, generated)
    low, high = interval(fid, frechet_error(used, generated))
    return Distances(
        fid=fid,
        kid=kernel_distance(used, generated),
        **dict(zip(("precision", "recall"), precision_recall(used, generated), strict=True)),
        floor=frechet_distance(real[:size], real[size : 2 * size]) if size else NAN,
        floor_n=size,
        fid_low=low,
        fid_high=high,
        fid_infinity=frechet_at_infinity(used, generated),
    )
