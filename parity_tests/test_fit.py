"""`python -m jax_reference fit`: the same YAML, the same episodes."""

import csv
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
import torch
import yaml
from flax import nnx
from PIL import Image

from jax_reference import command
from jax_reference.config import read_config
from jax_reference.diffusion.sampler import SAMPLERS
from jax_reference.experiment import build_model, find
from jax_reference.train import CHECKPOINT, METRICS, fit, forget_metrics_from, write_metrics
from jax_reference.training.draws import TimestepSampling, draw
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.cli import main
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.errors import UserError
from lightning_nsd.model.context import Noise
from lightning_nsd.random_source import NumPySource
from lightning_nsd.rng import Stream, philox
from lightning_nsd.training.draws import draw as torch_draw
from parity_tests import cases
from parity_tests.pair import Inputs, Pair
from parity_tests.pairing.arrays import to_numpy


def losses(root: Path) -> list[float]:
    with (root / METRICS).open() as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file)]


def same(a: Any, b: Any) -> bool:
    return jax.tree.all(jax.tree.map(lambda x, y: np.array_equal(np.asarray(x), np.asarray(y)), a, b))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(config: Path, tmp_path: Path, dropout: float) -> None:
    content = yaml.safe_load(config.read_text())
    content["model"]["denoiser"]["init_args"]["dropout"] = dropout
    config.write_text(yaml.safe_dump(content))
    read = read_config(str(config))
    whole = fit(read, tmp_path / "whole", 4)
    fit(read, tmp_path / "parts", 2)
    parts = fit(read, tmp_path / "parts", 4, resume=True)
    assert int(whole.step) == int(parts.step) == 4
    assert same(whole.params, parts.params) and same(whole.ema_params, parts.ema_params)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts") and len(losses(tmp_path / "whole")) == 4


