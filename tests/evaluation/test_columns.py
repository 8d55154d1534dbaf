"""The one list of columns."""

import math
import re

import pytest

from lightning_nsd.evaluation.columns import COLUMNS, mean
from lightning_nsd.evaluation.row import Row
from lightning_nsd.metrics.distances import Distances


@pytest.mark.parametrize("figure", Distances._fields)
def test_every_figure_of_a_class_is_a_column(figure):
    row = Row("a", 9, 9, Distances()._replace(**{figure: 0.125}))
    assert [column.name for column in COLUMNS if column.of(row) == 0.125] == [figure]


def test_names_are_different_and_what_is_logged_of_every_class_has_an_average():
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    for column in COLUMNS:
        assert re.fullmatch(r"\w+", column.name)
        assert column.average or not column.by_class


def test_a_mean_is_of_what_is_finite():
    assert mean([1.0, math.nan, 3.0, math.inf]) == 2.0
    assert math.isnan(mean([])) and math.isnan(mean([math.nan]))
