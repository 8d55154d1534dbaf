"""The picture of recognisability against originality."""

import math

import pytest
from PIL import Image

from lightning_nsd.evaluation.scatter import make_scatter
from lightning_nsd.metrics.originality import Originality
from tests.evaluation.conftest import make_report


def with_figures(pairs):
    report = make_report([1.0] * len(pairs))
    for number, (recognised, originality) in enumerate(pairs):
        report.rows[number] = report.rows[number]._replace(
            recognised=recognised, recognised_real=0.97, originality=Originality(originality, 0.9, 0.0)
        )
    return report


@pytest.mark.parametrize("pairs", [[(0.5, 1.0)], [(0.0, 0.0), (1.0, 7.0)], [(0.9, 1.1), (math.nan, 1.0)]])
def test_a_picture_of_any_number_of_classes(pairs):
    assert isinstance(make_scatter(with_figures(pairs)), Image.Image)


@pytest.mark.parametrize("pairs", [[], [(math.nan, math.nan)], [(0.9, math.nan), (math.nan, 1.0)]])
def test_there_is_no_picture_where_no_class_has_both(pairs):
    assert make_scatter(with_figures(pairs)) is None
