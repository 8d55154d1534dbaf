"""Whether generated images are read as what they were to be, by a reader that knows a class by its mean feature."""

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_nsd.metrics.frechet import check_features

NAN = float("nan")


def recognisability(
    real: Float[Tensor, "r d"], generated: Float[Tensor, "n d"], others: Float[Tensor, "K d"]
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
    real, generated, others = (values.detach().double().cpu() for values in (real, generated, others))
    mean = real.mean(dim=0)
    without = (len(real) * mean - real) / (len(real) - 1)  # (r, d)
    return _part(generated, mean[None], others), _part(real, without, others)


def _part(points: Tensor, own: Tensor, others: Tensor) -> float:
    """The part of `points` `(n, d)` that are nearer to `own` `(1, d)` or `(n, d)` than to any of `others`."""
    to_own = (points - own).square().sum(dim=1)  # (n,)
    to_others = torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist").square()  # (n, K)
    return float((to_own < to_others.min(dim=1).values).double().mean())
