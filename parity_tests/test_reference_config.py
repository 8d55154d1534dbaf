"""The reference reads a YAML as `python -m lightning_nsd fit` does, or says what it does not do."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from jax_reference import command
from jax_reference.config import FROM_DATA, read_config
from jax_reference.experiment import build_model, optimizer_settings
from lightning_nsd.checkpoints.loading import describe_model
from lightning_nsd.cli import main
from lightning_nsd.errors import UserError

LAYERS = [
    ("glyphs.yaml",),
    ("glyphs.yaml", "glyphs_one_image.yaml"),
    ("glyphs.yaml", "unconditional.yaml"),
    ("glyphs.yaml", "glyphs_class_conditional.yaml"),
    ("glyphs_long.yaml", "bf16.yaml"),
    ("cifar100_unet.yaml", "gpu.yaml"),
]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The configuration that the torch side makes of a command line, with all defaults."""
    capsys.readouterr()
    assert main(["fit", *arguments, "--print_config"]) == 0
    content: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return content


def write(path: Path, changes: dict[str, Any], into: Path | None = None) -> Path:
    """A config with values replaced, by dotted keys."""
    content = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        *sections, last = key.split(".")
        branch = content
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[last] = value
    into = into or path
    into.write_text(yaml.safe_dump(content))
    return into


@pytest.mark.parametrize("layers", LAYERS, ids="+".join)
def test_configs_that_are_laid_over_each_other_are_what_torch_makes_of_them(
    layers: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = printed(capsys, *(f"--config={name}" for name in layers)), read_config(*layers)
    shape = {key: theirs.model[key] for key in FROM_DATA}
    of_ours, of_theirs = (describe_model(model, "") for model in ({**ours["model"], **shape}, theirs.model))
    assert of_ours.hyperparameters == of_theirs.hyperparameters
    assert optimizer_settings(ours["model"]) == optimizer_settings(theirs.model)
    settings = {"n_shot": theirs.data.n_shot, "batch_size": theirs.data.batch_size, "seed": theirs.seed}
    arguments = {**ours["data"]["init_args"], "seed": ours["seed_everything"]}
    assert settings == {name: arguments[name] for name in settings}
    assert theirs.max_steps == ours["trainer"]["max_steps"]


def test_the_config_of_a_run_of_torch_is_read(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(yaml.safe_dump(printed(capsys, f"--config={config}")))
    read, again = read_config(str(config)), read_config(str(resolved))
    assert describe_model(read.model, "").hyperparameters == describe_model(again.model, "").hyperparameters
    assert build_model(again.model).optimizer == build_model(read.model).optimizer
    assert (read.max_steps, read.save_every, read.seed) == (again.max_steps, again.save_every, again.seed)


def test_a_setting_that_is_null_has_its_default(config: Path) -> None:
    changes = {"trainer.log_every_n_steps": None, "trainer.default_root_dir": None, "checkpoint": None}
    read = read_config(str(write(config, changes)))
    assert (read.log_every, read.save_every, read.root) == (50, 1000, None)


def test_a_class_may_be_its_name_alone(config: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"data": "Glyphs", "model.context": "DeterministicContext", "model.sampler": "DDIM"}
    changes["model.optimizer"] = "torch.optim.AdamW"
    changes["model.denoiser.init_args"] = {"patch_size": 4}
    changes["model.encoder.init_args"] = {**yaml.safe_load(config.read_text())["model"]["encoder"]["init_args"]}
    named = copy.deepcopy(changes)
    for key in ("data", "model.context", "model.sampler", "model.optimizer"):
        named[key] = {"class_path": changes[key]}
    short, long = (
        describe_model(read_config(str(write(config, each, tmp_path / f"{i}.yaml"))).model, "").hyperparameters
        for i, each in enumerate((changes, named))
    )
    assert short == long


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model.timestep_sampling", "logitnormal", "timestep_sampling"),
        ("model.ema_decy", 0.5, "ema_decy"),
        ("model.ema_decay", 1.5, "ema_decay"),
        ("model.denoiser_lr", "fast", "denoiser_lr"),
        ("model.diffusion.variance", "larned", "variance"),
        ("model.diffusion.schedule", "exp", "schedule"),
        ("model.lr_schedule", {"annealing": "exponential"}, "annealing"),
        ("model.optimizer", {"class_path": "torch.optim.AdamW", "init_args": {"lr": "abc"}}, "lr"),
        ("model.sampler", {"class_path": "DDIM", "init_args": {"num_steps": 5000}}, "num_steps"),
        ("model.encoder.init_args.heads", 3, "heads"),
        ("model.denoiser", None, "denoiser"),
        ("model", "DiT", "model is 'DiT'"),
        ("seed_everything", None, "seed_everything is None"),
        ("trainer.max_steps", 0, "trainer.max_steps is 0"),
        ("checkpoint.every_n_train_steps", 0, "checkpoint.every_n_train_steps is 0"),
        ("data.init_args.shots", 3, "shots"),
    ],
)
def test_what_torch_refuses_the_reference_refuses(
    key: str, value: Any, said: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["fit", "--config", str(write(config, {key: value})), "--output-dir", "none"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accumulate_grad_batches", 4),
        ("devices", 2),
        ("gradient_clip_algorithm", "value"),
        ("max_epochs", 1),
        ("overfit_batches", 1),
        ("precision", "bf16-mixed"),
    ],
)
def test_a_trainer_that_would_train_to_other_numbers_is_refused(
    name: str, value: Any, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = write(config, {f"trainer.{name}": value})
    assert command.main(["fit", "--config", str(changed), "--output-dir", "none"]) == 2
    assert f"trainer.{name} is {value!r}, which the reference does not do" in capsys.readouterr().err


def test_layers_without_a_model_and_data_are_named() -> None:
    with pytest.raises(UserError, match=r"unconditional\.yaml has no model and data sections"):
        read_config("unconditional.yaml")
