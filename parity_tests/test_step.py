"""Rung 5."""

from typing import Any

import pytest

from parity_tests import cases
from parity_tests.campaign import in_campaign
from parity_tests.pair import Pair
from parity_tests.rungs import step

RATES: dict[str, Any] = {"lr": 3e-3, "weight_decay": 0.05, "betas": [0.8, 0.95]}
ADAMW = {"class_path": "torch.optim.AdamW", "init_args": RATES}
MUON = {"class_path": "lightning_nsd.muon.MuonWithAdamW", "init_args": {**RATES, "momentum": 0.9}}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {"optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}}},
    "groups and schedule": {
        "optimizer": ADAMW,
        "encoder_lr": 1e-3,
        "denoiser_lr": 2e-3,
        "lr_schedule": {"warmup_steps": 3, "annealing": "cosine", "annealing_start": 0.4, "final_factor": 0.1},
        "ema_decay": 0.9,
        "ema_warmup": True,
    },
    "frozen encoder": {"optimizer": ADAMW, "freeze_encoder_steps": 3, "ema_decay": 0.9},
    "frozen denoiser": {
        "optimizer": ADAMW,
        "freeze_denoiser_steps": 4,
        "lr_schedule": {"annealing": "linear"},
        "ema_decay": 0.9,
    },
    "Muon": {
        "optimizer": MUON,
        "denoiser_lr": 2e-3,
        "freeze_encoder_steps": 3,
        "lr_schedule": {"warmup_steps": 3, "annealing": "linear"},
        "ema_decay": 0.9,
    },
    "Muon by default": {"optimizer": {"class_path": "lightning_nsd.muon.MuonWithAdamW"}, "ema_decay": 0.9},
}


@pytest.mark.parametrize(
    ("name", "gradient_clip"),
    [("defaults", None), ("groups and schedule", None), ("frozen encoder", 0.5), ("frozen denoiser", 0.5)],
)
def test_ten_steps_agree(name: str, gradient_clip: float | None) -> None:
    for check in step.check(Pair({**cases.SMALL_DIT, **VARIANTS[name]}), 10, gradient_clip):
        check.require()


def test_one_step_agrees() -> None:
    for check in step.check(Pair({**cases.SMALL_DIT, **VARIANTS["frozen encoder"]}), 1, 0.5):
        check.require()


@pytest.mark.parametrize("name", ["SetViT-SpatialContext-UNet", "ViT-slots-joint-DiT"])
def test_two_steps_of_a_model_with_maps_or_with_a_table_that_is_not_trained_agree(name: str) -> None:
    settings = {**cases.EVERY_MODULE[name], **VARIANTS["groups and schedule"]}
    for check in step.check(Pair(settings), 2, 0.5):
        check.require()


def test_two_steps_of_a_class_embedding_with_a_codebook_agree() -> None:
    settings = {**cases.COMBINATIONS["ClassEmbedding-film-Discrete-DiT"], **VARIANTS["groups and schedule"]}
    for check in step.check(Pair(settings), 2, 0.5):
        check.require()


@pytest.mark.parametrize(("settings", "name"), [(cases.SMALL_DIT, "Muon"), (cases.SMALL_UNET, "Muon by default")])
def test_five_steps_of_muon_agree(settings: dict[str, Any], name: str) -> None:
    for check in step.check(Pair({**settings, **VARIANTS[name]}), 5, 0.5):
        check.require()


@pytest.mark.parametrize("name", in_campaign(["SetViT-DiT", "UNetEncoder-UNet"], ["UNetEncoder-UNet"]))
def test_a_hundred_steps_agree(name: str) -> None:
    for check in step.check(Pair({**cases.EVERY_MODULE[name], **VARIANTS["groups and schedule"]}), 100, 0.5):
        check.require()
