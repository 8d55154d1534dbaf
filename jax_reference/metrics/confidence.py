"""How far a Fréchet distance is to be trusted: its standard error, its interval, and its value without bias."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jax_reference.metrics.frechet import check_features, frechet_distance

NAN = float("nan")
NORMAL_QUANTILE = 1.959964
"""Of 97.5 %: two of them make an interval of 95 %."""
LEAST_IMAGES = 8
IMAGES_PER_FEATURE = 1.25
WINDOWS = 4
ORDERS = 2
ORDER_SEED = 2020
_RANK_TOLERANCE = 1e-10


def frechet_error(a: Float[Array | np.ndarray, "n d"], b: Float[Array | np.ndarray, "m d"]) -> float:
    """Standard error of the Fréchet distance, by the infinitesimal jackknife of both sets.

    Σ D_i² / (n (n−1)) over each set, D_i the derivative of the distance where image i gets weight from all others
    (Efron 1982, *The Jackknife, the Bootstrap and Other Resampling Plans*, chapter 6): here by differentiation.

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
    with jax.enable_x64(True):
        sets = jnp.asarray(a, jnp.float64), jnp.asarray(b, jnp.float64)
        even = tuple(jnp.full(len(features), 1 / len(features)) for features in sets)
        derivatives = jax.grad(_weighted_distance)(even, sets)
        directional = [each - each.mean() for each in derivatives]  # (n,) and (m,): towards one image, from all
        return float(jnp.sqrt(sum(jnp.square(d).sum() / (len(d) * (len(d) - 1)) for d in directional)))


def _weighted_distance(weights: tuple[jax.Array, jax.Array], sets: tuple[jax.Array, jax.Array]) -> jax.Array:
    """The distance of two sets whose images count by weights that sum to 1, the Fréchet distance where all are 1/n."""
    means = [w @ features for features, w in zip(sets, weights, strict=True)]
    roots = [  # of which the covariances are AᵀA
        jnp.sqrt(w * len(w) / (len(w) - 1))[:, None] * (features - mean)
        for features, mean, w in zip(sets, means, weights, strict=True)
    ]
    values = jnp.linalg.svd(roots[0] @ roots[1].T, compute_uv=False)
    # Values that are 0 stay so for any weights, but their vectors, and so their derivatives, are arbitrary.
    trace = jnp.where(values > _RANK_TOLERANCE * values.max(), values, 0).sum()
    return jnp.square(means[0] - means[1]).sum() + sum(jnp.square(root).sum() for root in roots) - 2 * trace


def interval(distance: float, error: float) -> tuple[float, float]:
    """The least and the largest value that go with a distance at 95 %: of its mean over other images, at the same n.

    Args:
        distance: at least 0.
        error: its standard error, at least 0 or NaN.

    Returns:
        Two numbers of at least 0 with the distance between them; NaN where the error is.
    """
    if error != error:
        return NAN, NAN
    half = NORMAL_QUANTILE * error
    return max(distance - half, 0.0), distance + half


def frechet_at_infinity(a: Float[Array | np.ndarray, "n d"], b: Float[Array | np.ndarray, "m d"]) -> float:
    """FID_∞ of Chong & Forsyth 2020 (arXiv 1911.07023): where a line through distances ends at 1/n = 0.

    The line is through the means over ½, ¾ and all of the images, in four windows of two random orders, drawn by NumPy
    for a and then for b.

    Args:
        a: features, in any order; computed with in float64.
        b: features.

    Returns:
        Any number: a distance of 0 comes out below 0 as often as above. NaN for fewer than 8 images, or fewer than 1.25
        for each feature.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(a, b)
    (n, d), m = a.shape, len(b)
    if min(n, m) < LEAST_IMAGES or min(n, m) < IMAGES_PER_FEATURE * d:
        return NAN
    random = np.random.RandomState(ORDER_SEED)
    orders = [[random.permutation(size) for size in (n, m)] for _ in range(ORDERS)]
    x, y = [], []
    for quarters in range(2, WINDOWS + 1):
        sizes = [quarters * size // WINDOWS for size in (n, m)]
        found = []
        for order in orders:
            for window in range(WINDOWS):
                at = [(window * len(o) // WINDOWS + np.arange(s)) % len(o) for o, s in zip(order, sizes, strict=True)]
                found.append(frechet_distance(a[order[0][at[0]]], b[order[1][at[1]]]))
        x.append(sum(1 / size for size in sizes))
        y.append(np.mean(found))
    slope = np.cov(x, y)[0, 1] / np.var(x, ddof=1)
    return float(np.mean(y) - slope * np.mean(x))
