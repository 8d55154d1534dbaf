"""ILVR: what is drawn has the coarse content of a reference image (Choi et al. 2021, arXiv 2108.02938).

A model without conditioning draws from examples so, at test time alone.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Reference(NamedTuple):
    """What images are held to while they are drawn.

    Attributes:
        images: one for every x, in [-1, 1].
        noise: gives the noise of step k, with which they are noised as far as the step leads; asked for only where it
            has a weight.
    """

    images: Float[Tensor, "b C H W"]
    noise: Callable[[int], Float[Tensor, "b C H W"]]


def reference_images(support: Float[Tensor, "b n C H W"], num: int) -> Float[Tensor, "queries C H W"]:
    """A reference for each of `num` queries of every support set: its images in turn, `(b·num, C, H, W)`."""
    n = support.shape[1]
    return support[:, [query % n for query in range(num)]].flatten(0, 1)


def low_pass(images: Float[Tensor, "b C H W"], factor: int) -> Float[Tensor, "b C H W"]:
    """φ_N: every block of N × N pixels becomes its mean.

    The paper's code resizes down and up by bicubic interpolation. Means of blocks are exactly the same in every
    framework, and an orthogonal projection: φ(φ(x)) = φ(x), so that what was refined has the block means of its
    reference and not only nearly.

    Args:
        factor: N, which divides H and W.
    """
    blocks = images.unflatten(3, (-1, factor)).unflatten(2, (-1, factor))  # (b, C, H/N, N, W/N, N)
    means = blocks.mean(dim=(3, 5), keepdim=True)  # (b, C, H/N, 1, W/N, 1)
    return means.expand_as(blocks).flatten(4, 5).flatten(2, 3)


def refine(x: Float[Tensor, "b C H W"], y: Float[Tensor, "b C H W"], factor: int) -> Float[Tensor, "b C H W"]:
    """x − φ_N(x) + φ_N(y): x with the coarse content of y (algorithm 1).

    Args:
        x: what a step of the sampler gave.
        y: the reference, noised as far as x.
        factor: N.
    """
    return x - low_pass(x, factor) + low_pass(y, factor)
