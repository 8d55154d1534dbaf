"""Fréchet distance between the normal distributions fitted to two sets of features (Heusel et al. 2017)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def frechet_distance(a: Float[Array | np.ndarray, "n d"], b: Float[Array | np.ndarray, "m d"]) -> float:
    """|μ_a − μ_b|² + tr S_a + tr S_b − 2 tr √(S_a S_b) (Heusel et al. 2017, arXiv 1706.08500, equation 6).

    With centred features A and B, S_a = AᵀA / (n−1) and S_b = BᵀB / (m−1), so that
    tr √(S_a S_b) = ‖A Bᵀ‖_* / √((n−1)(m−1)), the sum of the singular values of an n × m matrix, whatever n, m and d.

    Args:
        a: features, n at least 2; computed with in float64.
        b: features, m at least 2.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(a, b)
    with jax.enable_x64(True):
        a, b = jnp.asarray(a, jnp.float64), jnp.asarray(b, jnp.float64)
        n, m = len(a), len(b)
        mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)  # (d,)
        centred_a, centred_b = a - mean_a, b - mean_b
        traces = jnp.square(centred_a).sum() / (n - 1) + jnp.square(centred_b).sum() / (m - 1)
        singular_values = jnp.linalg.svd(centred_a @ centred_b.T, compute_uv=False)  # (min(n, m),)
        root = singular_values.sum() / jnp.sqrt((n - 1.0) * (m - 1.0))
        distance = jnp.square(mean_a - mean_b).sum() + traces - 2 * root
        return float(jnp.maximum(distance, 0))  # rounding alone can take it below


def check_features(a: Float[Array | np.ndarray, "..."], b: Float[Array | np.ndarray, "..."]) -> None:
    """Whether two sets of features can be compared at all.

    Raises:
        ValueError: says what is wrong with them.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features are to be (n, d) and (m, d); got {a.shape} and {b.shape}")
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a distribution needs at least 2 images; got {len(a)} and {len(b)}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features that are not finite")
