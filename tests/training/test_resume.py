"""A run that was stopped and resumed ends like one that never stopped, to the bit."""

import os
import signal

import pytest
import torch
from lightning.pytorch import Callback

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.model.context import VariationalContext
from lightning_nsd.processes.stopping import StoppedError
from lightning_nsd.runs.branch import newest_readable
from lightning_nsd.training.lr_schedule import LRSchedule
from tests.conftest import make_model
from tests.training.conftest import assert_same_end, run


class At(Callback):
    """Does something at the start of a batch."""

    def __init__(self, batch, action):
        self.batch, self.action, self.seen = batch, action, 0

    def on_train_batch_start(self, trainer, *_):
        self.seen += 1
        if self.seen == self.batch:
            self.action()


class InBackward(At):
    """Does something in the middle of a step, before the weights change."""

    on_train_batch_start = Callback.on_train_batch_start

    def on_after_backward(self, trainer, *_):
        super().on_train_batch_start(trainer)


def fail():
    raise RuntimeError("out of memory, say")


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def model():
    return make_model(
        ema_decay=0.9,
        ema_warmup=True,
        context_dropout=0.2,
        context=VariationalContext,
        lr_schedule=LRSchedule(warmup_steps=3, annealing="linear", annealing_start=0.3),
        freeze_encoder_steps=2,
    )


SETTINGS = [
    pytest.param({}, id="plain"),
    pytest.param({"accumulate_grad_batches": 3}, id="accumulation"),
    pytest.param({"gradient_clip_val": 0.5}, id="clipping"),
    pytest.param({"precision": "64-true"}, id="float64"),
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    "stop", [At(8, interrupt), At(8, terminate), At(8, fail), InBackward(8, fail)], ids=["int", "term", "error", "in"]
)
def test_stopped_in_the_middle_of_an_epoch_and_resumed(tmp_path, stop, settings):
    """An epoch has five batches of these settings, so that the stop is in the second one."""
    run(tmp_path / "whole", 11, model(), **settings)
    stop.seen = 0
    with pytest.raises((StoppedError, RuntimeError)):
        run(tmp_path / "broken", 11, model(), callbacks=[stop], **settings)
    stopped_at = read_checkpoint(tmp_path / "broken" / "last.ckpt")["global_step"]
    assert 0 < stopped_at < 11
    run(tmp_path / "broken", 11, model(), ckpt_path=tmp_path / "broken" / "last.ckpt", **settings)
    assert_same_end(tmp_path / "whole", tmp_path / "broken")


def test_a_periodic_checkpoint_is_as_good_as_the_last(tmp_path):
    run(tmp_path / "whole", 9, model())
    run(tmp_path / "first", 6, model(), every=4)
    checkpoint = tmp_path / "first" / "checkpoints" / "step=00000004.ckpt"
    # annealing depends on the last step, so the resumed run is told the same one as the whole
    with pytest.raises(AssertionError):
        assert_same_end(tmp_path / "whole", tmp_path / "first")
    constant = {"model": make_model(ema_decay=0.9)}
    run(tmp_path / "a", 9, **constant)
    run(tmp_path / "b", 6, make_model(ema_decay=0.9), every=4)
    run(
        tmp_path / "c",
        9,
        make_model(ema_decay=0.9),
        ckpt_path=tmp_path / "b" / checkpoint.relative_to(tmp_path / "first"),
    )
    assert_same_end(tmp_path / "a", tmp_path / "c")


def test_a_longer_run_goes_on_from_the_end_of_a_shorter(tmp_path):
    run(tmp_path / "whole", 12, make_model(ema_decay=0.9))
    run(tmp_path / "part", 5, make_model(ema_decay=0.9))
    run(tmp_path / "part", 12, make_model(ema_decay=0.9), ckpt_path=tmp_path / "part" / "last.ckpt")
    assert_same_end(tmp_path / "whole", tmp_path / "part")


def test_a_checkpoint_holds_tensors_and_plain_values_only(tmp_path):
    run(tmp_path, 2)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 2
    assert "lightning_nsd" in checkpoint


def test_a_truncated_checkpoint_is_passed_over_with_a_warning(tmp_path):
    run(tmp_path, 6, every=2)
    newest = (tmp_path / "last.ckpt").resolve()
    data = newest.read_bytes()
    (tmp_path / "checkpoints" / "step=00000006.ckpt").unlink()
    newest.write_bytes(data[: len(data) // 2])
    with pytest.warns(UserWarning, match=r"Passed over .*last\.ckpt is truncated"):
        found = newest_readable(tmp_path)
    assert read_checkpoint(found)["global_step"] == 4


def test_another_model_than_the_checkpoints_is_refused_with_its_differences(tmp_path):
    run(tmp_path, 1)
    with pytest.raises(Exception, match=r"(?s)model\.context_dropout: 0\.2 in the checkpoint, 0\.0 in the conf"):
        run(tmp_path, 2, make_model(ema_decay=0.9), ckpt_path=tmp_path / "last.ckpt")
