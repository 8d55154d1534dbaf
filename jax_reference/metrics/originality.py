"""Whether images were understood or copied: how far from their examples, and how far from each other, they lie."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jax_reference.metrics.frechet import check_features

NAN = float("nan")


class Originality(NamedTuple):
    """Generated images against their own examples and each other, over the same for real images of the class.

    After Boutin et al. 2022 (arXiv 2205.10370) and 2023 (arXiv 2301.11722).

    Attributes:
        originality: mean distance to the nearest of the examples, over that of real images which are not among them; 1
            is as original as a real image, 0 a copy.
        diversity: mean distance between two images from the same examples, over that between two real ones.
        copies: part of the images that lie closer to one of their examples than any two different real images do.
    """

    originality: float = NAN
    diversity: float = NAN
    copies: float = NAN


def measure_originality(
    generated: Float[Array | np.ndarray, "n d"],
    support: Float[Array | np.ndarray, "S k d"],
    owner: Int[Array | np.ndarray, " n"],
    real: Float[Array | np.ndarray, "r d"],
) -> Originality:
    """Compare features, or pixels, in float64. Real images that are equal count as one.

    Args:
        generated: of generated images.
        support: of the examples of every support set.
        owner: the support set that each generated image was made from, 0 … S − 1.
        real: of real images of the class.

    Returns:
        NaN where there are no two different real images, or none beside the examples, or no two of one set.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(real, generated)
    check_features(support.reshape(-1, support.shape[-1]), generated)
    with jax.enable_x64(True):
        drawn, examples_of = jnp.asarray(generated, jnp.float64), jnp.asarray(support, jnp.float64)
        different = jnp.unique(jnp.asarray(real, jnp.float64), axis=0)  # (r', d)
        owner = np.asarray(owner)
        # Every generated image against every set: (n, S, k), of which the own set's counts.
        nearest = jnp.stack([_distances(drawn, examples).min(axis=1) for examples in examples_of])  # (S, n)
        to_examples = nearest[owner, np.arange(len(owner))]  # (n,)
        real_nearest = jnp.stack([_distances(different, examples).min(axis=1) for examples in examples_of])  # (S, r')
        same_set = (owner[:, None] == owner[None, :]) & ~np.eye(len(owner), dtype=bool)
        others = ~np.eye(len(different), dtype=bool)
        between_real = _distances(different, different)
        least = jnp.min(between_real, where=others, initial=jnp.inf)
        return Originality(
            float(to_examples.mean() / _mean(real_nearest, real_nearest > 0)),
            float(_mean(_distances(drawn, drawn), same_set) / _mean(between_real, others)),
            float((to_examples < least).astype(jnp.float64).mean()) if len(different) > 1 else NAN,
        )


def _mean(values: jax.Array, where: jax.Array | np.ndarray) -> jax.Array:
    """The mean of some values; NaN where there are none."""
    return jnp.sum(values, where=where) / jnp.sum(where)


def _distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """Euclidean distances, `(n, d)` and `(m, d)` → `(n, m)`; exactly 0 between equal rows."""
    return jax.lax.map(lambda row: jnp.sqrt(jnp.square(y - row).sum(axis=1)), x)
