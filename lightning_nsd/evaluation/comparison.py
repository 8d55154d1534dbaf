"""One comparison of two sets of images, wherever they are from."""

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_nsd.evaluation.failure import Failures
from lightning_nsd.evaluation.feature_distances import FeatureDistances
from lightning_nsd.evaluation.populations import Population
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.row import Row
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.extractors import Extractor, build_extractor, distance_name, kernel_name
from lightning_nsd.extractors.feature_cache import FeatureCache

STRIP = 8


class Comparison:
    """Compares real with generated images by the extractor of the settings, and knows what the distances are called.

    Args:
        settings: of these the number of images, the extractor, the cache and `strict` count.
    """

    def __init__(self, settings: EvaluationSettings) -> None:
        self.settings = settings
        self.distance = distance_name(settings.extractor)
        self.kernel = kernel_name(settings.extractor)
        self.failures = Failures(settings.strict)
        self.cache = FeatureCache(settings.cache_dir)
        self._extractor: Extractor | None = None

    def extractor(self) -> Extractor:
        """The extractor, loaded at the first call.

        Raises:
            Exception: whatever goes wrong; a UserError says what to do.
        """
        if self._extractor is None:
            self._extractor = build_extractor(self.settings.extractor, self.settings.extractor_args)
        return self._extractor

    @property
    def num_features(self) -> int | None:
        """Features of an image, known once some were computed."""
        return self._extractor.dim if self._extractor else None

    def report(self, split: str, step: int | None, **settings: object) -> Report:
        """An empty report; `settings` are what else the numbers depend on, as plain values."""
        own = {"extractor": self.settings.extractor, "extractor_args": dict(self.settings.extractor_args or {})}
        return Report(split, step, self.distance, self.kernel, self.settings.num_samples, {**own, **settings})

    def compare(
        self, population: Population, real: Callable[[], Tensor], generated: Tensor, device: torch.device, of: str = ""
    ) -> Row:
        """Compare the images of a population. What is raised is noted, and is the row's reason.

        Args:
            population: of `n` images.
            real: gives real images, bytes `(r, C, H, W)` in random order: n to compare with, all (up to 2n) for the
                floor.
            generated: bytes `(n, C, H, W)`.
            device: where features are computed.
            of: where the population is from, for the log.
        """
        row = Row(population.name, population.available, population.n, strip=generated[:STRIP].clone())
        try:
            metric = FeatureDistances(self.extractor(), self.cache, sync_on_compute=False).to(device)
            metric.update(real(), real=True)
            metric.update(generated, real=False)
            return row._replace(distances=metric.compute())
        except Exception as error:
            where = f" ({of})" if of else ""
            message = self.failures.note(error, f"The class {row.name}{where} could not be compared.")
            return row._replace(reason=message, failed=True)
