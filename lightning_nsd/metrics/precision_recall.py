"""Precision and recall of a generator (Kynkäänniemi et al. 2019, arXiv 1904.06991), as torch-fidelity has them."""

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_nsd.metrics.frechet import check_features

NEIGHBOURHOOD = 3
_ROWS_AT_ONCE = 1000


def precision_recall(
    real: Float[Tensor, "n d"], generated: Float[Tensor, "m d"], neighbourhood: int = NEIGHBOURHOOD
) -> tuple[float, float]:
    """The part of generated images that look real, and of real images that are covered by generated ones.

    An image counts when it lies in the ball around any image of the other set that reaches to that one's k-th
    neighbour within its own set.

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
    real, generated = real.detach().double().cpu(), generated.detach().double().cpu()
    precision = _covered(generated, real, neighbourhood)
    recall = _covered(real, generated, neighbourhood)
    return precision, recall


def _covered(points: Tensor, centres: Tensor, neighbourhood: int) -> float:
    """The part of `points` `(n, d)` that lie in any ball around `centres` `(m, d)`."""
    # an image is its own nearest neighbour, so that the k-th other one is number k + 1
    radii = torch.cat(
        [torch.cdist(part, centres).kthvalue(neighbourhood + 1).values for part in centres.split(_ROWS_AT_ONCE)]
    )  # (m,)
    inside = [(torch.cdist(part, centres) <= radii).any(dim=1) for part in points.split(_ROWS_AT_ONCE)]
    return float(torch.cat(inside).double().mean())
