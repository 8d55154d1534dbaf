"""A finished report everywhere where people look."""

import math

import pytest

from lightning_nsd.evaluation.publish import publish, table_with_pictures
from tests.evaluation.conftest import evaluate, make_report
from tests.metrics.conftest import make_bytes


def test_a_chart_that_cannot_be_made_is_a_warning(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no fonts, say")

    monkeypatch.setattr("lightning_nsd.evaluation.publish.make_chart", fail)
    with pytest.warns(UserWarning, match="The chart of fd_means could not be written or shown .RuntimeError: no fonts"):
        rows, _ = evaluate(tmp_path, {"a": 12})
    assert float(rows["a"]["fd_means"]) > 0


def test_there_is_a_picture_of_recognisability_where_there_are_several_classes(tmp_path):
    for name, sizes in (("several", {"a": 12, "b": 12}), ("one", {"a": 12})):
        evaluate(tmp_path / name, sizes)
    assert [path.parts[-4] for path in tmp_path.rglob("recognisability.png")] == ["several"]
    assert len(list(tmp_path.rglob("per_class.png"))) == 2


def test_the_table_of_wandb_is_that_of_the_files_and_generated_images():
    report = make_report([2.0, math.nan])
    report.rows[0] = report.rows[0]._replace(strip=make_bytes(4))
    headings, rows = table_with_pictures(report)
    assert headings == [*report.table()[0], "generated"]
    assert [row[:2] for row in rows] == [["class 0", 9], ["class 1", 9]]
    assert [row[-1] is None for row in rows] == [False, True]


def test_tables_that_cannot_be_written_are_printed_and_raised(tmp_path, capsys):
    (tmp_path / "distances").write_text("in the way")
    with pytest.warns(UserWarning, match="chart"), pytest.raises(OSError, match="distances"):
        publish(make_report([2.0]), tmp_path)
    assert "fd_means of 1 classes (val)" in capsys.readouterr().out
