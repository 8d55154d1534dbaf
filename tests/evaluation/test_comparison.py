"""Two sets of images and what is said of them."""

import math

import pytest
import torch

from lightning_nsd.evaluation.comparison import Comparison, Examples
from lightning_nsd.evaluation.failure import EvaluationError
from lightning_nsd.evaluation.populations import Population
from lightning_nsd.extractors import Extractor
from lightning_nsd.metrics.distances import measure
from lightning_nsd.metrics.inception_scores import measure_scores
from lightning_nsd.metrics.originality import Originality, measure_originality
from tests.evaluation.conftest import Means, make_settings
from tests.metrics.conftest import make_bytes

CPU = torch.device("cpu")


def test_a_row_holds_the_distances_of_the_features_and_the_first_images():
    comparison, real, generated = Comparison(make_settings()), make_bytes(20), make_bytes(12, seed=1)
    row = comparison.compare(Population("a", 25, 12), lambda: real, generated, CPU)
    assert row.distances == measure(Means()(real), Means()(generated))
    assert (row.name, row.available, row.n, row.reason, row.failed) == ("a", 25, 12, "", False)
    assert torch.equal(row.strip, generated[:8])
    assert comparison.num_features == 6


def test_without_other_classes_and_examples_nothing_is_said_of_recognition_and_originality():
    row = Comparison(make_settings()).compare(Population("a", 25, 12), lambda: make_bytes(20), make_bytes(12), CPU)
    assert math.isnan(row.recognised) and math.isnan(row.recognised_real)
    assert repr((row.originality, row.pixels)) == repr((Originality(), Originality()))


def test_with_them_it_is_of_the_extractor_s_features_and_of_pixels():
    comparison, real, generated = Comparison(make_settings()), make_bytes(20), make_bytes(12, seed=1)
    examples = Examples(real[:8].unflatten(0, (4, 2)), torch.arange(4).repeat_interleave(3))
    means = torch.stack([comparison.class_mean(255 - real, CPU), comparison.class_mean(real // 2, CPU)])
    row = comparison.compare(Population("a", 25, 12), lambda: real, generated, CPU, others=means, examples=examples)
    of_images = [images.flatten(-3).double() for images in (generated, examples.images, real)]
    assert row.pixels == measure_originality(of_images[0], of_images[1], examples.owner, of_images[2])
    features = [Means()(images) for images in (generated, real[:8], real)]
    expected = measure_originality(features[0], features[1].unflatten(0, (4, 2)), examples.owner, features[2])
    assert row.originality == pytest.approx(expected)
    assert 0 <= row.recognised <= 1 and 0 < row.recognised_real <= 1


def test_scores_are_of_the_generated_images_and_of_as_many_real_ones_where_there_are_enough(monkeypatch):
    class Scores(Means):
        """Takes the six means for the scores of 1008 classes, and twice for spatial features."""

        def forward(self, images):
            means = super().forward(images)
            return torch.cat([means.repeat(1, 168), means[:, :3], means[:, :2]], dim=1)

    built = []

    def build(arguments):
        built.append(arguments)
        return Extractor(Scores(), "inception", "scores")

    monkeypatch.setattr("lightning_nsd.evaluation.comparison.build_score_extractor", build)
    monkeypatch.setattr("lightning_nsd.evaluation.comparison.build_extractor", lambda *_: Extractor(Means(), "i", "m"))
    comparison = Comparison(make_settings(extractor="inception", inception_scores=True, extractor_args={"a": 1}))
    real, generated = make_bytes(600), make_bytes(500, seed=1)
    row = comparison.compare(Population("a", 600, 500), lambda: real, generated, CPU)
    assert row.reason == ""
    assert row.scores == pytest.approx(measure_scores(Scores()(real), Scores()(generated)))
    assert row.scores.inception_score >= 1 and row.scores.sfid > 0
    few = comparison.compare(Population("b", 600, 499), lambda: real, generated[:499], CPU)
    assert math.isnan(few.scores.inception_score) and few.distances.fid > 0
    assert built == [{"a": 1}]
    plain = Comparison(make_settings()).compare(Population("a", 600, 500), lambda: real, generated, CPU)
    assert math.isnan(plain.scores.inception_score) and math.isnan(plain.scores.sfid)


def test_what_is_raised_is_the_reason_and_is_logged(caplog):
    def no_images():
        raise OSError("the disk is gone")

    comparison = Comparison(make_settings())
    row = comparison.compare(Population("a", 25, 12), no_images, make_bytes(12), CPU, "val")
    assert (row.reason, row.failed, row.n) == ("OSError: the disk is gone", True, 12)
    assert math.isnan(row.distances.fid)
    assert "The class a (val) could not be compared" in caplog.text
    comparison.failures.raise_together([row.reason])
    strict = Comparison(make_settings(strict=True))
    row = strict.compare(Population("a", 25, 12), no_images, make_bytes(12), CPU)
    with pytest.raises(EvaluationError, match="the disk is gone"):
        strict.failures.raise_together([row.reason])


def test_a_report_says_what_its_numbers_depend_on():
    report = Comparison(make_settings(extractor_args={"a": 1})).report("val", 3, seed=0)
    assert (report.split, report.step, report.distance, report.kernel) == ("val", 3, "fd_means", "kd_means")
    assert report.asked == 12
    assert report.settings == {"extractor": "tests.evaluation.conftest.Means", "extractor_args": {"a": 1}, "seed": 0}
    inception = Comparison(make_settings(extractor="inception")).report("val", None)
    assert (inception.distance, inception.kernel) == ("fid", "kid")
