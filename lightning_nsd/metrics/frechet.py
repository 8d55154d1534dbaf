"""Fréchet distance between the normal distributions fitted to two sets of features, without any d × d product."""

import numpy as np
from jaxtyping import Float
from torch import Tensor


def frechet_distance(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> float:
    """|μ_a − μ_b|² + tr S_a + tr S_b − 2 tr √(S_a S_b), as torchmetrics' `FrechetInceptionDistance` has it.

    With centred features A and B, S_a = AᵀA / (n−1) and S_b = BᵀB / (m−1), and
    tr √(S_a S_b) = ‖A Bᵀ‖_* / √((n−1)(m−1)): the eigenvalues of S_a S_b are the squared singular values of A Bᵀ.
    It is exact, needs no ε on a diagonal, and for n < d costs an n × m decomposition instead of d × d ones.

    Args:
        a: features, n at least 2; computed with in float64.
        b: features, m at least 2.

    Raises:
        ValueError: fewer than two rows, different d, or features that are not finite.
    """
    check_features(a, b)
    (mean_a, scaled_a), (mean_b, scaled_b) = centred(a), centred(b)
    trace = np.square(scaled_a).sum() + np.square(scaled_b).sum()
    product = _at_most_d_rows(scaled_a) @ _at_most_d_rows(scaled_b).T  # (min(n, d), min(m, d))
    root = np.linalg.svd(product, compute_uv=False).sum()
    distance = np.square(mean_a - mean_b).sum() + trace - 2 * root
    return max(float(distance), 0.0)  # rounding alone can take it below


def centred(features: Float[Tensor, "n d"]) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "n d"]]:
    """The mean, and A / √(n−1) with A centred: its product with itself is the covariance; both in float64."""
    values = features.detach().double().cpu().numpy()
    mean = values.mean(axis=0)
    return mean, (values - mean) / np.sqrt(len(values) - 1)


def _at_most_d_rows(a: np.ndarray) -> np.ndarray:
    """R of A = QR where n > d: ‖A Bᵀ‖_* = ‖R Bᵀ‖_*, because Q has orthonormal columns; `(min(n, d), d)`."""
    return np.asarray(np.linalg.qr(a, mode="r")) if len(a) > a.shape[1] else a


def check_features(a: Float[Tensor, "..."], b: Float[Tensor, "..."]) -> None:
    """Whether two sets of features can be compared at all.

    Raises:
        ValueError: says what is wrong with them.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features are to be (n, d) and (m, d); got {tuple(a.shape)} and {tuple(b.shape)}")
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a distribution needs at least 2 images; got {len(a)} and {len(b)}")
    if not (bool(a.isfinite().all()) and bool(b.isfinite().all())):
        raise ValueError("features that are not finite")
