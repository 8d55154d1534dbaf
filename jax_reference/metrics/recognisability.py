"""Whether generated images are read as what they were to be, by a reader that knows a class by its mean feature."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jax_reference.metrics.frechet import check_features

NAN = float("nan")


def recognisability(
    real: Float[Array | np.ndarray, "r d"],
    generated: Float[Array | np.ndarray, "n d"],
    others: Float[Array | np.ndarray, "K d"],
) -> tuple[float, float]:
    """The part of the generated, and of the real images, whose nearest class mean is that of their own class.

    A real image is read without its part in its own class's mean, as by the nearest-mean classifier of prototypical
    networks (Snell et al. 2017, arXiv 1703.05175, equations 1 and 2, with the features as they are).

    Args:
        real: features of the class; computed with in float64.
        generated: features of what is to be of it.
        others: means of the other classes, finite.

    Returns:
        The part of generated and that of real images; NaN where there is no other class.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(real, generated)
    if not len(others):
        return NAN, NAN
    with jax.enable_x64(True):
        real, generated, others = (jnp.asarray(values, jnp.float64) for values in (real, generated, others))
        of_generated = jax.lax.map(lambda row: _is_own(row, real.mean(axis=0), others), generated)
        rows = jnp.arange(len(real))
        left_out = jax.lax.map(lambda i: jnp.mean(real, axis=0, where=(rows != i)[:, None]), rows)  # (r, d)
        of_real = jax.lax.map(lambda pair: _is_own(pair[0], pair[1], others), (real, left_out))
        return float(of_generated.mean()), float(of_real.mean())


def _is_own(row: jax.Array, own: jax.Array, others: jax.Array) -> jax.Array:
    """1 where a row `(d,)` is nearer to `own` `(d,)` than to any of `others` `(K, d)`."""
    to_others = jnp.square(others - row).sum(axis=1)
    return (jnp.square(own - row).sum() < to_others.min()).astype(jnp.float64)
