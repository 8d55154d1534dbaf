"""Round trips between kinds of files, and what goes wrong."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import lightning_nsd
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.cli import main
from lightning_nsd.convert.jax_layout import from_jax, to_jax
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.files.orbax_folder import read_orbax, write_orbax
from lightning_nsd.model import SpatialContext
from tests.conftest import make_model, randomized
from tests.training.conftest import assert_equal_to_the_bit, run

pytest.importorskip("orbax.checkpoint")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    maps, sampler = partial(SpatialContext, model_channels=8, num_res_blocks=1), DDIM(3, guidance_interval=[10, 40])
    run(root, 3, make_model(ema_decay=0.5, spatial_context=maps, sampler=sampler))
    return root / "last.ckpt"


@pytest.fixture
def convert(capsys):
    def call(source, target):
        capsys.readouterr()
        status = main(["convert", "--input", str(source), "--output", str(target)])
        said = capsys.readouterr()
        return status, said.out + said.err

    return call


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["weights.safetensors", "orbax"])
def test_there_and_back_is_exact_key_by_key(trained, convert, tmp_path, kind):
    assert convert(trained, tmp_path / kind)[0] == 0
    assert convert(tmp_path / kind, tmp_path / "back.ckpt")[0] == 0
    before, after = read_checkpoint(trained), read_checkpoint(tmp_path / "back.ckpt")
    for key in ("state_dict", "global_step", "lightning_nsd"):
        assert_equal_to_the_bit(dict(after)[key], dict(before)[key] if key != "state_dict" else dict(before[key]))
    support = torch.zeros(1, 3, 3, 8, 8)
    drawn = [lightning_nsd.load(p).sample(support, 1, torch.Generator().manual_seed(0))
             for p in (trained, tmp_path / "back.ckpt")]  # fmt: skip
    assert torch.equal(*drawn)


def test_the_jax_layout_has_flax_names_and_orders():
    model = randomized(make_model().model)
    arrays = to_jax(model)
    linear, convolution = model.denoiser.time_embedding.linear_1, model.denoiser.patch_embedding
    np.testing.assert_array_equal(arrays["denoiser/time_embedding/linear_1/kernel"], linear.weight.detach().T)
    expected = convolution.weight.detach().permute(2, 3, 1, 0)
    np.testing.assert_array_equal(arrays["denoiser/patch_embedding/kernel"], expected)
    assert "encoder/head_norm/scale" in arrays
    state = from_jax(model, arrays, "here")
    assert all(torch.equal(state[key], value) for key, value in model.named_parameters())


def change(trained, tmp_path, how):
    """A safetensors file of the run with one thing wrong."""
    assert main(["convert", "--input", str(trained), "--output", str(tmp_path / "good.safetensors")]) == 0
    state = load_file(tmp_path / "good.safetensors")
    settings = read_checkpoint(trained)["lightning_nsd"]
    key = "model.denoiser.final.linear.weight"
    if how == "missing":
        del state[key]
    elif how == "extra":
        state.update({f"{network}.surprise": torch.zeros(2) for network in ("model", "ema")})
    elif how == "shape":
        for each in (key, key.replace("model.", "ema.", 1)):
            state[each] = state[each][:1].clone()
    elif how == "architecture":
        settings = json.loads(json.dumps(settings))
        settings["denoiser"]["init_args"]["depth"] = 2
    path = tmp_path / "bad.safetensors"
    save_file(state, path, {"lightning_nsd": json.dumps(settings), "step": "3"})
    return path


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "model.denoiser.final.linear.weight is missing"),
        ("extra", "model.surprise is no parameter of it"),
        ("shape", "model.denoiser.final.linear.weight has shape"),
        ("architecture", "model.denoiser.blocks.1"),
    ],
)
def test_parameters_that_do_not_fit_are_named_and_nothing_is_written(trained, convert, tmp_path, how, message):
    status, said = convert(change(trained, tmp_path, how), tmp_path / "out.ckpt")
    assert status == 2
    assert message in said
    assert not (tmp_path / "out.ckpt").exists()


def test_files_that_are_no_checkpoints_are_named_and_nothing_is_written(trained, convert, tmp_path):
    for name in ("a.ckpt", "a.safetensors", "a.npz"):
        (tmp_path / name).write_bytes(trained.read_bytes()[:2000])
        status, said = convert(tmp_path / name, tmp_path / "out")
        assert status == 2
        assert str(tmp_path / name) in said
    for missing in ("no.ckpt", "no.safetensors", "no.npz", "nothing"):
        assert convert(tmp_path / missing, tmp_path / "out")[0] == 2
    assert convert(trained, trained)[0] == 2
    assert convert(trained, tmp_path / "out.zip")[0] == 2
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.zip").exists()


def test_a_damaged_orbax_folder_is_named(trained, convert, tmp_path):
    convert(trained, tmp_path / "orbax")
    for file in (tmp_path / "orbax").rglob("*"):
        if file.is_file() and file.name not in ("_METADATA",):
            file.write_bytes(b"")
    status, said = convert(tmp_path / "orbax", tmp_path / "out.ckpt")
    assert status == 2
    assert "damaged" in said


def test_an_orbax_folder_with_a_parameter_too_few_or_too_many_is_named(trained, convert, tmp_path):
    convert(trained, tmp_path / "orbax")
    actions = {
        "few": lambda tree: tree["ema"]["denoiser"].pop("final"),
        "many": lambda tree: tree["ema"].update(x=tree["step"]),
    }
    for name, action in actions.items():
        tree = read_orbax(tmp_path / "orbax")
        action(tree)
        write_orbax(tmp_path / name, tree)
        status, said = convert(tmp_path / name, tmp_path / "out.ckpt")
        assert status == 2
        assert ("denoiser/final" if name == "few" else "x: parameters") in said
