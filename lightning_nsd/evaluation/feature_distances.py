"""The torchmetrics shell around the distances: collects features, and compares them."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_nsd.extractors.extractor import BATCH_SIZE, Extractor
from lightning_nsd.extractors.feature_cache import FeatureCache
from lightning_nsd.metrics.distances import Distances, measure


class FeatureDistances(Metric):
    """Distances between real and generated images of one class, or of any two sets.

    Keeps the features, not sums of their products: for n images of d features n·d numbers instead of torchmetrics'
    2·d² in float64.

    Args:
        extractor: from images to features.
        cache: keeps the features of real images on disk; None computes them every time.
        batch_size: images in the extractor at once.
    """

    full_state_update = False
    is_differentiable = False
    real: list[Tensor]
    generated: list[Tensor]

    def __init__(
        self, extractor: Extractor, cache: FeatureCache | None = None, batch_size: int = BATCH_SIZE, **kwargs: bool
    ) -> None:
        super().__init__(**kwargs)
        self.extractor = extractor
        self.cache = cache
        self.batch_size = batch_size
        self.add_state("real", default=[], dist_reduce_fx="cat")
        self.add_state("generated", default=[], dist_reduce_fx="cat")

    def update(self, images: Tensor, real: bool) -> None:
        """Add images.

        Args:
            images: uint8 `(n, C, H, W)`, 0…255.
            real: whether they are real or generated. More real than generated ones serve the floor alone.

        Raises:
            ValueError: images of another kind.
        """
        if real and self.cache is not None:
            features = self.cache.features(self.extractor, images, self.device, self.batch_size)
        else:
            features = self.extractor.features(images, self.device, self.batch_size)
        (self.real if real else self.generated).append(features)

    @torch.no_grad()
    def compute(self) -> Distances:
        """Compare what was added; float64 on the CPU.

        Raises:
            ValueError: too few images, or features that are not finite or all the same.
        """
        if not self.real or not self.generated:
            raise ValueError("there are no images to compare")
        real, generated = dim_zero_cat(self.real), dim_zero_cat(self.generated)  # (r, d), (n, d)
        if all(bool((features == real[0]).all()) for features in (real, generated)):
            raise ValueError("the extractor gives the same features for every image, so that nothing can be compared")
        return measure(real, generated)
