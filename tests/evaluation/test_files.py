"""Tables as files."""

import json
import math
from pathlib import Path

from lightning_nsd.evaluation.files import folder_of, write_tables
from lightning_nsd.evaluation.report import Report
from tests.evaluation.conftest import make_report


def test_the_folder_says_split_distance_and_step():
    assert folder_of(Path("run"), make_report([])) == Path("run/distances/val_fd_means_step=00000003")
    assert folder_of(Path(), Report("folders", None, "fid", "kid", 9)) == Path("distances/folders_fid")


def test_csv_and_json_hold_the_same_table(tmp_path):
    report = make_report([2.0, math.nan])
    report.mixture = [report.rows.pop()._replace(name="mixture_in")]
    write_tables(tmp_path, report)
    assert (tmp_path / "per_class.csv").read_text() == (
        "class,images,n,fd_means,fd_means_low,fd_means_high,fd_means_infinity,kd_means,floor,floor_n,precision,recall,"
        "recognised,recognised_real,originality,diversity,copies,pixel_originality,pixel_diversity,pixel_copies,reason\n"
        "class 0,9,9,2.0,1.0,3.0,nan,20.0,0.125,4,0.5,0.25,nan,nan,nan,nan,nan,nan,nan,nan,\n"
        "mixture_in,9,9,nan,nan,nan,nan,nan,0.125,4,0.5,0.25,nan,nan,nan,nan,nan,nan,nan,nan,too small\n"
    )
    found = json.loads((tmp_path / "per_class.json").read_text())
    assert list(found) == [
        "split", "step", "distance", "complete", "num_samples", "summary", "worst", "classes", "mixture",
    ]  # fmt: skip
    assert found["classes"] == [
        {**dict.fromkeys(report.table()[0]), "class": "class 0", "images": 9, "n": 9, "fd_means": 2.0,
         "fd_means_low": 1.0, "fd_means_high": 3.0, "kd_means": 20.0, "floor": 0.125, "floor_n": 4, "precision": 0.5,
         "recall": 0.25, "reason": ""}
    ]  # fmt: skip
    assert found["worst"] == ["class 0"]
    assert not found["complete"]


def test_json_knows_no_nan(tmp_path):
    write_tables(tmp_path, make_report([math.nan, 3.0]))
    text = (tmp_path / "per_class.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["classes"][0]["fd_means"] is None
