"""ILVR: what is drawn has the coarse content of a reference image (Choi et al. 2021, arXiv 2108.02938).

A model without conditioning draws from examples so, at test time alone.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Reference(NamedTuple):
    """What images are held to while they are drawn.

    Attributes:
        images: one for every x, in [-1, 1].
        noise: of every step, the noisiest first, with which they are noised as far as the step leads.
    """

    images: Float[Array, "b C H W"]
    noise: Float[Array, "S b C H W"]


def reference_images(support: Float[Array, "b n C H W"], num: int) -> Float[Array, "queries C H W"]:
    """A reference for each of `num` queries of every support set: its images in turn, `(b·num, C, H, W)`."""
    b, n, *image = support.shape
    rounds = -(-num // n)
    return jnp.tile(support, (1, rounds, 1, 1, 1))[:, :num].reshape(b * num, *image)


def low_pass(images: Float[Array, "b C H W"], factor: int) -> Float[Array, "b C H W"]:
    """φ_N: every block of N × N pixels becomes its mean.

    The paper's code resizes down and up by bicubic interpolation. Means of blocks are exactly the same in every
    framework, and an orthogonal projection: φ(φ(x)) = φ(x), so that what was refined has the block means of its
    reference and not only nearly.

    Args:
        factor: N, which divides H and W.
    """
    b, c, h, w = images.shape
    down = images.reshape(b, c, h // factor, factor, w // factor, factor).mean(axis=(3, 5))  # (b, C, H/N, W/N)
    return jnp.repeat(jnp.repeat(down, factor, axis=2), factor, axis=3)


def refine(x: Float[Array, "b C H W"], y: Float[Array, "b C H W"], factor: int) -> Float[Array, "b C H W"]:
    """φ_N(y) + (I − φ_N)(x): x with the coarse content of y (algorithm 1).

    Args:
        x: what a step of the sampler gave.
        y: the reference, noised as far as x.
        factor: N.
    """
    return low_pass(y, factor) + (x - low_pass(x, factor))
