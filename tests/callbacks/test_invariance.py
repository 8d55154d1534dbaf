"""Evaluation changes nothing, depends on nothing else, and may be broken off."""

import os
import signal

import pytest
import torch

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.processes.stopping import StoppedError
from tests.callbacks.conftest import MEANS, Means, SizedData, make_callback, make_module, make_trainer, read_tables
from tests.training.conftest import assert_same_end, run


def test_training_is_the_same_to_the_bit_with_an_evaluation_every_ten_steps(tmp_path):
    run(tmp_path / "plain", 20)
    callback = make_callback(splits=["val", "train"], mixture_samples=10)
    torch.manual_seed(123)
    run(tmp_path / "watched", 20, callbacks=[callback], limit_val_batches=1.0, val_check_interval=10)
    assert_same_end(tmp_path / "plain", tmp_path / "watched")
    assert len(list((tmp_path / "watched" / "distances").iterdir())) == 4


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path):
    found = []
    for number, seed in enumerate((0, 0, 1)):
        torch.manual_seed(number)
        trainer = make_trainer(tmp_path / str(number), make_callback())
        trainer.validate(make_module(), SizedData({"a": 30, "b": 12}, eval_seed=seed), verbose=False)
        found.append((next((tmp_path / str(number)).glob("distances/*/per_class.csv"))).read_bytes())
    assert found[0] == found[1] != found[2]


def test_the_moving_average_draws(tmp_path):
    module = make_module()
    for parameter in module.model.parameters():
        parameter.data.fill_(float("nan"))
    make_trainer(tmp_path, make_callback()).validate(module, SizedData({"a": 12}), verbose=False)
    assert read_tables(tmp_path)[1]["summary"]["failed"] == 0


def test_a_checkpoint_alone_gives_the_value_of_its_training(tmp_path):
    callback = make_callback(when="last")
    trainer = run(tmp_path / "a", 4, callbacks=[callback], limit_val_batches=1.0, val_check_interval=4)
    again = make_trainer(tmp_path / "b", make_callback())
    again.validate(trainer.lightning_module, trainer.datamodule, verbose=False)
    first, second = (
        next(root.glob("distances/*/per_class.csv")).read_bytes() for root in (tmp_path / "a", tmp_path / "b")
    )
    assert first == second


class InterruptsInTheThirdClass(Means):
    calls = 0

    def forward(self, images):
        type(self).calls += 1
        if type(self).calls == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return super().forward(images)


INTERRUPTS = "tests.callbacks.test_invariance.InterruptsInTheThirdClass"


def test_an_interrupted_evaluation_leaves_a_checkpoint_and_a_readable_partial_table(tmp_path):
    InterruptsInTheThirdClass.calls = 0
    callback = make_callback(extractor=INTERRUPTS, batch_size=3)
    with pytest.raises(StoppedError):
        run(tmp_path, 4, callbacks=[callback], limit_val_batches=1.0, val_check_interval=2)
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 2
    rows, found = read_tables(tmp_path)
    assert list(rows) == ["val_0", "val_1", "val_2"]
    assert not found["complete"]
    assert found["summary"]["mean"] > 0
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_second_evaluation_takes_real_features_from_the_disk(tmp_path):
    seen = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: seen.append(1) if type(module) is Means else None
    )
    try:
        for number in range(2):
            trainer = make_trainer(tmp_path / str(number), make_callback(extractor=MEANS))
            trainer.validate(make_module(), SizedData({"a": 12, "b": 12}), verbose=False)
    finally:
        hook.remove()
    assert len(seen) == 4 + 2
