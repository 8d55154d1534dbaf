"""What tells a checkpoint of a few-shot diffusion model from those of other programs is said once, for every reader."""

import json

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from safetensors.torch import save_file

import lightning_nsd
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.convert.weights import read
from lightning_nsd.errors import UserError
from lightning_nsd.files.orbax_folder import write_orbax
from tests.conftest import StripedData, make_model

SAID = "is no checkpoint of a few-shot diffusion model: it holds no settings of one"


def without_settings(path):
    """A file of another program in the kind that the name says."""
    state = make_model().state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path, {"step": "3"})
    elif path.suffix == ".ckpt":
        torch.save({"state_dict": state, "global_step": 3, "pytorch-lightning_version": "2.6.0"}, path)
    else:
        pytest.importorskip("orbax.checkpoint")
        write_orbax(path, {"model": {"x": np.zeros(3)}, "ema": {"x": np.zeros(3)}, "step": np.asarray(3)})
    return path


@pytest.mark.parametrize("reader", [lightning_nsd.load, read_checkpoint, read])
def test_a_checkpoint_of_another_program(reader, tmp_path):
    with pytest.raises(UserError, match=rf"a\.ckpt {SAID}"):
        reader(without_settings(tmp_path / "a.ckpt"))


@pytest.mark.parametrize("name", ["a.safetensors", "a"])
def test_a_file_of_another_kind_of_another_program(name, tmp_path):
    with pytest.raises(UserError, match=rf"{name} {SAID}"):
        read(without_settings(tmp_path / name))


@pytest.mark.parametrize("settings", [3, [], {}, "x"])
def test_settings_that_are_none(settings, tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(make_model().state_dict(), path, {HYPERPARAMETERS: json.dumps(settings), "step": "3"})
    with pytest.raises(UserError, match=SAID):
        read(path)


def test_a_resume_that_reads_by_lightnings_own_plugin(tmp_path):
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, max_steps=4,
    )  # fmt: skip
    with pytest.raises(UserError, match=f"The checkpoint {SAID}"):
        trainer.fit(make_model(), StripedData(), ckpt_path=without_settings(tmp_path / "a.ckpt"))
