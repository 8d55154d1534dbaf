"""Inception score and sFID of made-up scores and features."""

import math

import pytest
import torch
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

from lightning_nsd.metrics.frechet import frechet_distance
from lightning_nsd.metrics.inception_scores import inception_score, measure_scores, spatial_frechet_distance


@pytest.mark.parametrize(("n", "parts"), [(500, 1), (999, 1), (1801, 3), (5003, 10), (9000, 10)])
def test_the_inception_score_is_torch_fidelitys(n, parts, randn):
    logits = 3 * randn(n, 7)
    expected = isc_features_to_metric(logits, splits=parts, shuffle=True, rng_seed=2020)[KEY_METRIC_ISC_MEAN]
    assert inception_score(logits) == pytest.approx(expected, rel=1e-10)


def test_images_of_one_class_score_1_and_sure_images_of_k_classes_k():
    sure = 100 * torch.eye(8).repeat(75, 1)
    assert inception_score(sure) == pytest.approx(8)
    assert inception_score(sure[:1].repeat(600, 1)) == pytest.approx(1)
    assert inception_score(0 * sure) == pytest.approx(1)


def test_too_few_images_have_no_score(randn):
    assert math.isnan(inception_score(randn(499, 3)))
    real, generated = randn(12, 12), randn(20, 12, seed=1)
    assert math.isnan(spatial_frechet_distance(real, generated))
    assert math.isnan(spatial_frechet_distance(generated, real))
    assert spatial_frechet_distance(generated[:, 1:], real[:, 1:]) == frechet_distance(generated[:, 1:], real[:, 1:])


def test_scores_come_before_spatial_features_and_as_many_real_images_are_used(randn):
    real, generated = randn(700, 9), randn(600, 9, seed=1)
    found = measure_scores(real, generated, classes=4)
    assert found.inception_score == inception_score(generated[:, :4])
    assert found.sfid == frechet_distance(real[:600, 4:], generated[:, 4:])
