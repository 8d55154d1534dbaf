"""How far a Fréchet distance is to be trusted: its standard error, its interval, and its value without bias."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from lightning_nsd.metrics.frechet import centred, check_features, frechet_distance

NAN = float("nan")
NORMAL_QUANTILE = 1.959964
"""Of 97.5 %: two of them make an interval of 95 %."""
LEAST_IMAGES = 8
IMAGES_PER_FEATURE = 1.25
WINDOWS = 4
ORDERS = 2
ORDER_SEED = 2020


def frechet_error(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> float:
    """Standard error of the Fréchet distance, by the infinitesimal jackknife of both sets.

    It is what the bootstrap's standard error comes to where an image counts a little more or less instead of being
    repeated (Efron 1982, *The Jackknife, the Bootstrap and Other Resampling Plans*, chapter 6). A bootstrap itself does
    not do: sets with repeated images span less, and so are all further apart than the sets that they are drawn from.
    With M = A Bᵀ = U Σ Vᵀ of the centred and scaled features, the distance changes with the weight of image i of A by
    2 (μ_a − μ_b)·(x_i − μ_a) + |x_i − μ_a|² · n/(n−1) − n (U Σ Uᵀ)_ii, up to what all images have in common.

    Args:
        a: features of images that were drawn independently; computed with in float64.
        b: features.

    Returns:
        At least 0; NaN for fewer than 8 images, whose errors come out too small.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(a, b)
    if min(len(a), len(b)) < LEAST_IMAGES:
        return NAN
    (mean_a, scaled_a), (mean_b, scaled_b) = centred(a), centred(b)
    (q_a, r_a), (q_b, r_b) = np.linalg.qr(scaled_a), np.linalg.qr(scaled_b)  # at most d columns in q and rows in r
    u, values, v_transposed = np.linalg.svd(r_a @ r_b.T, full_matrices=False)
    gap = mean_a - mean_b
    variance_a = _variance(scaled_a, gap, np.square(q_a @ u) @ values)
    variance_b = _variance(scaled_b, -gap, np.square(q_b @ v_transposed.T) @ values)
    return float(np.sqrt(variance_a + variance_b))


def _variance(scaled: np.ndarray, gap: np.ndarray, roots: np.ndarray) -> float:
    """The part of the distance's variance that is due to one set `(n, d)`.

    Args:
        scaled: A / √(n−1), centred.
        gap: its mean less the other's, `(d,)`.
        roots: the diagonal of U Σ Uᵀ, `(n,)`.
    """
    n = len(scaled)
    changes = 2 * np.sqrt(n - 1) * scaled @ gap + n * (np.square(scaled).sum(axis=1) - roots)
    return float(changes.var(ddof=1) / n)


def interval(distance: float, error: float) -> tuple[float, float]:
    """The least and the largest value that go with a distance at 95 %: of its mean over other images, at the same n.

    Args:
        distance: at least 0.
        error: its standard error, at least 0 or NaN.

    Returns:
        Two numbers of at least 0 with the distance between them; NaN where the error is.
    """
    if np.isnan(error):
        return NAN, NAN
    half = NORMAL_QUANTILE * error
    return max(distance - half, 0.0), distance + half


def frechet_at_infinity(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> float:
    """The Fréchet distance without the bias of few images: FID_∞ of Chong & Forsyth 2020 (arXiv 1911.07023).

    The distance is FID_∞ + K/n but for smaller terms: the least-squares line through its means over ½, ¾ and all of
    the images has it at 1/n = 0. Both sets are made smaller, since here both are small. The parts are four windows of a
    random order, each a quarter further: every image is in as many of them, so that to first order it does not matter
    which ones a part happens to have, and few parts do.

    Args:
        a: features, in any order; computed with in float64.
        b: features.

    Returns:
        Any number: a distance of 0 comes out below 0 as often as above. NaN for fewer than 8 images, or fewer than 1.25
        for each feature: where a covariance has barely full rank or not, the smaller terms are large, and of the bias
        a fifth to two thirds would stay; from there on it is a seventh at most.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(a, b)
    if min(len(a), len(b)) < max(LEAST_IMAGES, IMAGES_PER_FEATURE * a.shape[1]):
        return NAN
    a, b = a.detach().double().cpu(), b.detach().double().cpu()
    random = np.random.RandomState(ORDER_SEED)
    orders = [(random.permutation(len(a)), random.permutation(len(b))) for _ in range(ORDERS)]
    inverse_sizes, distances = [1 / len(a) + 1 / len(b)], [frechet_distance(a, b)]
    for quarters in (2, 3):
        pairs = [
            (_window(rows_a, start, quarters), _window(rows_b, start, quarters))
            for rows_a, rows_b in orders
            for start in range(WINDOWS)
        ]
        inverse_sizes.append(sum(1 / len(rows) for rows in pairs[0]))
        distances.append(float(np.mean([frechet_distance(a[rows_a], b[rows_b]) for rows_a, rows_b in pairs])))
    return float(np.polyfit(inverse_sizes, distances, 1)[1])


def _window(rows: np.ndarray, start: int, quarters: int) -> np.ndarray:
    """Some quarters of `rows` `(n,)` from quarter `start` on, the end followed by the beginning."""
    n = len(rows)
    return np.roll(rows, -(start * n // WINDOWS))[: quarters * n // WINDOWS]
