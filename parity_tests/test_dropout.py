"""Dropout sits in the same places: the same masks in both frameworks give the same loss and gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]
import pytest
import torch
from flax import nnx

from jax_reference.experiment import build_model
from jax_reference.train_step import make_train_step, start_training
from jax_reference.training.draws import Draws
from lightning_nsd.rng import philox
from parity_tests import cases
from parity_tests.pair import Pair
from parity_tests.pairing.arrays import to_jax
from parity_tests.rungs import loss

RATE = 0.4


def mask(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros with probability RATE, else 1 / (1 − RATE)."""
    return (philox(6, number).random(shape) >= RATE) / (1 - RATE)


class OurMask(torch.nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.from_numpy(mask(self.number, tuple(x.shape)))


class TheirMask(nnx.Module):
    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * jnp.asarray(mask(self.number, x.shape))


def attribute(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = module[int(part)] if part.isdigit() else getattr(module, part)
    return module


@pytest.mark.parametrize("name", ["SetViT-DiT", "UNetEncoder-UNet"])
def test_the_same_masks_give_the_same_loss_and_gradients(name: str) -> None:
    settings = cases.EVERY_MODULE[name]
    for part in ("encoder", "denoiser"):
        arguments = {**settings[part]["init_args"], "dropout": RATE}
        settings = {**settings, part: {**settings[part], "init_args": arguments}}
    pair = Pair(settings, compiled=True)
    ours = {key for key, module in pair.ours.model.named_modules() if isinstance(module, torch.nn.Dropout)}
    theirs = {
        ".".join(map(str, path)) for path, module in nnx.iter_modules(pair.theirs) if isinstance(module, nnx.Dropout)
    }
    assert ours == theirs and ours
    for number, key in enumerate(sorted(ours)):
        owner, _, last = key.rpartition(".")
        setattr(pair.ours.model.get_submodule(owner), last, OurMask(number))
        setattr(attribute(pair.theirs, owner), last, TheirMask(number))
    for check in loss.check(pair, pair.inputs()):
        check.require()


def test_the_rates_are_those_of_the_config() -> None:
    settings = cases.SMALL_UNET
    encoder = {**settings["encoder"], "init_args": {**settings["encoder"]["init_args"], "dropout": 0.25}}
    pair = Pair({**settings, "encoder": encoder})
    rates = {".".join(map(str, p)): m.rate for p, m in nnx.iter_modules(pair.theirs) if isinstance(m, nnx.Dropout)}
    assert rates == {k: m.p for k, m in pair.ours.model.named_modules() if isinstance(m, torch.nn.Dropout)}
    assert set(rates.values()) == {0.0, 0.25}


@pytest.mark.parametrize("rate", [0.0, RATE])
def test_the_reference_has_other_masks_at_every_step(rate: float) -> None:
    settings = dict(cases.SMALL_UNET)
    settings["denoiser"] = cases.part("UNet", {**settings["denoiser"]["init_args"], "dropout": rate})
    model, diffusion, *_ = build_model(settings)
    model.train()
    pair, standing_still = Pair(settings, dtype="float32"), optax.sgd(0.0)
    images, *draws = (to_jax(value) for value in pair.inputs())
    step = make_train_step(model, diffusion, standing_still)
    state = start_training(model, standing_still)._replace(params=pair.params)  # a fresh network gives zeros
    state, first = step(state, images, Draws(*draws))
    _, second = step(state, images, Draws(*draws))
    assert np.array_equal(first["loss"], second["loss"]) == (rate == 0)
