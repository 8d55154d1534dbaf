"""What Inception's class scores and its spatial features say: Inception score and sFID."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lightning_nsd.metrics.frechet import frechet_distance

NAN = float("nan")
CLASSES = 1008
SPLITS = 10
SPLIT_SEED = 2020
"""torch-fidelity's two defaults."""
LEAST_IMAGES = 500
"""Of a part: with fewer the score falls with their number, more than models differ."""


class InceptionScores(NamedTuple):
    """What Inception alone can say.

    Attributes:
        inception_score: of the generated images; NaN for fewer than 500.
        sfid: Fréchet distance between spatial features; NaN for no more images than features.
    """

    inception_score: float = NAN
    sfid: float = NAN


def inception_score(logits: Float[Tensor, "n k"]) -> float:
    """exp E KL(p(y | x) ‖ p(y)) (Salimans et al. 2016, arXiv 1606.03498, section 4), as torch-fidelity computes it.

    The mean over random parts of the images, each with the p(y) of its own images: 10, or one for every 500 images
    where there are fewer than 5,000.

    Args:
        logits: scores of k classes for every generated image; computed with in float64.

    Returns:
        1 … k; NaN for fewer than 500 images.

    Raises:
        ValueError: scores that are not finite.
    """
    n = len(logits)
    if not bool(logits.isfinite().all()):
        raise ValueError("class scores that are not finite")
    parts = min(SPLITS, n // LEAST_IMAGES)
    if not parts:
        return NAN
    order = torch.from_numpy(np.random.RandomState(SPLIT_SEED).permutation(n))
    log_p = logits.detach().double().cpu().log_softmax(dim=1)[order]  # (n, k)
    scores = []
    for part in range(parts):
        own = log_p[part * n // parts : (part + 1) * n // parts]  # (m, k)
        log_mean = own.logsumexp(dim=0) - math.log(len(own))
        scores.append(math.exp((own.exp() * (own - log_mean)).sum(dim=1).mean()))
    return float(np.mean(scores))


def spatial_frechet_distance(real: Float[Tensor, "n d"], generated: Float[Tensor, "m d"]) -> float:
    """sFID: the Fréchet distance between spatial features (Nash et al. 2021, arXiv 2103.03841, section 4.2).

    Args:
        real: features; computed with in float64.
        generated: features.

    Returns:
        NaN where a set has no more images than features: its covariance has not full rank.

    Raises:
        ValueError: features that cannot be compared; says why.
    """
    if min(len(real), len(generated)) <= real.shape[1]:
        return NAN
    return frechet_distance(real, generated)


def measure_scores(
    real: Float[Tensor, "r d"], generated: Float[Tensor, "n d"], classes: int = CLASSES
) -> InceptionScores:
    """Compare what Inception gives of every image.

    Args:
        real: of these the first n are compared.
        generated: scores of the classes, then spatial features.
        classes: how many of the d numbers are scores.

    Raises:
        ValueError: numbers that cannot be compared; says why.
    """
    spatial = real[: len(generated), classes:], generated[:, classes:]
    return InceptionScores(inception_score(generated[:, :classes]), spatial_frechet_distance(*spatial))
