"""The short table."""

import math
import re
from pathlib import Path

import pytest

from lightning_nsd.evaluation.terminal import print_report
from tests.evaluation.conftest import make_report


@pytest.fixture
def lines(capsys, monkeypatch):
    """The cells of every line of the table, and the lines below it."""
    monkeypatch.setenv("COLUMNS", "200")

    def show(report, folder=None):
        print_report(report, folder)
        said = capsys.readouterr().out.splitlines()
        return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] or [line] for line in said]

    return show


def test_classes_from_worst_to_best_then_those_without_a_distance_and_the_means(lines):
    found = lines(make_report([1.0, math.nan, 12345.6]), Path("folder"))
    assert ["class", "n", "fd_means", "kd_means", "floor", "precision", "recall"] in found
    start = found.index(["class 2", "9", "1.235e+04", "1.235e+05", "0.125", "0.5", "0.25"])
    assert found[start + 1 : start + 3] == [
        ["class 0", "9", "1", "10", "0.125", "0.5", "0.25"],
        ["class 1", "9", "nan", "", "", "", ""],
    ]
    assert ["mean", "9", "6173", "6.173e+04", "0.125", "0.5", "0.25"] in found
    assert ["median", "", "6173", "", "", "", ""] in found
    assert ["class 1: too small"] in found
    assert found[-1] == ["fd_means of every class: folder/per_class.csv"]


def test_of_many_classes_the_worst_and_the_best_five_are_shown(lines):
    found = lines(make_report([float(d) for d in range(1, 101)]))
    shown = [int(cells[2]) for cells in found if cells[0].startswith("class ")]
    assert shown == [100, 99, 98, 97, 96, 5, 4, 3, 2, 1]
    assert any("… 90 more …" in cells[0] for cells in found)
    assert not any("per_class.csv" in cells[0] for cells in found)
