"""XLA computes what eager PyTorch computes, and checkpoints pass between them."""

import pytest
import torch
import torch_xla.core.xla_model as xm
from lightning.pytorch import Callback

from lightning_nsd.accelerators.xla.device import read_counters
from lightning_nsd.accelerators.xla.strategy import SingleXLA
from lightning_nsd.checkpoints.io import read_checkpoint
from tests.conftest import StripedData, make_model, randomized
from tests.training.conftest import assert_equal_to_the_bit, run


def model(**kwargs):
    return make_model(ema_decay=0.9, context_dropout=0.2, parity=True, **kwargs)


def on_xla(root, steps, module, **kwargs):
    return run(root, steps, module, strategy=SingleXLA(), accelerator="auto", **kwargs)


def test_twenty_steps_in_float64_end_with_the_same_weights(tmp_path, monkeypatch):
    convert = StripedData.on_after_batch_transfer
    monkeypatch.setattr(
        StripedData,
        "on_after_batch_transfer",
        lambda self, batch, i: (b := convert(self, batch, i))._replace(images=b.images.double()),
    )
    for name, start in (("eager", run), ("xla", on_xla)):
        # Not from the zeros that a new network has: Adam makes steps of one size out of gradients that are rounding.
        module = model().double()
        randomized(module.model)
        module.ema.load_state_dict(module.model.state_dict())
        start(tmp_path / name, 20, module, gradient_clip_val=0.5)
    eager, xla = (read_checkpoint(tmp_path / name / "last.ckpt")["state_dict"] for name in ("eager", "xla"))
    assert eager.keys() == xla.keys()
    for key in eager:
        assert eager[key].dtype == torch.float64
        error = (xla[key] - eager[key]).abs().max() / eager[key].abs().max()
        assert error < 1e-11, f"{key}: {error:.1e}"


def test_short_epochs_and_validation_sets_compile_nothing_new_and_their_loss_is_eagers(tmp_path):
    """Ten episodes make two batches of four an epoch; six make a whole and half a batch of validation."""
    compiled, executed, losses = [], [], []

    class Seen(Callback):
        """Graphs compiled by the end of an evaluation, and run in its second batch."""

        def on_validation_batch_end(self, *_):
            xm.wait_device_ops()
            executed.append(read_counters().executed)

        def on_validation_end(self, *_):
            compiled.append(read_counters().compiled)

    for start in (run, on_xla):
        trainer = start(tmp_path / str(len(losses)), 8, model(), limit_val_batches=1.0, val_check_interval=2,
                        data={"episodes_per_epoch": 10, "eval_episodes": 6}, callbacks=[Seen()])  # fmt: skip
        losses.append(float(trainer.callback_metrics["val/loss"]))
    assert abs(losses[0] - losses[1]) < 1e-6
    assert len(compiled) == 8
    assert compiled[5] == compiled[7] > 0
    assert executed[-1] - executed[-2] == 1


def test_episodes_gathered_on_the_device_are_those_of_the_host(tmp_path):
    losses, flips = [], {"horizontal_flip": True, "episode_symmetries": True}
    for start, there in ((run, False), (on_xla, True)):
        trainer = start(tmp_path / str(there), 3, model(), limit_val_batches=1.0, val_check_interval=3,
                        data={**flips, "images_on_device": there})  # fmt: skip
        losses.append([float(trainer.callback_metrics[name]) for name in ("train/loss", "val/loss")])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_a_checkpoint_of_xla_goes_on_on_the_cpu_and_the_other_way(tmp_path):
    on_xla(tmp_path / "a", 3, model())
    written = read_checkpoint(tmp_path / "a" / "last.ckpt")
    assert all(value.device.type == "cpu" for value in written["state_dict"].values())
    run(tmp_path / "b", 3, model(), ckpt_path=tmp_path / "a" / "last.ckpt")
    run(tmp_path / "c", 4, model(), ckpt_path=tmp_path / "a" / "last.ckpt")
    on_xla(tmp_path / "d", 5, model(), ckpt_path=tmp_path / "c" / "last.ckpt")
    assert read_checkpoint(tmp_path / "d" / "last.ckpt")["global_step"] == 5


def test_resumed_on_xla_a_run_ends_like_one_that_never_stopped(tmp_path):
    on_xla(tmp_path / "whole", 6, make_model(ema_decay=0.9, context_dropout=0.2))
    on_xla(tmp_path / "part", 3, make_model(ema_decay=0.9, context_dropout=0.2))
    on_xla(tmp_path / "part", 6, make_model(ema_decay=0.9, context_dropout=0.2), ckpt_path=tmp_path / "part/last.ckpt")
    whole, part = (read_checkpoint(tmp_path / name / "last.ckpt")["state_dict"] for name in ("whole", "part"))
    assert_equal_to_the_bit(whole, part)
