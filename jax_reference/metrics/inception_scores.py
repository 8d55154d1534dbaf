"""What Inception's class scores and its spatial features say: Inception score and sFID."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jax_reference.metrics.frechet import frechet_distance

NAN = float("nan")
CLASSES = 1008
SPLITS = 10
SPLIT_SEED = 2020
LEAST_IMAGES = 500


class InceptionScores(NamedTuple):
    """What Inception alone can say.

    Attributes:
        inception_score: of the generated images; NaN for fewer than 500.
        sfid: Fréchet distance between spatial features; NaN for no more images than features.
    """

    inception_score: float = NAN
    sfid: float = NAN


def inception_score(logits: Float[Array | np.ndarray, "n k"]) -> float:
    """exp E KL(p(y | x) ‖ p(y)) (Salimans et al. 2016, arXiv 1606.03498, section 4).

    With H the entropy that is exp(H(mean of p) − mean of H(p)). The mean over random parts of the images, each with the
    p(y) of its own images: 10, or one for every 500 images where there are fewer than 5,000.

    Args:
        logits: scores of k classes for every generated image; computed with in float64.

    Returns:
        1 … k; NaN for fewer than 500 images.

    Raises:
        ValueError: scores that are not finite.
    """
    if not np.isfinite(logits).all():
        raise ValueError("class scores that are not finite")
    n = len(logits)
    parts = min(n // LEAST_IMAGES, SPLITS)
    if parts == 0:
        return NAN
    order = np.random.RandomState(SPLIT_SEED).permutation(n)
    borders = [part * n // parts for part in range(1, parts)]
    with jax.enable_x64(True):
        logits = np.asarray(logits, np.float64)
        return float(np.mean([_score(jnp.asarray(logits[rows])) for rows in np.split(order, borders)]))


@jax.jit
def _score(logits: jax.Array) -> jax.Array:
    """Of one part `(m, k)`."""
    p = jax.nn.softmax(logits, axis=1)
    return jnp.exp(_entropy(p.mean(axis=0)) - _entropy(p).mean())


def _entropy(p: jax.Array) -> jax.Array:
    """Of distributions `(…, k)` in nats, `(…)`."""
    return jax.scipy.special.entr(p).sum(axis=-1)


def spatial_frechet_distance(
    real: Float[Array | np.ndarray, "n d"], generated: Float[Array | np.ndarray, "m d"]
) -> float:
    """sFID: the Fréchet distance between spatial features (Nash et al. 2021, arXiv 2103.03841, section 4.2).

    Args:
        real: features; computed with in float64.
        generated: features.

    Returns:
        NaN where a set has no more images than features: its covariance has not full rank.

    Raises:
        ValueError: features that cannot be compared; says why.
    """
    n, m, d = len(real), len(generated), real.shape[1]
    return frechet_distance(real, generated) if n > d and m > d else NAN


def measure_scores(
    real: Float[Array | np.ndarray, "r d"], generated: Float[Array | np.ndarray, "n d"], classes: int = CLASSES
) -> InceptionScores:
    """Compare what Inception gives of every image.

    Args:
        real: of these the first n are compared.
        generated: scores of the classes, then spatial features.
        classes: how many of the d numbers are scores.

    Raises:
        ValueError: numbers that cannot be compared; says why.
    """
    used = real[: len(generated)]
    return InceptionScores(
        inception_score=inception_score(generated[:, :classes]),
        sfid=spatial_frechet_distance(used[:, classes:], generated[:, classes:]),
    )
