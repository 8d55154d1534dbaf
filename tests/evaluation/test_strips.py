"""A picture of every class beside the table."""

import numpy as np
import pytest
import torch

from lightning_nsd.evaluation import strips
from lightning_nsd.evaluation.files import folder_of
from lightning_nsd.evaluation.publish import publish
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.row import Row
from lightning_nsd.evaluation.strips import make_strip, strip_path, write_strips
from tests.evaluation.conftest import make_evaluator, run


def row(real: int, drawn: int, side: int = 8, count: int = 8) -> Row:
    return Row(
        "a", 9, 9,
        strip=torch.full((count, 1, side, side), drawn, dtype=torch.uint8),
        real_strip=torch.full((count, 1, side, side), real, dtype=torch.uint8),
    )  # fmt: skip


def test_real_images_are_above_and_drawn_ones_below():
    pixels = np.asarray(make_strip(row(real=200, drawn=40)))
    assert set(np.unique(pixels[: len(pixels) // 2])) == {200, 255}  # and the gaps
    assert set(np.unique(pixels[len(pixels) // 2 :])) <= {40, 200, 255}
    assert pixels[-8, 8] == 40


def test_large_images_are_made_small():
    assert make_strip(row(0, 0, side=256)).size == (6 * 49 + 1, 2 * 49 + 1)


def test_a_class_without_images_has_none():
    assert make_strip(Row("a", 1, 0, reason="too small")) is None


def test_an_evaluation_has_a_picture_for_every_row_of_its_table(tmp_path):
    report = run(make_evaluator(), {"a": 12, "b": 1, "c": 12})
    publish(report, tmp_path)
    folder = folder_of(tmp_path, report)
    names = [row.name for row in report.rows]
    assert [strip_path(folder, number).exists() for number in range(len(names))] == [name != "b" for name in names]


def test_those_of_an_earlier_evaluation_do_not_stay(tmp_path):
    write_strips(tmp_path, Report("val", 1, "fid", "kid", 9, rows=[row(1, 2)] * 3))
    write_strips(tmp_path, Report("val", 1, "fid", "kid", 9, rows=[row(1, 2)]))
    assert [path.name for path in (tmp_path / "strips").iterdir()] == ["0000.png"]


def test_of_many_classes_the_first_have_one(tmp_path, monkeypatch):
    monkeypatch.setattr(strips, "MOST_CLASSES", 2)
    write_strips(tmp_path, Report("val", 1, "fid", "kid", 9, rows=[row(1, 2)] * 3))
    assert len(list((tmp_path / "strips").iterdir())) == 2


def test_real_images_are_kept_where_the_comparison_fails(tmp_path):
    report = run(make_evaluator(extractor="tests.evaluation.conftest.FailsInTheThirdClass"), {"a": 12, "b": 12})
    assert all(one.real_strip is not None for one in report.rows if one.strip is not None)


@pytest.mark.parametrize("count", [1, 3])
def test_few_images_are_few(count):
    assert make_strip(row(1, 2, count=count)).width == 4 * (count * 9 + 1)  # enlarged to 32 pixels
