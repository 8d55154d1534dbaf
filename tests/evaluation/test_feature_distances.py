"""The torchmetrics shell."""

import pytest

from lightning_nsd.evaluation.feature_distances import FeatureDistances
from lightning_nsd.extractors.feature_cache import FeatureCache
from lightning_nsd.metrics.distances import measure
from tests.metrics.conftest import make_bytes, make_extractor


@pytest.mark.parametrize("cached", [True, False])
def test_images_may_come_in_parts(cached, tmp_path):
    extractor, real, generated = make_extractor(), make_bytes(20), make_bytes(20, seed=1)
    metric = FeatureDistances(extractor, FeatureCache(tmp_path) if cached else None)
    metric.update(real, real=True)
    for part in generated.split(6):
        metric.update(part, real=False)
    assert metric.compute() == measure(extractor.features(real), extractor.features(generated))
    metric.reset()
    with pytest.raises(ValueError, match="no images"):
        metric.compute()
