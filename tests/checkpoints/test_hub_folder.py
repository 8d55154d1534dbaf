"""A model's folder that is damaged, of another program or hostile: one sentence each, and nothing is run or built."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lightning_nsd
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.convert.weights import read as read_for_conversion
from lightning_nsd.hub.card import About
from lightning_nsd.hub.folder import write_model_folder
from lightning_nsd.hub.run import RunOutputs
from tests.conftest import make_model
from tests.hostile import make_checkpoint
from tests.hostile.make_checkpoint import JUNK, put, refusal

Config = dict[str, Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "model"
    write_model_folder(path, make_model(), None, RunOutputs([], [], []), About("a", "a", "mit", "float32", 7))
    return path


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(good, tmp_path / "model"))


@pytest.fixture
def config(folder: Path) -> Config:
    return json.loads((folder / "config.json").read_text())


def with_config(folder: Path, content: object) -> Path:
    (folder / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def said_by_all(folder: Path) -> str:
    """What every reader says: they say the same."""
    said = {refusal(read, folder) for read in (lightning_nsd.load, read_for_conversion)}
    assert len(said) == 1, said
    return said.pop()


def test_a_good_one_is_taken(folder):
    assert said_by_all(folder) == ""
    assert lightning_nsd.load(folder).trained_steps == 7


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"format": "diffusers"}, "format is 'diffusers'"),
        ({"format_version": 2}, "is of format 2, and this version of lightning-nsd reads format 1"),
        ({"trained_steps": -1}, "trained_steps is -1"),
        ({"trained_steps": "7"}, "trained_steps is '7'"),
        ({"trained_steps": True}, "trained_steps"),
        ({"package_version": None}, "package_version"),
        ({"model": []}, "model is []"),
        ({"model": {}}, "model.image_size"),
        ({"images": {"size": 8, "channels": 3}}, "images.n_shot"),
        ({"images": {"size": 16, "channels": 3, "n_shot": 3, "range": [-1.0, 1.0]}}, "model.image_size is 8, and"),
        ({"images": {"size": 8, "channels": 3, "n_shot": 3, "range": [0.0, 1.0]}}, "images.range"),
        ({"data": {"name": "Glyphs", "root": "/etc"}}, "data.root: Extra"),
        ({"data": {"name": "Glyphs", "classes": {"train": [1]}}}, "data.classes.train.0"),
        ({"data": {"name": "Glyphs", "settings": {"a": {"class_path": "os.system"}}}}, "data.settings.a"),
    ],
)
def test_keys_that_are_unknown_or_of_another_type_are_named(folder, config, changed, said):
    assert said in said_by_all(with_config(folder, {**config, **changed}))


@pytest.mark.parametrize("key", ["package_version", "trained_steps", "images", "model"])
def test_a_key_that_is_missing_is_named(folder, config, key):
    del config[key]
    assert f"{key}: Field required" in said_by_all(with_config(folder, config))


def test_text_that_is_no_configuration_is_refused(folder, config):
    whole = json.dumps(config)
    for text in ("", "x", "[]", "null", "3", whole[:-2], "[" * 100_000, '{"a":' * 100_000, "\0", whole + "x"):
        assert said_by_all(with_config(folder, text)), text[:20]
    (folder / "config.json").write_bytes(b"\xff\xfe" + whole.encode())
    assert said_by_all(folder)
    assert "larger than" in said_by_all(with_config(folder, " " * 10_000_001 + whole))


def test_classes_of_other_packages_are_refused_and_not_imported(folder, config, tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    for part in ("encoder", "context", "denoiser", "sampler"):
        changed = put(config, ("model", part), {"class_path": "evil_module.Evil", "init_args": {}})
        said = said_by_all(with_config(folder, changed))
        assert "evil_module.Evil" in said
        assert "--allow" in said
    assert not (tmp_path / "ran").exists()


def test_settings_of_absurd_size_are_refused_before_anything_is_built(folder, config):
    for path, value in [
        (("denoiser", "init_args", "hidden_size"), 65_536),
        (("denoiser", "init_args", "depth"), 10_000),
        (("encoder", "init_args", "context_dim"), 10**6),
        (("diffusion", "num_steps"), 10**12),
        (("seed",), 10**30),
    ]:
        assert said_by_all(with_config(folder, put(config, ("model", *path), value))), path


def test_any_setting_may_hold_anything(folder, config, campaign):
    values = [*JUNK.values(), 10**12, "os.system", [[1] * 100] * 100]
    values = [value for value in values if not isinstance(value, torch.Tensor)]
    draw = random.Random(0)
    for path in make_checkpoint.parts(config):
        for value in draw.sample(values, min(campaign, len(values))):
            refusal(lightning_nsd.load, with_config(folder, put(config, path, value)))


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--campaign"))


# ---- weights ----


def missing(state: dict[str, Any], key: str) -> None:
    del state[key]


def extra(state: dict[str, Any], key: str) -> None:
    state["surprise"] = torch.zeros(2)


def shape(state: dict[str, Any], key: str) -> None:
    state[key] = state[key][:1].clone()


def whole_numbers(state: dict[str, Any], key: str) -> None:
    state[key] = state[key].long()


def not_finite(state: dict[str, Any], key: str) -> None:
    state[key][0] = float("nan")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (missing, "{key} is missing"),
        (extra, "surprise is no parameter of it"),
        (shape, "{key} has shape"),
        (whole_numbers, "{key} is no tensor of floating-point numbers"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder, spoil: Callable[[dict[str, Any], str], None], said):
    key = "denoiser.final.linear.weight"
    state = load_file(folder / "model.safetensors")
    spoil(state, key)
    save_file(state, folder / "model.safetensors")
    assert said.format(key=key) in said_by_all(folder)


def test_weights_that_are_not_finite_are_refused(folder):
    state = load_file(folder / "model.safetensors")
    not_finite(state, "denoiser.final.linear.weight")
    save_file(state, folder / "model.safetensors")
    assert "not finite" in refusal(lightning_nsd.load, folder)


def test_files_that_are_missing_or_damaged_are_named(folder, good):
    whole = (good / "model.safetensors").read_bytes()
    for data in (b"", whole[:100], whole[:-1], whole + b"x", b"\xff" * 100, b"\x80\x02."):
        (folder / "model.safetensors").write_bytes(data)
        assert "model.safetensors is truncated or no safetensors file" in said_by_all(folder)
    (folder / "model.safetensors").unlink()
    assert "has no model.safetensors" in said_by_all(folder)
    (folder / "config.json").unlink()
    assert "without config.json" in refusal(read_checkpoint, folder)


def test_nothing_else_in_the_folder_is_read(folder):
    for name in ("README.md", "modeling.py", "pytorch_model.bin", "last.ckpt"):
        (folder / name).write_bytes(b"\x80\x02cos\nsystem\n.")
    assert said_by_all(folder) == ""
