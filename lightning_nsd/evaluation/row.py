"""One class of a report."""

from typing import NamedTuple

from torch import Tensor

from lightning_nsd.metrics.distances import NAN, Distances
from lightning_nsd.metrics.inception_scores import InceptionScores
from lightning_nsd.metrics.originality import Originality
from lightning_nsd.training.episode_bits import Bits


class Row(NamedTuple):
    """What was found about one class, or about all of a split in a mixture.

    Attributes:
        name: of the class, or of the mixture.
        available: real images that there are.
        n: images compared, real and generated alike.
        distances: NaN where nothing can be said.
        recognised: part of the generated images that a reader takes for their own class; see `metrics.recognisability`.
        recognised_real: the same of real images.
        originality: of the features; NaN for images whose examples are not known.
        pixels: the same of the pixels.
        scores: Inception score and sFID; NaN where they were not asked for.
        bits: bits per dimension of real images of the class; NaN where they were not asked for.
        bits_images: of how many images; whole episodes.
        reason: why nothing can be said, else empty.
        failed: something raised; unlike a class that is too small.
        strip: the first generated images, bytes `(k, C, H, W)`.
        real_strip: the first real ones, as many.
    """

    name: str
    available: int
    n: int
    distances: Distances = Distances()
    recognised: float = NAN
    recognised_real: float = NAN
    originality: Originality = Originality()
    pixels: Originality = Originality()
    scores: InceptionScores = InceptionScores()
    bits: Bits = Bits()
    bits_images: int = 0
    reason: str = ""
    failed: bool = False
    strip: Tensor | None = None
    real_strip: Tensor | None = None
