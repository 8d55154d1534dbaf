"""One comparison of two sets of images, wherever they are from."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lightning_nsd.evaluation.failure import Failures
from lightning_nsd.evaluation.feature_distances import FeatureDistances
from lightning_nsd.evaluation.populations import Population
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.row import Row
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.extractors import Extractor, build_extractor, build_score_extractor, distance_name, kernel_name
from lightning_nsd.extractors.extractor import BATCH_SIZE
from lightning_nsd.extractors.feature_cache import FeatureCache
from lightning_nsd.metrics.inception_scores import LEAST_IMAGES, InceptionScores, measure_scores
from lightning_nsd.metrics.originality import measure_originality
from lightning_nsd.metrics.recognisability import recognisability

STRIP = 8


class Examples(NamedTuple):
    """What images were generated from.

    Attributes:
        images: of every support set, bytes `(S, n_shot, C, H, W)`.
        owner: the support set of each generated image, int64 `(n,)`.
    """

    images: Tensor
    owner: Tensor


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
        self._score_extractor: Extractor | None = None

    def extractor(self) -> Extractor:
        """The extractor, loaded at the first call.

        Raises:
            Exception: whatever goes wrong; a UserError says what to do.
        """
        if self._extractor is None:
            self._extractor = build_extractor(self.settings.extractor, self.settings.extractor_args)
        return self._extractor

    def _scores(self, real: Tensor, generated: Tensor, device: torch.device) -> InceptionScores:
        """NaN for too few images, whose scores are not computed."""
        n = len(generated)
        if n < LEAST_IMAGES:
            return InceptionScores()
        if self._score_extractor is None:
            self._score_extractor = build_score_extractor(self.settings.extractor_args)
        of_real = self.cache.features(self._score_extractor, real[:n], device, BATCH_SIZE)
        of_generated = self._score_extractor.features(generated, device, BATCH_SIZE)
        return measure_scores(of_real, of_generated)

    @property
    def num_features(self) -> int | None:
        """Features of an image, known once some were computed."""
        return self._extractor.dim if self._extractor else None

    def report(self, split: str, step: int | None, **settings: object) -> Report:
        """An empty report; `settings` are what else the numbers depend on, as plain values."""
        own = {"extractor": self.settings.extractor, "extractor_args": dict(self.settings.extractor_args or {})}
        return Report(split, step, self.distance, self.kernel, self.settings.num_samples, {**own, **settings})

    def class_mean(self, real: Tensor, device: torch.device) -> Tensor:
        """By what a class is recognised: the mean feature `(d,)` of real images, bytes `(r, C, H, W)`."""
        return self.cache.features(self.extractor(), real, device, BATCH_SIZE).mean(dim=0)

    def compare(
        self,
        population: Population,
        real: Callable[[], Tensor],
        generated: Tensor,
        device: torch.device,
        of: str = "",
        others: Tensor | None = None,
        examples: Examples | None = None,
    ) -> Row:
        """Compare the images of a population. What is raised is noted, and is the row's reason.

        Args:
            population: of `n` images.
            real: gives real images, bytes `(r, C, H, W)` in random order: n to compare with, all (up to 2n) for the
                floor.
            generated: bytes `(n, C, H, W)`.
            device: where features are computed.
            of: where the population is from, for the log.
            others: the other classes' means `(K, d)`; without them nothing is said of recognition.
            examples: what the images were made from; without them nothing is said of originality.
        """
        row = Row(population.name, population.available, population.n, strip=generated[:STRIP].clone())
        try:
            images = real()
            row = row._replace(real_strip=images[:STRIP].clone())
            return row._replace(**self._figures(images, generated, device, others, examples))
        except Exception as error:
            where = f" ({of})" if of else ""
            message = self.failures.note(error, f"The class {row.name}{where} could not be compared.")
            return row._replace(reason=message, failed=True)

    def _figures(
        self, real: Tensor, generated: Tensor, device: torch.device, others: Tensor | None, examples: Examples | None
    ) -> dict[str, Any]:
        """The fields of a row."""
        metric = FeatureDistances(self.extractor(), self.cache, sync_on_compute=False).to(device)
        metric.update(real, real=True)
        metric.update(generated, real=False)
        found: dict[str, Any] = {"distances": metric.compute()}
        if self.settings.inception_scores:
            found["scores"] = self._scores(real, generated, device)
        (of_real,), (of_generated,) = metric.real, metric.generated
        if others is not None:
            found["recognised"], found["recognised_real"] = recognisability(of_real, of_generated, others)
        if examples is not None:
            shape = examples.images.shape[:2]  # (S, n_shot)
            of_examples = self.extractor().features(examples.images.flatten(0, 1), device).unflatten(0, shape)
            pixels = [images.double() for images in (generated.flatten(1), examples.images.flatten(2), real.flatten(1))]
            found["originality"] = measure_originality(of_generated, of_examples, examples.owner, of_real)
            found["pixels"] = measure_originality(pixels[0], pixels[1], examples.owner, pixels[2])
        return found
