"""When the state between two steps is whole, and what is said where it cannot be saved."""

import os
import signal

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins import MixedPrecision

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.processes.stopping import StoppedError
from tests.conftest import make_model
from tests.training.conftest import run


class Interrupt(Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


class Overflow(Callback):
    """Makes the gradients of some steps infinite, so that a scaler skips the optimiser's step."""

    def __init__(self, *steps):
        self.steps = steps

    def on_after_backward(self, trainer, pl_module):
        if trainer.global_step in self.steps:
            next(pl_module.model.denoiser.parameters()).grad.fill_(float("inf"))


def test_a_run_is_saved_that_is_stopped_after_a_step_that_a_gradient_scaler_skipped(tmp_path):
    precision = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0))
    module = make_model(ema_decay=0.9)
    with pytest.raises(StoppedError):
        run(
            tmp_path, 9, module, callbacks=[Overflow(2, 3), Interrupt(4)], plugins=[precision],
        )  # fmt: skip
    checkpoint = read_checkpoint(tmp_path / "last.ckpt")
    assert checkpoint["global_step"] == 4
    taken = {int(state["step"]) for state in checkpoint["optimizer_states"][0]["state"].values()}
    assert taken == {2}
    assert all(value.isfinite().all() for value in checkpoint["state_dict"].values())


def test_nothing_is_saved_of_a_step_whose_weights_are_new_and_whose_counters_are_not(tmp_path):
    class FailsAfterTheStep(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 4:
                raise RuntimeError("after the optimiser's step, before the batch's end")

    with (
        pytest.warns(UserWarning, match="in the middle of a step; the last checkpoint is left"),
        pytest.raises(RuntimeError),
    ):
        run(tmp_path, 9, callbacks=[FailsAfterTheStep()], every=3)
    checkpoint = read_checkpoint(tmp_path / "last.ckpt")
    assert checkpoint["global_step"] == 3
