"""Modules that are given the same attention mask in other words are run alone, and blamed for nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from parity_tests.pairing import Pairing
from parity_tests.pairing.masks import is_mask, same_mask

T, WIDTH = 5, 6
X = np.random.default_rng(0).standard_normal((2, T, WIDTH))
KEPT = np.array([[True, True, True, True, False], [True, True, False, False, False]])


def additive(kept: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
    return np.where(kept, 0.0, np.finfo(dtype).min).astype(dtype)


@pytest.mark.parametrize(
    "other",
    [
        KEPT.astype(int),
        ~KEPT,
        KEPT[:, None, None, :],
        additive(KEPT)[:, None, None, :],
        np.where(KEPT, 0.0, -np.inf),
        np.broadcast_to(KEPT[:, None, :], (2, T, T)),
    ],
    ids=["numbers", "turned round", "more axes", "added", "minus infinity", "for every query"],
)
def test_masks_that_say_the_same_are_the_same(other: np.ndarray) -> None:
    assert same_mask(KEPT, other) and same_mask(other, KEPT)


@pytest.mark.parametrize("other", [np.roll(KEPT, 1, axis=1), KEPT[::-1], KEPT[:1], X, additive(KEPT) + 1.0])
def test_others_are_not(other: np.ndarray) -> None:
    assert not same_mask(KEPT, other)


def test_activations_are_no_masks() -> None:
    assert not is_mask(X) and is_mask(KEPT) and is_mask(np.zeros((2, 3)))


class TorchAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        logits = self.query(x) @ x.transpose(1, 2)
        return logits.masked_fill(~kept[:, None, :], float("-inf")).softmax(-1) @ self.value(x)


class TorchNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = TorchAttention(), nn.Linear(WIDTH, 3)

    def forward(self, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        return self.head(self.attention(x, kept))


class JaxAttention(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, fault: bool) -> None:
        self.query, self.value = (nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(2))
        self.fault = fault

    def __call__(self, x: jax.Array, bias: jax.Array) -> jax.Array:
        logits = self.query(x) @ x.transpose(0, 2, 1) + bias[:, 0]
        return jax.nn.softmax(logits, axis=-1) @ (2 * self.value(x) if self.fault else self.value(x))


class JaxNetwork(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, fault: bool = False, moved: int = 0) -> None:
        self.attention, self.head = JaxAttention(rngs, fault), nnx.Linear(WIDTH, 3, rngs=rngs)
        self.moved = moved

    def __call__(self, x: jax.Array, kept: jax.Array) -> jax.Array:
        kept = jnp.roll(kept, self.moved, axis=1)
        return self.head(self.attention(x, jnp.where(kept, 0.0, jnp.finfo(x.dtype).min)[:, None, None, :]))


def pairing(**options: Any) -> Pairing:
    return Pairing(TorchNetwork(), JaxNetwork(nnx.Rngs(0), **options), (X, KEPT))


def test_a_module_with_a_mask_of_another_shape_is_run_alone() -> None:
    report = pairing().check(("module", "forward", "gradient"))
    report.require()
    assert "attention (TorchAttention)" in report.checks[0].errors


def test_a_fault_beside_such_a_mask_is_named() -> None:
    report = pairing(fault=True).check(("module",))
    assert report.first_module == "attention" and "times 2" in str(report.explanation)


def test_a_mask_that_lets_other_things_through_is_said() -> None:
    report = pairing(moved=1).check(("module", "forward"))
    assert not report.passed
    words = {name: text for finding in report.findings for name, text in finding.words.items()}
    assert "lets other things through" in words["attention (TorchAttention)"]
