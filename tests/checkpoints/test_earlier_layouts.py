"""Checkpoints whose settings are laid out otherwise than this version does load, draw and go on."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import lightning_nsd
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.convert.weights import read
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.model import DiT, SetViT
from tests.conftest import make_model
from tests.training.conftest import run

SETVIT = {"patch_size": 4, "context_dim": 16, "depth": 1, "num_heads": 2, "head_dim": 8}
DIT = {"patch_size": 4, "hidden_size": 16, "depth": 1, "num_heads": 2}
LAYOUTS: dict[str, dict[str, Any]] = {
    "widths that follow from others are null": {
        "image_size": 8, "channels": 3, "n_shot": 3,
        "encoder": {
            "class_path": "lightning_nsd.model.set_vit.SetViT",
            "init_args": {**SETVIT, "hidden_size": None, "mlp_dim": None, "pool": "cls", "time_conditioned": False,
                          "dropout": 0.0},
        },
        "context": {"class_path": "lightning_nsd.model.context.DeterministicContext", "init_args": {}},
        "denoiser": {
            "class_path": "lightning_nsd.model.dit.DiT",
            "init_args": {**DIT, "conditioning": "film", "mlp_ratio": 4.0, "dropout": 0.0},
        },
        "diffusion": {"num_steps": 50, "schedule": "linear", "prediction": "eps", "variance": "fixed_large",
                      "vlb_weight": 1.0},
        "sampler": {
            "class_path": "lightning_nsd.diffusion.sampler.DDIM",
            "init_args": {"num_steps": 50, "timesteps": None, "eta": 0.0, "guidance": 1.0, "clip": True,
                          "spacing": "linspace"},
        },
        "context_dropout": 0.0, "kl_weight": 1.0, "seed": 0,
    },
    "before there were guidance and a weight of the KL": {
        "image_size": 8, "channels": 3, "n_shot": 3,
        "encoder": {"class_path": "lightning_nsd.model.set_vit.SetViT", "init_args": SETVIT},
        "context": {"class_path": "lightning_nsd.model.context.DeterministicContext"},
        "denoiser": {"class_path": "lightning_nsd.model.dit.DiT", "init_args": DIT},
        "diffusion": {"num_steps": 50, "schedule": "linear"},
        "sampler": {"class_path": "lightning_nsd.diffusion.sampler.DDIM", "init_args": {"num_steps": 50}},
    },
    "a config's section, as the JAX reference keeps it": {
        "image_size": 8, "channels": 3, "n_shot": 3,
        "encoder": {"class_path": "SetViT", "init_args": SETVIT},
        "denoiser": {"class_path": "DiT", "init_args": DIT},
        "diffusion": {"class_path": "GaussianDiffusion", "init_args": {"num_steps": 50}},
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}},
        "lr_schedule": {"warmup_steps": 3}, "ema_decay": 0.99,
    },
}  # fmt: skip


def model():
    """What all of them describe."""
    return make_model(encoder=partial(SetViT, **SETVIT), denoiser=partial(DiT, **DIT), diffusion=GaussianDiffusion(50))


@pytest.fixture(params=LAYOUTS)
def earlier(request, tmp_path) -> Path:
    """A run's checkpoint of two steps with its settings in another layout."""
    run(tmp_path, 2, model())
    path = tmp_path / "earlier.ckpt"
    torch.save({**read_checkpoint(tmp_path / "last.ckpt"), HYPERPARAMETERS: LAYOUTS[request.param]}, path)
    return path


def test_it_loads_draws_and_goes_on(earlier, tmp_path):
    loaded = lightning_nsd.load(earlier)
    assert loaded.hyperparameters == model().hyperparameters
    assert loaded.hyperparameters["spatial_context"] is loaded.sampler.guidance_interval is None
    assert isinstance(loaded.sampler, DDIM)
    drawn = [
        lightning_nsd.load(path).sample(torch.zeros(1, 3, 3, 8, 8), 1, torch.Generator().manual_seed(0))
        for path in (earlier, tmp_path / "last.ckpt")
    ]
    assert torch.equal(*drawn)
    run(tmp_path, 4, model(), ckpt_path=earlier)
    after = read_checkpoint(tmp_path / "last.ckpt")
    assert after["global_step"] == 4
    assert after[HYPERPARAMETERS] == model().hyperparameters


def test_what_is_converted_is_of_this_layout(earlier):
    assert read(earlier).checkpoint[HYPERPARAMETERS] == model().hyperparameters
