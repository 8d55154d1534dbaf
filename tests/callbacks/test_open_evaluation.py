"""An evaluation that a signal broke off is made up, once, and leaves training as it was."""

import os
import signal

import pytest
import torch
from lightning.pytorch import Callback

from lightning_nsd.processes.stopping import StoppedError
from tests.callbacks.conftest import make_callback
from tests.training.conftest import assert_same_end, run

FIGURES = ("val/loss", "val/fd_means/mean")


class Watch(Callback):
    """Notes the steps whose evaluations were finished; sends SIGTERM in the one of a step."""

    def __init__(self, stop_at=None):
        self.stop_at, self.evaluated = stop_at, []

    def on_validation_batch_start(self, trainer, *_):
        if trainer.global_step == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_validation_end(self, trainer, *_):
        self.evaluated.append(trainer.global_step)


def fit(root, watch, **kwargs):
    distances = make_callback(when="last", num_samples=4)
    trainer = run(root, 8, callbacks=[watch, distances], limit_val_batches=1.0, val_check_interval=4, **kwargs)
    return {name: trainer.callback_metrics[name] for name in FIGURES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    return root, fit(root, Watch())


@pytest.mark.parametrize("every", [4, 100], ids=["saved before", "saved by the signal"])
@pytest.mark.parametrize("step", [4, 8], ids=["on the way", "at the end"])
def test_a_run_that_is_continued_begins_with_the_evaluation_that_was_broken_off(tmp_path, step, every, whole):
    with pytest.raises(StoppedError):
        fit(tmp_path, Watch(stop_at=step), every=every)
    watch = Watch()
    figures = fit(tmp_path, watch, every=every, ckpt_path=tmp_path / "last.ckpt")
    assert watch.evaluated == list(range(step, 9, 4))
    assert figures == whole[1]
    assert all(torch.isfinite(value) for value in figures.values())
    assert_same_end(tmp_path, whole[0])


@pytest.mark.parametrize("stop_at", [4, 5])
def test_an_evaluation_that_was_finished_is_not_repeated(tmp_path, stop_at):
    class StopInStep(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError):
        run(tmp_path, 8, callbacks=[StopInStep()], limit_val_batches=1.0, val_check_interval=4, every=4)
    watch = Watch()
    fit(tmp_path, watch, ckpt_path=tmp_path / "last.ckpt")
    assert watch.evaluated == [8]


def test_the_last_checkpoint_of_a_finished_run_owes_no_evaluation(tmp_path):
    fit(tmp_path, Watch(), every=4)
    watch = Watch()
    run(tmp_path, 8, callbacks=[watch], limit_val_batches=1.0, val_check_interval=4, ckpt_path=tmp_path / "last.ckpt")
    assert watch.evaluated == []
