"""The progress bar."""

import pytest

from lightning_nsd.callbacks.progress import ProgressBar
from tests.training.conftest import run


@pytest.mark.parametrize(("last_step", "total"), [(4, 4), (5, 5), (9, 4)])
def test_a_run_resumed_within_an_epoch_knows_how_many_batches_it_has(tmp_path, last_step, total):
    """StripedData has five batches in an epoch."""
    run(tmp_path, 3)
    bar = ProgressBar()
    run(tmp_path, last_step, ckpt_path=tmp_path / "last.ckpt", callbacks=[bar], enable_progress_bar=True)
    assert bar.train_progress_bar.total == total
