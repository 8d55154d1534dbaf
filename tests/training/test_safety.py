"""What goes wrong in a run costs no work."""

import pytest
import torch
from lightning.pytorch import Callback

from lightning_nsd.callbacks import run_checkpoint
from lightning_nsd.callbacks.finite_loss import NonFiniteLossError
from lightning_nsd.callbacks.sample_grid import SampleGrid
from lightning_nsd.checkpoints.io import read_checkpoint
from tests.conftest import make_model
from tests.training.conftest import assert_same_end, run


class Poison(Callback):
    """Makes one weight NaN before a step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, *_):
        if trainer.global_step == self.step:
            next(pl_module.model.denoiser.parameters()).data.fill_(float("nan"))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_before(tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"loss is nan at step 4 .*last finite loss was \d"):
        run(tmp_path, 9, callbacks=[Poison(4)], every=2)
    checkpoint = read_checkpoint(tmp_path / "last.ckpt")
    assert checkpoint["global_step"] == 4
    assert all(t.isfinite().all() for t in checkpoint["state_dict"].values())


def test_a_checkpoint_that_cannot_be_written_is_a_warning_and_the_run_goes_on(tmp_path, monkeypatch):
    class FullDisk(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 3:
                monkeypatch.setattr(torch, "save", self.fail)
            if trainer.global_step == 5:
                monkeypatch.undo()

        def fail(self, *_):
            raise RuntimeError("PytorchStreamWriter failed writing file: file write failed")

    with pytest.warns(
        UserWarning, match="step 4 could not be written: .*step=00000004.ckpt: .*The last checkpoint is that of step 2"
    ):
        trainer = run(tmp_path, 7, callbacks=[FullDisk()], every=2)
    assert trainer.global_step == 7
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 7
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step=00000006.ckpt",
        "step=00000007.ckpt",
    ]


def test_a_disk_that_stays_full_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    run(tmp_path, 2, every=2)
    before = (tmp_path / "last.ckpt").read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_checkpoint, "link_atomically", fail)
    with pytest.warns(UserWarning, match="No space left"):
        run(tmp_path, 4, ckpt_path=tmp_path / "last.ckpt", every=2)
    assert (tmp_path / "last.ckpt").read_bytes() == before


def test_no_unfinished_file_is_left_behind(tmp_path):
    run(tmp_path, 4, every=1)
    assert [path.name for path in tmp_path.rglob("*") if path.name.endswith(".tmp")] == []


def test_training_is_the_same_with_and_without_evaluation_and_pictures(tmp_path):
    run(tmp_path / "plain", 8)
    grid = SampleGrid(splits=["train", "val", "test"], num_classes=2, num_images=2)
    run(tmp_path / "watched", 8, callbacks=[grid], limit_val_batches=1.0, val_check_interval=3, num_sanity_val_steps=2)
    assert_same_end(tmp_path / "plain", tmp_path / "watched")
    assert len(list((tmp_path / "watched" / "samples").glob("*.png"))) == 6


def test_two_runs_of_one_seed_are_equal_and_of_two_are_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(len(name))
        run(tmp_path / name, 3, make_model(seed=seed), data={"seed": seed})
    assert_same_end(tmp_path / "a", tmp_path / "b")
    with pytest.raises(AssertionError):
        assert_same_end(tmp_path / "a", tmp_path / "c")


def test_a_frozen_part_does_not_move_before_its_time(tmp_path):
    def weights(steps, **kwargs):
        root = tmp_path / f"{steps}{sorted(kwargs)}"
        module = make_model(**kwargs)
        start = {name: p.clone() for name, p in module.model.named_parameters()}
        run(root, steps, module)
        moved = {name for name, p in module.model.named_parameters() if not torch.equal(p, start[name])}
        return any(n.startswith("encoder") for n in moved), any(n.startswith("denoiser") for n in moved)

    assert weights(3, freeze_encoder_steps=3) == (False, True)
    assert weights(5, freeze_encoder_steps=3) == (True, True)
    assert weights(3, freeze_denoiser_steps=3) == (True, False)
    assert weights(5, freeze_denoiser_steps=3) == (True, True)


def test_pictures_are_drawn_in_the_precision_of_the_trainer(tmp_path):
    grid = SampleGrid(splits=["val"], num_classes=2, num_images=2)
    run(tmp_path, 2, callbacks=[grid], limit_val_batches=1.0, val_check_interval=2, precision="64-true")
    assert len(list((tmp_path / "samples").glob("*.png"))) == 1
