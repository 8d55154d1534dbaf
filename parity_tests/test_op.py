"""Rung 1."""

import pytest

from parity_tests.rungs import op
from parity_tests.tolerances import DTYPES, Dtype

OF_THE_LIKELIHOOD = (op.likelihoods, op.bound_at_the_first_step, op.bits)
"""They have tests of their own."""
GROUPS = [group for group in op.GROUPS if group not in OF_THE_LIKELIHOOD]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_every_operation_agrees(group: object, dtype: Dtype) -> None:
    checks = list(group(dtype))  # type: ignore[operator]
    assert checks
    for check in checks:
        check.require()


def test_likelihoods_agree() -> None:
    for check in (*op.likelihoods("float64"), *op.bound_at_the_first_step("float64")):
        check.require()


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_agree(dtype: Dtype) -> None:
    for check in op.bits(dtype):
        check.require()