def test_steps_that_are_trained_again_are_logged_once(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_config(str(config))
    fit(read, tmp_path, 1)
    with monkeypatch.context() as patched:
        patched.setattr("jax_reference.orbax_checkpoint.save", lambda *_: None)  # as if killed before it was written
        fit(read, tmp_path, 3, resume=True)
    fit(read, tmp_path, 3, resume=True)
    with (tmp_path / METRICS).open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [0, 1, 2]


def test_a_log_without_a_line_gets_its_columns(tmp_path: Path) -> None:
    path = tmp_path / METRICS
    path.parent.mkdir()
    path.touch()
    forget_metrics_from(path, 3)
    write_metrics(path, {"step": 3, "train/loss": 0.5})
    assert path.read_text().split() == ["step,train/loss", "3,0.5"]


def test_the_first_loss_is_that_of_the_torch_side_with_the_same_weights_and_draws(config: Path) -> None:
    read = read_config(str(config))
    pair = Pair(read.model, "float32", compiled=True)
    images = to_unit_range(read.data.training_batch(0).images).numpy()
    source = philox(read.seed, Stream.TRAIN_NOISE, 0)
    draws: Any = draw(images, pair.diffusion.num_steps, pair.theirs.context_noise_shape(images.shape[1]), 0.1, source)
    terms = [to_numpy(side(Inputs(images, *draws[:5]))[0]["loss"]) for side in (pair.our_loss, pair.their_loss)]
    assert terms[0] == pytest.approx(terms[1], rel=1e-5)


def test_the_command_writes_a_checkpoint_and_a_log(config: Path, tmp_path: Path) -> None:
    assert (
        command.main(["fit", "--config", str(config), "--output-dir", str(tmp_path / "run"), "--max-steps", "1"]) == 0
    )
    assert (tmp_path / "run" / CHECKPOINT).is_dir() and (tmp_path / "run" / METRICS).is_file()


def test_a_data_set_that_is_not_there_is_fetched_first(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(_: str, root: Path, md5: str) -> None:
        for name, i in product(("apple", "bed", "wolf"), range(3)):
            (root / "train" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (60 * i, 0, 0)).save(root / "train" / name / f"{i}.png")

    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", fetch)
    content = yaml.safe_load(config.read_text())
    arguments = {"root": str(tmp_path / "cifar100"), "n_shot": 2, "batch_size": 1}
    config.write_text(yaml.safe_dump({**content, "data": {"class_path": "CIFAR100", "init_args": arguments}}))
    options = ["fit", "--config", str(config), "--output-dir", str(tmp_path / "run"), "--max-steps", "1"]
    assert command.main(options) == 0
    assert len(losses(tmp_path / "run")) == 1


def test_going_on_without_a_checkpoint_is_an_error(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["fit", "--config", str(config), "--output-dir", str(tmp_path / "none"), "--resume"]
    assert command.main(options) == 2
    assert "There is no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "sampling"), [("normal", "uniform"), ("uniform", "logit_normal")])
def test_both_sides_draw_the_same_from_one_key(kind: Noise, sampling: TimestepSampling) -> None:
    images, key = np.zeros((2, 3, 3, 8, 8), np.float32), (3, Stream.TRAIN_NOISE, 7)
    theirs = draw(images, 100, (4,), 0.5, philox(*key), kind, True, sampling)
    source = NumPySource(torch.from_numpy(images), *key)
    ours = torch_draw(torch.from_numpy(images), 100, (4,), 0.5, source, kind, True, sampling)
    assert theirs.context_noise is not None and bool((theirs.context_noise >= 0).all()) == (kind == "uniform")
    for name, left, right in zip(theirs._fields, ours, theirs, strict=True):
        np.testing.assert_array_equal(to_numpy(left), right, name)
        assert to_numpy(left).dtype == to_numpy(right).dtype, name


def test_a_checkpoint_of_another_model_is_refused(config: Path, tmp_path: Path) -> None:
    read = read_config(str(config))
    fit(read, tmp_path / "run", 1)
    content = yaml.safe_load(config.read_text())
    content["model"]["encoder"]["init_args"]["context_dim"] = 6
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="context_dim: 8 in the checkpoint, 6 in the configuration"):
        fit(read_config(str(config)), tmp_path / "run", 2, resume=True)
    assert (tmp_path / "run" / CHECKPOINT).is_dir()


def test_parameters_of_another_model_are_refused(config: Path, tmp_path: Path) -> None:
    params = Pair(cases.SMALL_UNET, "float32").params
    with pytest.raises(ValueError, match="another model"):
        fit(read_config(str(config)), tmp_path / "run", 1, params=params)


def test_every_step_of_a_training_has_the_draws_that_the_torch_side_makes_for_its_batch(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[Any] = []

    def recorded(images: Any, *given: Any) -> Any:
        steps.append((torch.from_numpy(images), (*given[:3], given[4]), draw(images, *given)))
        return steps[-1][-1]

    monkeypatch.setattr("jax_reference.train.draw", recorded)
    read = read_config(str(config))
    fit(read, tmp_path, 2)
    for number, (images, (num_steps, shape, dropout, kind), theirs) in enumerate(steps):
        source = NumPySource(images, read.seed, Stream.TRAIN_NOISE, number)
        ours = torch_draw(images, num_steps, shape, dropout, source, kind)
        assert same(tuple(map(to_numpy, ours[:2])), tuple(theirs[:2]))
    assert len(steps) == 2 and not same(steps[0][-1].noise, steps[1][-1].noise)


def test_a_class_embedding_is_trained_by_the_classes_of_the_batches(config: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(config.read_text())
    encoder: Any = {"class_path": "ClassEmbedding", "init_args": {"num_classes": 3, "context_dim": 8}}
    optimizer = {"class_path": "torch.optim.AdamW", "init_args": {"weight_decay": 0.0}}
    model = {**content["model"], "encoder": encoder, "optimizer": optimizer}
    config.write_text(yaml.safe_dump({**content, "model": model}))
    with pytest.raises(UserError, match="num_classes is 3, and the train split has 459 classes"):
        fit(read_config(str(config)), tmp_path, 1)
    encoder["init_args"]["num_classes"] = 459
    config.write_text(yaml.safe_dump({**content, "model": model}))
    read = read_config(str(config))
    made: Any = build_model(read.model, nnx.Rngs(read.seed)).model.encoder
    start = np.asarray(made.table[...])
    moved = (np.asarray(fit(read, tmp_path, 1).params["encoder"]["table"]) != start).any(axis=1)
    assert np.flatnonzero(moved).tolist() == sorted(set(read.data.training_batch(0).class_numbers().tolist()))


def test_a_save_that_fails_or_is_killed_leaves_the_earlier_checkpoint(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, root = read_config(str(config)), tmp_path / "run"
    fit(read, root, 1)
    monkeypatch.setattr(ocp.PyTreeCheckpointer, "save", fail)
    with pytest.raises(UserError, match=r"last\.orbax could not be written: full"):
        fit(read, root, 2, resume=True)
    monkeypatch.undo()
    assert sorted(path.name for path in root.iterdir()) == [CHECKPOINT, "logs"]
    (root / f".{CHECKPOINT}.123.tmp").mkdir()
    (root / CHECKPOINT).rename(root / f".{CHECKPOINT}.earlier")  # where a kill would leave it
    assert int(fit(read, root, 3, resume=True).step) == 3
    assert sorted(path.name for path in root.iterdir()) == [CHECKPOINT, "logs"]


def fail(*_: Any, **__: Any) -> None:
    raise OSError("full")


def test_the_torch_side_goes_on_from_a_checkpoint_of_the_reference(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(read_config(str(config)), tmp_path, 1)
    assert main(["convert", "--input", CHECKPOINT, "--output", "a.ckpt"]) == 0
    options = ["--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--trainer.logger=false"]
    assert main(["fit", "--config", str(config), "--ckpt_path", "a.ckpt", *options]) == 0
    assert read_checkpoint("last.ckpt")["global_step"] == 1


def test_a_class_without_a_counterpart_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(UserError, match="Euler has no counterpart here, where there are DDPM, DDIM, DPMSolverPP"):
        find(SAMPLERS.values(), {"class_path": "Euler"})
