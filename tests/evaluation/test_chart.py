"""The picture of all distances."""

import math

import pytest
from PIL import Image

from lightning_nsd.evaluation.chart import make_chart
from tests.evaluation.conftest import make_report


@pytest.mark.parametrize("distances", [[], [math.nan], [3.0], [1.0, math.nan, 2.0], list(range(1, 101))])
def test_a_chart_of_any_number_of_classes(distances):
    assert isinstance(make_chart(make_report([float(d) for d in distances])), Image.Image)
