"""Numbers over the classes."""

import math

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
    assert figures == {
        "val/fd_means/mean": 2.0, "val/fd_means/median": 2.0, "val/fd_means/worst5": 2.0, "val/fd_means/floor": 0.125,
        "val/fd_means/precision": 0.5, "val/fd_means/recall": 0.25, "val/fd_means/n_min": 9.0,
        "val/fd_means/n_max": 9.0, "val/fd_means/failed": 0.0, "val/kd_means/mean": 20.0,
        "val/fd_means/class 0": 1.0, "val/kd_means/class 0": 10.0, "val/fd_means/class 1": 3.0,
        "val/kd_means/class 1": 30.0,
    }  # fmt: skip


def test_a_class_that_is_called_mean_does_not_hide_the_mean():
    report = make_report([1.0, 3.0])
    report.rows[0] = report.rows[0]._replace(name="mean")
    figures = report.figures()
    assert (figures["val/fd_means/mean"], figures["val/fd_means/class_mean"]) == (2.0, 1.0)


def test_distances_have_the_report_s_names():
    report = make_report([1.0])
    assert report.title == "fd_means of 1 classes (val) at step 3"
    headings, rows = report.table()
    assert headings == [
        "class", "images", "n", "fd_means", "kd_means", "floor", "floor_n", "precision", "recall", "reason",
    ]  # fmt: skip
    assert rows == [["class 0", 9, 9, 1.0, 10.0, 0.125, 4, 0.5, 0.25, ""]]
    assert Report("folders", None, "fid", "kid", 9).table()[0][3:5] == ["fid", "kid"]
