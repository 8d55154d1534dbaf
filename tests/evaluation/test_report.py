"""Numbers over the classes."""

import math

import pytest

from lightning_nsd.evaluation.report import Report
from tests.evaluation.conftest import make_report


def test_the_summary_over_classes():
    report = make_report([1.0, 9.0, math.nan, 2.0, 3.0, 4.0, 5.0])
    summary = report.summary()
    assert summary["mean"] == 4.0
    assert summary["median"] == 3.5
    assert summary["worst5"] == (9 + 5 + 4 + 3 + 2) / 5
    assert (summary["precision"], summary["recall"], summary["floor"]) == (0.5, 0.25, 0.125)
    assert (summary["n_min"], summary["n_max"], summary["failed"]) == (9, 9, 0)
    assert [row.name for row in report.ranked[:2]] == ["class 1", "class 6"]
    assert math.isnan(make_report([math.nan]).summary()["mean"])


def test_figures_are_the_summary_and_two_distances_of_every_class():
    figures = make_report([1.0, 3.0]).figures()
    assert figures.items() >= {
        "val/fd_means/mean": 2.0, "val/fd_means/median": 2.0, "val/fd_means/worst5": 2.0, "val/fd_means/floor": 0.125,
        "val/fd_means/precision": 0.5, "val/fd_means/recall": 0.25, "val/fd_means/n_min": 9.0,
        "val/fd_means/n_max": 9.0, "val/fd_means/failed": 0.0, "val/kd_means/mean": 20.0,
    }.items()  # fmt: skip
    assert {key: value for key, value in figures.items() if "/class " in key} == {
        "val/fd_means/class 0": 1.0, "val/kd_means/class 0": 10.0, "val/fd_means/class 1": 3.0,
        "val/kd_means/class 1": 30.0,
    }  # fmt: skip
    assert {"val/fd_means/mean_low", "val/fd_means/mean_high", "val/fd_means/infinity"} <= figures.keys()


def test_a_class_that_is_called_mean_does_not_hide_the_mean():
    report = make_report([1.0, 3.0])
    report.rows[0] = report.rows[0]._replace(name="mean")
    figures = report.figures()
    assert (figures["val/fd_means/mean"], figures["val/fd_means/class_mean"]) == (2.0, 1.0)


def test_distances_have_the_report_s_names():
    report = make_report([1.0])
    assert report.title == "fd_means of 1 classes (val) at step 3"
    headings, rows = report.table()
    assert len(headings) == len(set(headings)) == len(rows[0])
    assert dict(zip(headings, rows[0], strict=True)).items() >= {
        "class": "class 0", "images": 9, "n": 9, "fd_means": 1.0, "kd_means": 10.0, "floor": 0.125, "floor_n": 4,
        "precision": 0.5, "recall": 0.25, "reason": "",
    }.items()  # fmt: skip
    assert {"fd_means_low", "fd_means_high", "fd_means_infinity"} <= set(headings)
    of_inception = Report("folders", None, "fid", "kid", 9).table()[0]
    assert {"fid", "fid_low", "fid_high", "fid_infinity", "kid"} <= set(of_inception)


def with_halves(distances: list[float], halves: list[float]) -> Report:
    """A report of classes with intervals that reach so far to both sides."""
    report = make_report(distances)
    for number, (row, half) in enumerate(zip(report.rows, halves, strict=True)):
        found = row.distances._replace(fid_low=row.distances.fid - half, fid_high=row.distances.fid + half)
        report.rows[number] = row._replace(distances=found)
    return report


def test_the_variances_of_independent_classes_add_up_to_the_one_of_the_mean():
    summary = with_halves([10.0, 20.0, 30.0], [3.0, 6.0, 6.0]).summary()
    assert (summary["mean_low"], summary["mean_high"]) == pytest.approx((20 - 9 / 3, 20 + 9 / 3))
    same = with_halves([10.0] * 16, [4.0] * 16).summary()
    assert (same["mean_low"], same["mean_high"]) == pytest.approx((9.0, 11.0))  # 4 / √16


def test_the_interval_of_the_mean_has_no_negative_end_and_needs_the_ones_of_all_classes():
    summary = with_halves([1.0, 2.0], [8.0, 8.0]).summary()
    assert summary["mean_low"] == 0.0 and summary["mean_high"] > 2
    for report in (with_halves([1.0, 2.0], [1.0, math.nan]), make_report([math.nan]), make_report([])):
        summary = report.summary()
        assert math.isnan(summary["mean_low"]) and math.isnan(summary["mean_high"])
