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
        (mean_a, root_a), (mean_b, root_b) = centred(a), centred(b)
        traces = jnp.square(root_a).sum() + jnp.square(root_b).sum()
        singular_values = jnp.linalg.svd(root_a @ root_b.T, compute_uv=False)  # (min(n, m),)
        distance = jnp.square(mean_a - mean_b).sum() + traces - 2 * singular_values.sum()
        return float(jnp.maximum(distance, 0))  # rounding alone can take it below


def centred(features: Float[Array | np.ndarray, "n d"]) -> tuple[Float[Array, " d"], Float[Array, "n d"]]:
    """The mean, and A / √(n−1) with A centred: AᵀA / (n−1) is the covariance; both in float64."""
    with jax.enable_x64(True):
        values = jnp.asarray(features, jnp.float64)
        mean = values.mean(axis=0)
        return mean, (values - mean) / jnp.sqrt(len(values) - 1.0)


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
