"""Precision and recall of a generator (Kynkäänniemi et al. 2019, arXiv 1904.06991)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jax_reference.metrics.frechet import check_features

NEIGHBOURHOOD = 3


def precision_recall(
    real: Float[Array | np.ndarray, "n d"],
    generated: Float[Array | np.ndarray, "m d"],
    neighbourhood: int = NEIGHBOURHOOD,
) -> tuple[float, float]:
    """The part of generated images that look real, and of real images that are covered by generated ones.

    Equations 1 and 2: an image counts when it lies in the ball around any image of the other set that reaches to that
    one's k-th neighbour within its own set.

    Args:
        real: features; computed with in float64.
        generated: features.
        neighbourhood: k.

    Returns:
        Precision and recall, each in 0…1; NaN where a set has no more than k images.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(real, generated)
    if min(len(real), len(generated)) <= neighbourhood:
        return float("nan"), float("nan")
    with jax.enable_x64(True):
        real, generated = jnp.asarray(real, jnp.float64), jnp.asarray(generated, jnp.float64)
        precision = _covered(generated, real, neighbourhood)
        recall = _covered(real, generated, neighbourhood)
        return float(precision), float(recall)


@partial(jax.jit, static_argnames="neighbourhood")
def _covered(points: jax.Array, centres: jax.Array, neighbourhood: int) -> jax.Array:
    """The part of `points` `(n, d)` that lie in any ball around `centres` `(m, d)`."""
    # an image is its own nearest neighbour, at index 0
    radii = jnp.sort(_distances(centres, centres), axis=1)[:, neighbourhood]  # (m,)
    return (_distances(points, centres) <= radii).any(axis=1).mean(dtype=jnp.float64)


def _distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """Euclidean distances, `(n, d)` and `(m, d)` → `(n, m)`."""
    return jax.lax.map(lambda row: jnp.sqrt(jnp.square(y - row).sum(axis=1)), x)
