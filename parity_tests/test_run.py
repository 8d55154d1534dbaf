"""Rung 9 on a tiny config: the run as a whole, and that a difference in training is noticed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from jax_reference.config import Config
from parity_tests import cases
from parity_tests.run import command, outcome, settings, sides

FROM_DATA = ("image_size", "channels", "n_shot")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    model = {key: value for key, value in cases.SMALL_DIT.items() if key not in FROM_DATA}
    content = {
        "seed_everything": 3,
        "trainer": {"max_steps": 40, "gradient_clip_val": 1.0},
        "data": {"class_path": "Glyphs", "init_args": {"image_size": 8, "n_shot": 2, "batch_size": 8}},
        "model": {
            **model,
            "ema_decay": 0.9,
            "lr_schedule": {"warmup_steps": 2, "annealing": "linear", "annealing_start": 0.5},
            "sampler": {"class_path": "DDIM", "init_args": {"num_steps": 3, "guidance": 2.0}},
        },
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run(config: Path, *more: str) -> tuple[int, dict[str, Any], Path]:
    output = config.parent / "out"
    arguments = ["--config", str(config), "--steps", "3", "--batch-size", "2", "--output-dir", str(output)]
    status = command.main([*arguments, *more])
    return status, json.loads((output / "parity_run.json").read_text()), output


def test_three_steps_agree_and_everything_is_written(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, report, output = run(config)
    assert status == 0 and report["passed"]
    assert report["loss"]["largest_relative_difference"] < 1e-9 and report["loss"]["judged_steps"] == 3
    assert report["control"]["largest_relative_difference"] < 1e-9
    for what in ("parameters", "moving_average", "samples"):
        assert report[what]["largest_relative_difference"] < 1e-7, what
    assert report["changes"]["trainer.max_steps"] == 3 and set(report["seconds"]) == {"torch", "jax"}
    losses = [sides.read_losses(next((output / side).rglob("metrics.csv"))) for side in ("torch", "jax")]
    assert [list(side) for side in losses] == [[0, 1, 2]] * 2
    for name in ("curves.png", "samples.png"):
        with Image.open(output / name) as picture:
            assert min(picture.size) > 100
    assert "loss" in capsys.readouterr().out


def test_another_rate_on_one_side_is_a_failure(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = sides.fit

    def faster(config: Config, *arguments: Any, **named: Any) -> Any:
        optimizer = {"class_path": "AdamW", "init_args": {"lr": 1.1e-3}}
        changed = dataclasses.replace(config, model={**config.model, "optimizer": optimizer})
        return fit(changed, *arguments, **named)

    monkeypatch.setattr(sides, "fit", faster)
    status, report, _ = run(config)
    assert status == 1 and not report["passed"]
    assert report["loss"]["largest_relative_difference"] > report["loss"]["tolerance"]


def test_single_precision_is_reported(config: Path) -> None:
    status, report, _ = run(config, "--dtype", "float32", "--lr", "2e-4")
    assert report["changes"]["model.optimizer"]["init_args"] == {"lr": 2e-4}
    assert status == 0 and report["loss"]["tolerance"] == "inf"
    assert 1e-9 < report["loss"]["largest_relative_difference"] < 1e-4


def test_the_control_starts_one_rounding_away() -> None:
    network = nn.Linear(3, 4)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    sides.Nudge().on_train_start(None, network)  # type: ignore[arg-type]
    for parameter, old in zip(network.parameters(), before, strict=True):
        assert not torch.equal(parameter, old)
        torch.testing.assert_close(parameter, old, rtol=2 * torch.finfo(torch.float32).eps, atol=0)


def test_steps_are_judged_until_one_rounding_has_grown_too_far() -> None:
    control = {"step 1": 1e-16, "step 2": 1e-6, "step 3": 2e-6, "step 4": 1e-16}
    assert outcome.judged_steps(control, 1e-6) == ["step 1", "step 2"]
    assert outcome.judged_steps(control, 1e-5) == list(control)


def test_what_only_one_side_has_is_switched_off(tmp_path: Path) -> None:
    content = {
        "model": {"encoder": None, "denoiser": cases.part("UNet", {"dropout": 0.2})},
        "trainer": {"accumulate_grad_batches": 2},
    }
    changes = settings.changes_for(content, tmp_path, 3, 2, "float64", None)
    assert "model.optimizer" not in changes
    changed = settings.changed(content, changes)
    assert changed["model"]["denoiser"]["init_args"]["dropout"] == 0.0 and changed["model"]["encoder"] is None
    assert changed["trainer"]["accumulate_grad_batches"] == 1
    assert content["trainer"] == {"accumulate_grad_batches": 2}


def test_a_config_without_a_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", "wandb.yaml"]) == 2
    assert "model and data sections" in capsys.readouterr().err
