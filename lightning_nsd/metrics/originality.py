"""Whether images were understood or copied: how far from their examples, and how far from each other, they lie."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_nsd.metrics.frechet import check_features

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
    generated: Float[Tensor, "n d"],
    support: Float[Tensor, "S k d"],
    owner: Int[Tensor, " n"],
    real: Float[Tensor, "r d"],
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
    check_features(support.flatten(0, 1), generated)
    generated, support = generated.detach().double().cpu(), support.detach().double().cpu()
    real, owner = real.detach().double().cpu().unique(dim=0), owner.cpu()
    to_examples, real_to_examples, between = [], [], []
    for number, examples in enumerate(support):
        own = generated[owner == number]  # (m, d)
        to_examples.append(_distances(own, examples).min(dim=1).values)
        nearest = _distances(real, examples).min(dim=1).values  # (r,)
        real_to_examples.append(nearest[nearest > 0])
        between.append(_off_diagonal(_distances(own, own)))
    between_real = _off_diagonal(_distances(real, real))
    nearest_real = between_real.min() if len(between_real) else torch.tensor(NAN)
    distance = torch.cat(to_examples)
    return Originality(
        float(distance.mean() / torch.cat(real_to_examples).mean()),
        float(torch.cat(between).mean() / between_real.mean()),
        float((distance < nearest_real).double().mean()) if len(between_real) else NAN,
    )


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances `(n, m)` of `(n, d)` and `(m, d)`; exactly 0 between equal rows."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _off_diagonal(square: Tensor) -> Tensor:
    """What is not on the diagonal of `(n, n)`, `(n·(n − 1),)`."""
    return square[~torch.eye(len(square), dtype=torch.bool)]
