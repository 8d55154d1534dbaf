"""Two folders of class folders."""

import pytest
import torch

from lightning_nsd.evaluation.failure import EvaluationError
from lightning_nsd.evaluation.folders import compare_folders
from tests.evaluation.conftest import make_classes, make_settings

FAILS = "tests.evaluation.test_folders.Fails"


class Fails(torch.nn.Module):
    def forward(self, images):
        raise RuntimeError("out of memory, say")


@pytest.fixture
def folders(tmp_path):
    real = make_classes(tmp_path / "real", {"a": 9, "b": 5})
    return real, make_classes(tmp_path / "generated", {"a": 9, "b": 4}, seed=1)


def compare(folders, **settings):
    return compare_folders(*folders, make_settings(**settings), None, torch.device("cpu"))


def test_a_class_that_is_too_small_says_what_it_would_take(folders):
    with pytest.warns(UserWarning, match="b is NaN"):
        a, b = compare(folders, min_samples=5, num_samples=6).rows
    assert (a.n, a.reason) == (6, "")
    assert (b.n, b.reason) == (0, "5 real and 4 generated images; a distance needs at least 5 of each")


def test_what_fails_is_the_reason_of_its_class_or_raised(folders, caplog):
    report = compare(folders, extractor=FAILS)
    assert [(row.n, row.failed, row.reason) for row in report.rows] == [
        (9, True, "RuntimeError: out of memory, say"), (4, True, "RuntimeError: out of memory, say"),
    ]  # fmt: skip
    assert "The class a could not be compared" in caplog.text
    with pytest.raises(EvaluationError, match="out of memory"):
        compare(folders, extractor=FAILS, strict=True)
