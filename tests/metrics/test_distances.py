"""Distances against the implementations that they stand for, on the same features."""

import math

import pytest
import torch
from torch import nn
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance

from lightning_nsd.metrics.distances import floor_size, measure
from lightning_nsd.metrics.frechet import check_features, frechet_distance
from lightning_nsd.metrics.kernel import kernel_distance
from lightning_nsd.metrics.precision_recall import precision_recall

D = 24
BELOW_AT_AND_ABOVE_D = [5, 23, 24, 25, 100]


class Given(nn.Module):
    """Takes features for images."""

    num_features = D

    def forward(self, x):
        return x


def two_sets(randn, n, m=None, d=D):
    """Correlated features with different means and deviations."""
    mix = randn(d, d, seed=9)
    return randn(n, d, seed=1) @ mix, 1.3 * randn(m or n, d, seed=2) @ mix + 0.4


def theirs(a, b):
    metric = FrechetInceptionDistance(Given(), normalize=True)
    metric.update(a, real=True)
    metric.update(b, real=False)
    return metric.set_dtype(torch.float64).compute().item()


@pytest.mark.parametrize("n", BELOW_AT_AND_ABOVE_D)
def test_frechet_distance_is_torchmetrics(n, randn):
    a, b = two_sets(randn, n)
    assert frechet_distance(a, b) == pytest.approx(theirs(a, b), rel=1e-6)


def test_frechet_distance_of_sets_of_different_sizes(randn):
    a, b = two_sets(randn, 7, 60)
    assert frechet_distance(a, b) == pytest.approx(theirs(a, b), rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-12)


@pytest.mark.parametrize("n", BELOW_AT_AND_ABOVE_D)
def test_frechet_distance_of_a_set_with_itself_is_zero(n, randn):
    a = two_sets(randn, n)[0]
    assert frechet_distance(a, a) <= 1e-6
    assert frechet_distance(a, a[torch.randperm(n)]) <= 1e-6


@pytest.mark.parametrize("n", BELOW_AT_AND_ABOVE_D)
def test_kernel_distance_is_torch_fidelitys(n, randn):
    a, b = two_sets(randn, n)
    expected = kid_features_to_metric(a, b, kid_subset_size=n, verbose=False)[KEY_METRIC_KID_MEAN]
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_with_subsets_draws_torch_fidelitys(randn):
    a, b = two_sets(randn, 60, 50)
    expected = kid_features_to_metric(a, b, kid_subset_size=20, verbose=False)[KEY_METRIC_KID_MEAN]
    assert kernel_distance(a, b, subset_size=20) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [4, *BELOW_AT_AND_ABOVE_D])
def test_precision_and_recall_are_torch_fidelitys(n, randn):
    real, generated = two_sets(randn, n)
    expected = prc_features_to_metric(generated, real, verbose=False)
    found = precision_recall(real, generated)
    assert found == pytest.approx((expected[KEY_METRIC_PRECISION], expected[KEY_METRIC_RECALL]), rel=1e-6)


def test_precision_is_of_the_generated_and_recall_of_the_real(randn):
    real = randn(40, 2, seed=0)
    middle = 0.01 * randn(40, 2, seed=1)  # looks real, and covers little
    precision, recall = precision_recall(real, middle)
    assert precision == 1.0
    assert recall < 0.2


def test_too_few_images_for_neighbours_are_nan(randn):
    assert all(math.isnan(value) for value in precision_recall(*two_sets(randn, 3)))


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, precision_recall])
def test_what_cannot_be_compared_is_said(distance, randn):
    a, b = two_sets(randn, 5)
    with pytest.raises(ValueError, match="at least 2 images; got 1 and 5"):
        distance(a[:1], b)
    with pytest.raises(ValueError, match="not finite"):
        distance(a, b.index_fill(0, torch.tensor([0]), math.nan))


def test_features_of_two_widths_cannot_be_compared(randn):
    a, b = two_sets(randn, 5)
    with pytest.raises(ValueError, match="to be \\(n, d\\)"):
        check_features(a, b[:, 1:])


def test_the_floor_is_at_the_size_used_where_the_class_has_twice_as_many():
    assert floor_size(600, 600) == 300
    assert floor_size(600, 300) == 300
    assert floor_size(600, 47) == 47
    assert floor_size(3, 3) == 0


def test_measure_compares_n_with_n(randn):
    real, generated = two_sets(randn, 30, 12)
    found = measure(real, generated)
    assert found.fid == frechet_distance(real[:12], generated)
    assert found.kid == kernel_distance(real[:12], generated)
    assert found.floor == frechet_distance(real[:12], real[12:24])
    assert found.floor_n == 12
