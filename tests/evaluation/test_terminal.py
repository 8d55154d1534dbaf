"""The short table."""

import math
import re
from pathlib import Path

import pytest

from lightning_nsd.evaluation.terminal import print_report
from lightning_nsd.metrics.originality import Originality
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
    headings = ["class", "n", "fd_means", "kd_means", "floor", "precision", "recall"]
    more = ["recognised", "originality", "diversity"]
    assert headings + more in found
    unknown = ["nan"] * len(more)
    start = found.index(["class 2", "9", "1.235e+04", "1.235e+05", "0.125", "0.5", "0.25", *unknown])
    assert found[start + 1 : start + 3] == [
        ["class 0", "9", "1", "10", "0.125", "0.5", "0.25", *unknown],
        ["class 1", "9", "nan", "", "", "", "", "", "", ""],
    ]
    assert ["mean", "9", "6173", "6.173e+04", "0.125", "0.5", "0.25", *unknown] in found
    assert ["median", "", "6173", "", "", "", "", "", "", ""] in found
    assert ["class 1: too small"] in found
    assert found[-1] == ["fd_means of every class: folder/per_class.csv"]


def test_of_many_classes_the_worst_and_the_best_five_are_shown(lines):
    found = lines(make_report([float(d) for d in range(1, 101)]))
    shown = [int(cells[2]) for cells in found if cells[0].startswith("class ")]
    assert shown == [100, 99, 98, 97, 96, 5, 4, 3, 2, 1]
    assert any("… 90 more …" in cells[0] for cells in found)
    assert not any("per_class.csv" in cells[0] for cells in found)


def test_a_terminal_of_80_characters_shows_what_fits_and_the_means_below(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    report = make_report([2.0, 4.0])
    for number, row in enumerate(report.rows):
        report.rows[number] = row._replace(
            recognised=0.5, recognised_real=0.75, originality=Originality(1.25, 0.5, 0.0),
            pixels=Originality(1.0, 1.0, 0.125),
        )  # fmt: skip
    print_report(report, None)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "recall" in said and "…" not in said
    assert "recognised: 0.5 of what was drawn, 0.75 of real images" in said
    assert "originality 1.25, diversity 0.5; copies 12.5%" in said
    assert "mean fd_means: 95 % between 2.293 and 3.707" in said  # 3 ± √2 / 2


def test_of_what_is_not_known_nothing_is_printed(lines):
    report = make_report([math.nan])
    assert not [cells for cells in lines(report) if re.search("recognised:|real images|95 %", cells[0])]
