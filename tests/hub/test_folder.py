"""A model's folder: what is in it, and that nothing is lost on the way there and back."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import lightning_nsd
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.errors import UserError
from lightning_nsd.hub.card import About
from lightning_nsd.hub.folder import describe_data, write_model_folder
from lightning_nsd.hub.run import RunOutputs
from tests.conftest import StripedData, make_model, randomized

NOTHING = RunOutputs([], [], [])
ABOUT = About("a", "a", "unknown", "float32", 3)


def draw(path: str | Path) -> torch.Tensor:
    model = lightning_nsd.load(path)
    support = torch.linspace(-1, 1, model.n_shot * 64).reshape(1, model.n_shot, 1, 8, 8)
    return model.sample(support, 2, torch.Generator().manual_seed(0))


def test_it_holds_weights_settings_card_and_pictures_and_no_more(folder):
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    pictures = [f"samples/{split}_step=00000002.png" for split in ("test", "train", "val")]
    assert found == ["README.md", "config.json", "model.safetensors", *pictures]
    modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o666 & ~_umask()}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_weights_are_the_moving_average_under_the_networks_own_names(run, folder):
    state = read_checkpoint(run / "last.ckpt")["state_dict"]
    averaged = {key.removeprefix("ema."): value for key, value in state.items() if key.startswith("ema.")}
    weights = load_file(folder / "model.safetensors")
    assert weights.keys() == averaged.keys()
    assert all(torch.equal(weights[key], averaged[key]) for key in weights)
    assert any(not torch.equal(weights[key], state[f"model.{key}"]) for key in weights)


@pytest.mark.smoke
def test_it_draws_the_same_pictures_as_its_checkpoint_to_the_bit(run, folder):
    assert torch.equal(draw(folder), draw(run / "last.ckpt"))
    assert lightning_nsd.load(folder).trained_steps == 2


@pytest.mark.parametrize("kind", ["back.ckpt", "back.safetensors", "back_orbax", "back_hub"])
def test_it_becomes_every_other_kind_and_draws_the_same(folder, kind, nsd, tmp_path):
    options = ["--format", "hub"] if kind == "back_hub" else []
    assert nsd("convert", "--input", folder, "--output", tmp_path / kind, *options)[0] == 0
    if kind in ("back.safetensors", "back_orbax"):
        assert nsd("convert", "--input", tmp_path / kind, "--output", tmp_path / "last.ckpt")[0] == 0
        kind = "last.ckpt"
    assert torch.equal(draw(tmp_path / kind), draw(folder))
    if kind == "back_hub":
        before, after = (json.loads((each / "config.json").read_text()) for each in (folder, tmp_path / kind))
        assert before == after


@pytest.mark.parametrize(("dtype", "bound"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_half_the_bytes_are_float32_again_when_loaded_and_draw_nearly_the_same(
    run, folder, dtype, bound, nsd, tmp_path
):
    made = tmp_path / "half"
    status, said = nsd("convert", "--input", folder, "--output", made, "--format", "hub", "--dtype", dtype)
    assert status == 0, said
    sizes = [(each / "model.safetensors").stat().st_size for each in (made, folder)]
    assert sizes[0] < 0.55 * sizes[1]
    assert {value.dtype for value in lightning_nsd.load(made).state_dict().values()} == {torch.float32}
    difference = (draw(made) - draw(run / "last.ckpt")).abs().max()
    assert 0 < difference < bound
    assert f"stored as {dtype}" in (made / "README.md").read_text()


def test_the_configuration_says_what_the_model_takes_and_what_it_was_trained_on(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["images"] == {"size": 8, "channels": 1, "n_shot": 3, "range": [-1.0, 1.0]}
    assert config["package_version"] == lightning_nsd.__version__
    assert config["trained_steps"] == 2
    data = config["data"]
    assert data["name"] == "Glyphs"
    assert data["settings"]["test_script"] == "hebrew"
    assert [len(data["classes"][split]) for split in ("train", "val", "test")] == [459, 33, 27]
    assert data["classes"]["test"][0] == "hebrew/05D0"


def test_it_says_nothing_of_where_files_lay(run, tmp_path, nsd):
    """A folder of one's own, and an absolute path of it."""
    root = tmp_path / "secret-place"
    (root / "run").mkdir(parents=True)
    config = (run / "config.yaml").read_text()
    start = config.index("data:\n")
    end = start + 6 + next(i for i in range(len(config)) if config[start + 6 + i - 1] == "\n" and
                           not config[start + 6 + i].isspace())  # fmt: skip
    data = f"data:\n  class_path: ClassFolder\n  init_args: {{root: {root / 'pictures'}, image_size: 8, channels: 1}}\n"
    (root / "run" / "config.yaml").write_text(config[:start] + data + config[end:])
    (root / "run" / "last.ckpt").write_bytes((run / "last.ckpt").read_bytes())
    status, said = nsd("convert", "--input", root / "run" / "last.ckpt", "--output", "model", "--format=hub")
    assert status == 0, said
    assert "classes' names are not in the folder" in said
    for name in ("config.json", "README.md"):
        assert "secret" not in Path("model", name).read_text()
    described = json.loads(Path("model", "config.json").read_text())["data"]
    assert described == {"name": "ClassFolder", "settings": {"image_size": 8, "channels": 1}, "classes": {}}
    assert "unknown" in Path("model", "README.md").read_text()


