"""No class or function that a checkpoint names is imported or run, unless the user allows it by name."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.torch import save_file

import lightning_nsd
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.convert.weights import read as read_for_conversion
from lightning_nsd.errors import UserError
from tests.hostile.answer import Answer, assert_refused
from tests.hostile.make_checkpoint import FIT, Content, put, refusal, write

Ask = Callable[..., Answer]
PLACES = ("encoder", "context", "denoiser", "spatial_context", "sampler", "diffusion", "optimizer", "lr_schedule")


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that comes into being where a hostile module is imported, or a command run."""
    path = tmp_path / "marker"
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "hostile_module.py").write_text(
        f"import pathlib\npathlib.Path({str(path)!r}).touch()\ndef X(*a, **k): pathlib.Path({str(path)!r}).touch()\n"
    )
    (folder / "own_module.py").write_text(
        "from lightning_nsd.model import UNetEncoder\nclass MyEncoder(UNetEncoder): pass\nclass Other: pass\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    for name in ("hostile_module", "own_module"):
        sys.modules.pop(name, None)
    return path


def hostile(marker: Path) -> list[Any]:
    """Values that a careless reader runs or imports."""
    command = f"touch {marker}"
    return [
        {"class_path": "os.system", "init_args": {"command": command}},
        {"class_path": "subprocess.Popen", "init_args": {"args": command, "shell": True}},
        {"class_path": "builtins.eval", "init_args": {"source": "1"}},
        {"class_path": "hostile_module.X"},
        "hostile_module.X",
        "os.system",
        {"class_path": "lightning_nsd.model.unet.hostile_module.X"},
    ]


def within(settings: Content, marker: Path) -> list[Content]:
    """A model's settings with something hostile in a place for a class, or in a place for a number."""
    changed = [put(settings, (place,), value) for place in PLACES for value in hostile(marker)]
    for path in [("encoder", "init_args", "dropout"), ("denoiser", "init_args", "channel_multipliers"), ("image_size",),
                 ("diffusion", "schedule"), ("denoiser", "init_args", "new"), ("compile",)]:  # fmt: skip
        changed += [put(settings, path, value) for value in (*hostile(marker), [hostile(marker)[0]])]
    return changed


def test_no_class_of_a_checkpoint_is_imported_or_run(content, marker, tmp_path):
    for settings in within(content[HYPERPARAMETERS], marker):
        path = write({**content, HYPERPARAMETERS: settings}, tmp_path / "a.ckpt")
        assert refusal(lightning_nsd.load, path), settings
    assert not marker.exists()
    assert "hostile_module" not in sys.modules


def test_no_class_of_safetensors_metadata_is_imported_or_run(content, marker, tmp_path):
    for settings in within(content[HYPERPARAMETERS], marker):
        metadata = {HYPERPARAMETERS: json.dumps(settings), "step": "2"}
        save_file(content["state_dict"], tmp_path / "a.safetensors", metadata)
        assert refusal(read_for_conversion, tmp_path / "a.safetensors"), settings
    assert not marker.exists()
    assert "hostile_module" not in sys.modules


def test_no_class_of_an_orbax_folder_is_imported_or_run(good, content, marker, answer: Ask, tmp_path):
    orbax = pytest.importorskip("orbax.checkpoint")
    assert answer("convert", "--input", good, "--output", tmp_path / "good").status == 0
    tree = orbax.PyTreeCheckpointer().restore((tmp_path / "good").absolute())
    for number, value in enumerate(hostile(marker)[:4]):
        settings = put(content[HYPERPARAMETERS], ("denoiser",), value)
        tree["settings"] = np.frombuffer(json.dumps(settings).encode(), dtype=np.uint8)
        orbax.PyTreeCheckpointer().save((tmp_path / str(number)).absolute(), tree)
        assert refusal(read_for_conversion, tmp_path / str(number))
    for number, value in enumerate([np.zeros(3), np.frombuffer(b"\xff{", np.uint8), np.frombuffer(b"3", np.uint8)]):
        orbax.PyTreeCheckpointer().save((tmp_path / f"s{number}").absolute(), {**tree, "settings": value})
        assert refusal(read_for_conversion, tmp_path / f"s{number}")
    assert not marker.exists()


def test_no_command_imports_or_runs_what_a_checkpoint_names(content, marker, pictures, answer: Ask, tmp_path):
    for value in hostile(marker)[:4]:
        path = write(put(content, (HYPERPARAMETERS, "encoder"), value), tmp_path / "a.ckpt")
        assert_refused(answer("sample", "--ckpt_path", path, "--support", pictures), "encoder", "a.ckpt")
        assert_refused(answer("convert", "--input", path, "--output", tmp_path / "b.ckpt"), "encoder", "a.ckpt")
        assert_refused(answer("evaluate", "--ckpt_path", path), "encoder", "a.ckpt")
    assert_refused(answer("fit", *FIT, "--ckpt_path", path), "model.encoder.class_path")
    assert_refused(answer("validate", *FIT, "--ckpt_path", path), "model.encoder.class_path")
    assert not marker.exists()
    assert "hostile_module" not in sys.modules


def test_no_class_of_a_config_beside_a_checkpoint_is_imported_or_run(good, marker, answer: Ask, tmp_path):
    config = yaml.safe_load((good.parent / "config.yaml").read_text())
    (tmp_path / "last.ckpt").write_bytes(good.read_bytes())
    for path in [("data",), ("fid", "sampler"), ("fid", "extractor"), ("fid", "extractor_args", "x"),
                 ("data", "init_args", "image_size"), ("fid", "cache_dir")]:  # fmt: skip
        for value in hostile(marker)[:5]:
            if path == ("fid", "cache_dir") and isinstance(value, str):
                continue  # a name of a folder
            if path[1:2] == ("extractor_args",):
                config["fid"]["extractor_args"] = {}
            changed = put(config, path, value)
            (tmp_path / "config.yaml").write_text(yaml.safe_dump(changed))
            answered = answer("evaluate", "--ckpt_path", tmp_path / "last.ckpt", "--num_samples", "2")
            assert_refused(answered, "config.yaml" if path[1:2] != ("extractor_args",) else "")
    assert not marker.exists()
    assert "hostile_module" not in sys.modules


def test_a_class_of_the_users_own_is_loaded_where_it_is_allowed_by_name(content, marker, pictures, answer: Ask):
    named = put(content, (HYPERPARAMETERS, "encoder", "class_path"), "own_module.MyEncoder")
    path = write(named, Path("own.ckpt"))
    assert "own_module.MyEncoder" in refusal(lightning_nsd.load, path)
    assert "own_module" not in sys.modules
    model = lightning_nsd.load(path, allow=["own_module.MyEncoder"])
    assert type(model.model.encoder).__name__ == "MyEncoder"
    allow = ["--allow", "own_module.MyEncoder"]
    for command in (
        ["sample", "--ckpt_path", path, "--support", pictures, "--num", 1, "--out", "new.png"],
        ["convert", "--input", path, "--output", "own.safetensors"],
    ):
        assert_refused(answer(*command), "own_module.MyEncoder", "--allow")
        assert answer(*command, *allow).status == 0
    assert_refused(answer("convert", "--input", "own.safetensors", "--output", "b.ckpt"), "own_module.MyEncoder")
    assert answer("convert", "--input", "own.safetensors", "--output", "b.ckpt", *allow).status == 0


def test_allowing_a_name_allows_no_other_class_and_no_other_place(content, marker, tmp_path):
    for name, place, allowed in [
        ("own_module.Other", "encoder", "own_module.Other"),  # no set encoder
        ("own_module.MyEncoder", "denoiser", "own_module.MyEncoder"),
        ("hostile_module.X", "encoder", "own_module.MyEncoder"),
        ("os.system", "encoder", "os.system"),
        ("own_module.Nosuch", "encoder", "own_module.Nosuch"),
    ]:
        path = write(put(content, (HYPERPARAMETERS, place, "class_path"), name), tmp_path / "a.ckpt")
        with pytest.raises(UserError):
            lightning_nsd.load(path, allow=[allowed])
    assert not marker.exists()
