"""Dropout sits in the same places: the same masks in both frameworks give the same loss and gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from lightning_nsd.rng import philox
from parity_tests import cases
from parity_tests.pair import Pair
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