def test_of_a_data_set_of_somebody_else_s_no_text_is_written():
    """An argument of theirs may be a place, or a password."""
    data = StripedData(batch_size=2)
    given = {"root": "/home/somebody", "token": "secret", "image_size": 8, "batch_size": 2, "files": ["a"]}
    described, failure = describe_data(data, given)
    assert (described.name, described.settings, failure) == ("StripedData", {"image_size": 8}, "")
    assert described.classes["val"] == [f"val_{number}" for number in range(8)]


def test_a_file_outside_that_the_settings_name_keeps_its_last_part_alone(tmp_path):
    model = make_model()
    model.hyperparameters["encoder"]["init_args"]["path"] = "/home/somebody/weights/vit.safetensors"
    write_model_folder(tmp_path / "a", model, None, NOTHING, ABOUT)
    text = (tmp_path / "a" / "config.json").read_text()
    assert "vit.safetensors" in text
    assert "somebody" not in text


def test_weights_that_a_type_cannot_hold_are_refused_and_nothing_is_written(tmp_path):
    model = make_model(sampler=DDIM(2))
    randomized(model.ema)
    next(model.ema.parameters()).data.fill_(1e6)
    with pytest.raises(UserError, match="are not finite in float16"):
        write_model_folder(tmp_path / "a", model, None, NOTHING, ABOUT._replace(dtype="float16"))
    assert list(tmp_path.iterdir()) == []
    write_model_folder(tmp_path / "a", model, None, NOTHING, ABOUT._replace(dtype="bfloat16"))


def test_a_write_that_fails_leaves_nothing(folder, run, tmp_path, monkeypatch, nsd):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning_nsd.hub.folder.shutil.copyfile", full)  # the last of the files
    status, said = nsd("convert", "--input", run / "last.ckpt", "--output", tmp_path / "a", "--format", "hub")
    assert status == 2
    assert "could not be written (No space left on device)" in said
    assert list(tmp_path.iterdir()) == []


def test_training_starts_from_its_weights_and_evaluation_takes_it(folder, run, nsd):
    from tests.cli.conftest import TINY

    tiny = [*TINY, "--trainer.limit_val_batches=0", "--fid.when=never", "--trainer.callbacks=null"]
    status, said = nsd("fit", *tiny, "--trainer.max_steps=1", "--trainer.default_root_dir=on", "--ckpt_path", folder)
    assert status == 0, said
    assert read_checkpoint("on/last.ckpt")["global_step"] == 1
    options = [*TINY, "--trainer.default_root_dir=on", "--trainer.callbacks=null", "--fid.when=never"]
    status, said = nsd("predict", *options, "--ckpt_path", folder)
    assert status == 0, said
    few = ["--num_samples=2", "--classes=1", "--steps=2", "--config", run / "config.yaml", "--out", "there"]
    assert nsd("evaluate", "--ckpt_path", folder, *few)[0] == 0
    status, said = nsd("evaluate", "--ckpt_path", folder)
    assert status == 2
    assert "Name a configuration with --config" in said


# ---- the command ----


def test_a_name_without_suffix_is_an_orbax_folder_as_before_unless_it_is_said(run, nsd):
    status, said = nsd("convert", "--input", run / "last.ckpt", "--output", "plain")
    assert status == 0
    assert not Path("plain", "config.json").exists()
    assert "--format hub" in said
    assert nsd("convert", "--input", "plain", "--output", "glyphs-v1.0", "--format", "hub")[0] == 0
    assert Path("glyphs-v1.0", "config.json").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--output=a.ckpt", "--format=hub"], "is the name of a file"),
        (["--output=a", "--dtype=float16"], "--dtype: that is for a hub's folder"),
        (["--output=a", "--licence=mit", "--repo=a/b"], "--licence, --repo: that is for"),
        (["--output=a", "--format=hub", "--repo=nobody"], "is written owner/name"),
        (["--output=a.zip"], "--format"),
        (["--output=a", "--format=hub", "--dtype=int8"], "dtype"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run, options, said, nsd):
    status, answer = nsd("convert", "--input", run / "last.ckpt", *options)
    assert status == 2
    assert said in answer
    assert not Path("a").exists()
