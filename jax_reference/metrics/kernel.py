"""Kernel distance (KID; Bińkowski et al. 2018, arXiv 1801.01401)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jax_reference.metrics.frechet import check_features

SUBSETS = 100
SUBSET_SIZE = 1000
SUBSET_SEED = 2020
"""torch-fidelity's three defaults."""


def kernel_distance(
    a: Float[Array | np.ndarray, "n d"], b: Float[Array | np.ndarray, "m d"], subset_size: int = SUBSET_SIZE
) -> float:
    """Squared maximum mean discrepancy of k(x, y) = (x·y / d + 1)³, unbiased (section 4 and equation 4).

    The mean over 100 random subsets of `subset_size` images, the rows of a and then those of b drawn by NumPy. Where
    all images fit into one subset, there is one.

    Args:
        a: features, n at least 2; computed with in float64.
        b: features.
        subset_size: at most min(n, m) is used.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(a, b)
    n, m = len(a), len(b)
    size = min(subset_size, n, m)
    with jax.enable_x64(True):
        a, b = jnp.asarray(a, jnp.float64), jnp.asarray(b, jnp.float64)
        if n == m == size:
            return float(_unbiased_mmd(a, b))
        random = np.random.RandomState(SUBSET_SEED)
        distances = [
            _unbiased_mmd(a[random.choice(n, size, replace=False)], b[random.choice(m, size, replace=False)])
            for _ in range(SUBSETS)
        ]
        return float(jnp.stack(distances).mean())


@jax.jit
def _unbiased_mmd(a: jax.Array, b: jax.Array) -> jax.Array:
    """E k(a, a') + E k(b, b') − 2 E k(a, b) over sets `(m, d)` of equal size, a and a' two different images."""
    m = len(a)
    different = ~jnp.eye(m, dtype=bool)
    within_a = _kernel(a, a).sum(where=different) / (m * (m - 1))
    within_b = _kernel(b, b).sum(where=different) / (m * (m - 1))
    return within_a + within_b - 2 * _kernel(a, b).mean()


def _kernel(x: jax.Array, y: jax.Array) -> jax.Array:
    """k of every pair: `(m, d)` and `(m, d)` → `(m, m)`."""
    return (x @ y.T / x.shape[1] + 1.0) ** 3
