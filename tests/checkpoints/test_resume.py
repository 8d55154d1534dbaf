"""A resumed run takes the optimiser's state from the checkpoint and its settings from the configuration."""

from functools import partial

import pytest
from torch.optim import SGD, Adam, AdamW

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.errors import UserError
from lightning_nsd.training.lr_schedule import LRSchedule
from tests.conftest import make_model
from tests.training.conftest import run

ADAMW = {"lr": 1e-3, "weight_decay": 0.01, "betas": (0.9, 0.99), "eps": 1e-8}


def resumed(tmp_path, first, second, steps=(2, 4), **model):
    """The groups of an optimiser that went on as `second`, and its state's count of steps."""
    last = tmp_path / "last.ckpt"
    run(tmp_path, steps[0], make_model(optimizer=first))
    run(tmp_path, steps[1], make_model(optimizer=second, **model), ckpt_path=last)
    state = read_checkpoint(last)["optimizer_states"][0]
    return state["param_groups"], {float(kept["step"]) for kept in state["state"].values() if "step" in kept}


@pytest.mark.parametrize(
    ("setting", "value"), [("lr", 5e-4), ("weight_decay", 0.5), ("betas", (0.5, 0.6)), ("eps", 1e-3)]
)
def test_a_setting_that_was_changed_for_the_resume_is_used(setting, value, tmp_path, caplog):
    caplog.set_level("INFO")
    groups, steps = resumed(tmp_path, partial(AdamW, **ADAMW), partial(AdamW, **{**ADAMW, setting: value}))
    assert [group[setting] for group in groups] == [value] * 2
    assert steps == {4.0}
    assert f"{setting} of the encoder ({ADAMW[setting]} → {value})" in caplog.text
    assert caplog.text.count("→") == 2


def test_a_rate_of_a_part_that_was_changed_for_the_resume_is_used(tmp_path):
    first = partial(AdamW, **ADAMW)
    groups, _ = resumed(tmp_path, first, first, encoder_lr=1e-5)
    assert {group["part"]: group["lr"] for group in groups} == {"encoder": 1e-5, "denoiser": 1e-3}


def test_a_schedule_that_was_changed_for_the_resume_holds_from_its_first_step(tmp_path):
    first = partial(AdamW, **ADAMW)
    rates = []
    run(tmp_path, 2, make_model(optimizer=first))
    model = make_model(optimizer=first, lr_schedule=LRSchedule(warmup_steps=10))
    model.on_before_optimizer_step = lambda optimizer: rates.append(optimizer.param_groups[0]["lr"])
    run(tmp_path, 4, model, ckpt_path=tmp_path / "last.ckpt")
    assert rates == pytest.approx([3e-4, 4e-4])


def test_settings_that_are_those_of_the_checkpoint_are_said_to_be(tmp_path, caplog):
    caplog.set_level("INFO")
    resumed(tmp_path, partial(AdamW, **ADAMW), partial(AdamW, **ADAMW))
    assert "From the checkpoint: weights, moving average, the optimiser's state" in caplog.text
    assert "all settings; of the optimiser's none differ" in caplog.text


@pytest.mark.parametrize(
    "second", [partial(SGD, lr=1e-3, momentum=0.9), partial(AdamW, lr=1e-3, amsgrad=True)], ids=["sgd", "amsgrad"]
)
def test_an_optimiser_that_cannot_go_on_from_the_state_is_refused(second, tmp_path):
    with pytest.raises(UserError, match=r"The checkpoint's optimiser is not the configured (SGD|AdamW)"):
        resumed(tmp_path, partial(AdamW, **ADAMW), second)


def test_another_optimiser_of_the_same_state_goes_on(tmp_path):
    groups, steps = resumed(tmp_path, partial(AdamW, **ADAMW), partial(Adam, lr=1e-3))
    assert steps == {4.0}
    assert not any(group["decoupled_weight_decay"] for group in groups)
