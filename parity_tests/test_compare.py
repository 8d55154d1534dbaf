"""The checks must be able to fail."""

import numpy as np
import pytest

from parity_tests.check import Check
from parity_tests.compare import errors_of, relative_error, worst_of

NAN = np.array([1.0, np.nan])


def test_nan_on_both_sides_is_a_failure() -> None:
    assert relative_error(NAN, NAN) == float("inf")
    with pytest.raises(AssertionError, match="inf"):
        Check("model", "both NaN", "float64", errors_of({"x": NAN}, {"x": NAN})).require()


def test_a_nan_fails_even_where_errors_are_only_reported() -> None:
    assert not Check("step", "NaN", "float32", errors_of({"x": NAN}, {"x": NAN})).passed


def test_an_empty_list_of_parameters_is_a_failure() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        errors_of({}, {})
    with pytest.raises(ValueError, match="nothing to compare"):
        worst_of({})
    with pytest.raises(ValueError, match="nothing to compare"):
        Check("loss", "nothing", "float64", {}).require()


def test_empty_arrays_are_a_failure() -> None:
    with pytest.raises(ValueError, match="empty"):
        relative_error(np.zeros((0, 3)), np.zeros((0, 3)))


def test_arrays_that_would_broadcast_are_not_equal() -> None:
    with pytest.raises(ValueError, match="compared with"):
        relative_error(np.zeros((2, 1)), np.zeros((2, 2)))


def test_a_number_in_another_precision_is_not_equal() -> None:
    with pytest.raises(ValueError, match="float32"):
        relative_error(np.zeros(2, np.float32), np.zeros(2))


def test_a_name_that_one_side_lacks_is_a_failure() -> None:
    with pytest.raises(ValueError, match="only one side has b"):
        errors_of({"a": np.ones(1), "b": np.ones(1)}, {"a": np.ones(1)})


def test_signed_errors_do_not_cancel() -> None:
    assert relative_error(np.array([1.1, 0.9]), np.ones(2)) == pytest.approx(0.1)


def test_one_entry_that_agrees_is_not_enough() -> None:
    assert relative_error(np.array([1.0, 5.0]), np.ones(2)) == pytest.approx(4.0)


def test_a_gradient_that_is_zero_but_for_rounding_is_held_to_the_scale_of_the_others() -> None:
    ours = {"large": np.ones(1), "zero": np.full(1, 1e-17)}
    theirs = {"large": np.ones(1), "zero": np.full(1, -1e-17)}
    assert errors_of(ours, theirs)["zero"] == pytest.approx(2.0)
    assert errors_of(ours, theirs, gradient_floor=1e-3)["zero"] == pytest.approx(2e-14)


def test_the_first_failure_is_named_in_forward_order() -> None:
    check = Check("model", "outputs", "float64", {"a": 1e-16, "b": 1e-3, "c": 1e-1})
    assert check.first_failure == "b"
    assert check.worst.name == "c"
