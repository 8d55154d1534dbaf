"""What is known of a class before anything was compared: nothing."""

import math

from lightning_nsd.evaluation.columns import COLUMNS
from lightning_nsd.evaluation.row import Row


def test_a_row_of_a_class_that_was_not_compared_claims_nothing():
    row = Row("wolf", 3, 0, reason="too few")
    figures = {column.name: column.of(row) for column in COLUMNS if column.average}
    assert len(figures) > 10
    assert all(math.isnan(value) for value in figures.values())
    assert not row.failed
