"""One class of a report."""

from typing import NamedTuple

from torch import Tensor

from lightning_nsd.metrics.distances import Distances


class Row(NamedTuple):
    """What was found about one class, or about all of a split in a mixture.

    Attributes:
        name: of the class, or of the mixture.
        available: real images that there are.
        n: images compared, real and generated alike.
        distances: NaN where nothing can be said.
        reason: why nothing can be said, else empty.
        failed: something raised; unlike a class that is too small.
        strip: the first generated images, bytes `(k, C, H, W)`.
    """

    name: str
    available: int
    n: int
    distances: Distances = Distances()
    reason: str = ""
    failed: bool = False
    strip: Tensor | None = None
