"""Kernel distance (KID; Bińkowski et al. 2018, arXiv 1801.01401): unbiased at any n, unlike the Fréchet distance."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lightning_nsd.metrics.frechet import check_features

SUBSETS = 100
SUBSET_SIZE = 1000
SUBSET_SEED = 2020
"""torch-fidelity's three defaults."""


def kernel_distance(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"], subset_size: int = SUBSET_SIZE) -> float:
    """Squared maximum mean discrepancy of k(x, y) = (x·y / d + 1)³, unbiased, as torch-fidelity computes it.

    The mean over 100 random subsets of `subset_size` images, drawn from torch-fidelity's own seed. Where all images fit
    into one subset, each would be the same, so there is one.

    Args:
        a: features, n at least 2; computed with in float64.
        b: features.
        subset_size: at most min(n, m) is used.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(a, b)
    a, b = a.detach().double().cpu(), b.detach().double().cpu()
    size = min(subset_size, len(a), len(b))
    if size == len(a) == len(b):
        return _unbiased_mmd(a, b)
    random = np.random.RandomState(SUBSET_SEED)
    distances = []
    for _ in range(SUBSETS):
        rows = [torch.from_numpy(random.choice(len(features), size, replace=False)) for features in (a, b)]
        distances.append(_unbiased_mmd(a[rows[0]], b[rows[1]]))
    return float(np.mean(distances))


def _unbiased_mmd(a: Tensor, b: Tensor) -> float:
    """The estimate for two sets `(m, d)` of equal size; a pair of an image with itself does not count."""
    m = len(a)
    k_aa, k_bb, k_ab = _kernel(a, a), _kernel(b, b), _kernel(a, b)  # (m, m) each
    within = k_aa.sum() - k_aa.trace() + k_bb.sum() - k_bb.trace()
    return float(within / (m * (m - 1)) - 2 * k_ab.mean())


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1.0) ** 3
