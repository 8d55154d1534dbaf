"""Standard error, interval and extrapolation of the Fréchet distance, on normal features whose distance is known."""

import math
from statistics import fmean, stdev

import numpy as np
import pytest
import torch

from lightning_nsd.metrics import confidence
from lightning_nsd.metrics.confidence import frechet_at_infinity, frechet_error, interval
from lightning_nsd.metrics.distances import measure
from lightning_nsd.metrics.frechet import frechet_distance

D = 24
SHIFT, SCALE = 0.4, 1.3
FAR = D * (SHIFT**2 + (SCALE - 1) ** 2)
"""The Fréchet distance of the two distributions that `draw` draws from."""


def draw(randn, n, number=0, m=None, d=D, shift=SHIFT, scale=SCALE):
    """Independent features `(n, d)` and `(m, d)`; other ones for every number."""
    return randn(n, d, seed=2 * number), scale * randn(m or n, d, seed=2 * number + 1) + shift


def found_interval(a, b):
    return interval(frechet_distance(a, b), frechet_error(a, b))


# ---- the standard error and the interval ----


@pytest.mark.parametrize(("shift", "scale"), [(SHIFT, SCALE), (0.0, 1.0)], ids=["apart", "the same"])
@pytest.mark.parametrize(("n", "d"), [(45, 8), (45, 32), (20, 64)])
def test_an_interval_of_95_percent_holds_the_mean_distance_at_n_that_often(n, d, shift, scale, randn):
    pairs = [draw(randn, n, number, d=d, shift=shift, scale=scale) for number in range(400)]
    mean = fmean(frechet_distance(a, b) for a, b in pairs)
    intervals = [found_interval(a, b) for a, b in pairs[:200]]
    # where there is no distance the error comes out too large, as a jackknife's of a quadratic figure does
    assert 0.92 <= fmean(low <= mean <= high for low, high in intervals) <= 1


@pytest.mark.parametrize("n", [12, 45])
def test_the_error_is_the_deviation_over_other_images(n, randn):
    pairs = [draw(randn, n, number) for number in range(100)]
    deviation = stdev(frechet_distance(a, b) for a, b in pairs)
    assert 0.85 * deviation < fmean(frechet_error(a, b) for a, b in pairs) < 1.4 * deviation


@pytest.mark.parametrize(("n", "m"), [(12, 12), (45, 45), (12, 60), (60, 12)])
def test_the_error_is_near_the_one_of_the_jackknife_that_leaves_one_image_out(n, m, randn):
    a, b = draw(randn, n, m=m)

    def variance(features, distance):
        left = [distance(torch.cat([features[:i], features[i + 1 :]])) for i in range(len(features))]
        return (len(left) - 1) * np.var(left)

    of_a = variance(a, lambda part: frechet_distance(part, b))
    of_b = variance(b, lambda part: frechet_distance(a, part))
    assert frechet_error(a, b) == pytest.approx((of_a + of_b) ** 0.5, rel=0.1)


@pytest.mark.parametrize("n", [12, 45])
def test_the_interval_holds_the_distance_and_nothing_below_zero(n, randn):
    for shift in (0.0, SHIFT):
        for number in range(10):
            a, b = draw(randn, n, number, shift=shift)
            low, high = found_interval(a, b)
            assert 0 <= low < frechet_distance(a, b) < high
    assert interval(1.0, 2.0)[0] == 0.0


def test_the_interval_is_narrower_with_more_images(randn):
    errors = [frechet_error(*draw(randn, n)) for n in (12, 45, 180, 720)]
    assert errors == sorted(errors, reverse=True)
    assert errors[3] == pytest.approx(errors[2] / 2, rel=0.2)


def test_the_error_depends_on_no_order_and_grows_as_the_distance_does(randn):
    a, b = draw(randn, 30, m=20)
    error = frechet_error(a, b)
    assert frechet_error(b, a) == pytest.approx(error, rel=1e-9)
    assert frechet_error(a.flip(0), b.flip(0)) == pytest.approx(error, rel=1e-9)
    assert frechet_error(3 * a + 1, 3 * b + 1) == pytest.approx(9 * error, rel=1e-9)
    assert frechet_error(a, a) == pytest.approx(0, abs=1e-9)


# ---- infinitely many images ----


@pytest.mark.parametrize("n", [30, 45, 200])
@pytest.mark.parametrize(("shift", "scale", "distance"), [(SHIFT, SCALE, FAR), (0.0, 1.0, 0.0)])
def test_extrapolation_undoes_most_of_the_bias(n, shift, scale, distance, randn):
    pairs = [draw(randn, n, number, shift=shift, scale=scale) for number in range(30)]
    biases = [frechet_distance(a, b) - distance for a, b in pairs]
    left = [frechet_at_infinity(a, b) - distance for a, b in pairs]
    assert min(biases) > 0
    assert abs(fmean(left)) < 0.2 * fmean(biases)
    assert fmean(map(abs, left)) < 0.5 * fmean(biases)  # of one class too, not in the mean alone


def test_what_is_linear_in_the_inverse_sizes_is_extrapolated_exactly(randn, monkeypatch):
    monkeypatch.setattr(confidence, "frechet_distance", lambda a, b: 5 + 3 / len(a) + 3 / len(b))
    for n, m in ((30, 30), (45, 45), (47, 90)):
        assert frechet_at_infinity(*draw(randn, n, m=m)) == pytest.approx(5, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(32, 40), (8, 8)])
def test_every_image_is_in_as_many_parts(n, m, monkeypatch):
    seen = {1: [], 2: []}

    def note(a, b):
        for number, features in ((1, a), (2, b)):
            seen[number] += features[:, 0].long().tolist()
        return 0.0

    monkeypatch.setattr(confidence, "frechet_distance", note)
    frechet_at_infinity(torch.arange(float(n))[:, None], torch.arange(float(m))[:, None])
    for number, size in ((1, n), (2, m)):
        assert np.bincount(seen[number]).tolist() == [1 + 2 * (2 + 3)] * size


def test_the_same_features_give_the_same_numbers_whatever_was_drawn_before(randn):
    a, b = draw(randn, 45)
    found = measure(a, b)
    np.random.seed(1)
    torch.manual_seed(1)
    assert measure(a, b) == found
    assert (found.fid_low, found.fid_high) == found_interval(a, b)
    assert found.fid_infinity == frechet_at_infinity(a, b)


# ---- where nothing is said ----


@pytest.mark.parametrize(("n", "d", "has_interval", "has_infinity"), [
    (7, 2, False, False), (8, 2, True, True), (29, 24, True, False), (30, 24, True, True), (300, 2048, True, False),
])  # fmt: skip
def test_too_few_images_are_nan(n, d, has_interval, has_infinity, randn):
    a, b = draw(randn, n, d=d)
    assert [math.isfinite(value) for value in found_interval(a, b)] == [has_interval] * 2
    assert math.isfinite(frechet_at_infinity(a, b)) == has_infinity
    more = draw(randn, 4 * n, d=d)[1]
    assert math.isfinite(frechet_error(a, more)) == math.isfinite(frechet_error(more, a)) == has_interval
    assert math.isfinite(frechet_at_infinity(a, more)) == has_infinity


@pytest.mark.parametrize("figure", [frechet_error, frechet_at_infinity])
def test_what_cannot_be_compared_is_said(figure, randn):
    a, b = draw(randn, 45)
    with pytest.raises(ValueError, match="at least 2 images; got 1 and 45"):
        figure(a[:1], b)
    with pytest.raises(ValueError, match="not finite"):
        figure(a, b.index_fill(0, torch.tensor([0]), math.nan))
