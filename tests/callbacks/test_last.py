"""`when: last` evaluates once, at the end of training, however training ends."""

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping

from tests.callbacks.conftest import make_callback
from tests.training.conftest import run


class Deadline(Callback):
    """Ends training after a step, as Lightning's timer does."""

    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.should_stop or trainer.global_step >= 5


ENDS = {
    "the last step": ([], {}, 8),
    "a step between two evaluations": ([], {"max_steps": 7}, 6),
    "a deadline": ([Deadline()], {}, 5),
    "a deadline without an evaluation": ([Deadline()], {"check_val_every_n_epoch": 50, "val_check_interval": 1.0}, 5),
    "early stopping": ([EarlyStopping("val/loss", min_delta=1e9, patience=1)], {}, 4),
    "the last epoch": (
        [],
        {"max_epochs": 1, "max_steps": -1, "check_val_every_n_epoch": 1, "val_check_interval": 2},
        4,
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_distances_are_computed_once_and_are_among_the_run_s_figures(end, tmp_path):
    callbacks, settings, step = ENDS[end]
    options = {"max_steps": 8, "val_check_interval": 2, **settings}
    distances = make_callback(when="last", num_samples=4)
    trainer = run(tmp_path, callbacks=[*callbacks, distances], limit_val_batches=1.0, **options)
    assert [path.name for path in (tmp_path / "distances").iterdir()] == [f"val_fd_means_step={step:08d}"]
    assert trainer.callback_metrics["val/fd_means/mean"] > 0
