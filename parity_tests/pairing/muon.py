"""Muon in both frameworks as one rule: torch's own, and optax's parts put together to it."""

import math
from collections.abc import Callable, Iterable
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

TINY = 1e-30
"""optax adds its ε to the norm that torch keeps above its own."""


class MuonAndAdamW(Optimizer):
    """`torch.optim.Muon` for matrices and AdamW for everything else, as one optimiser.

    torch orthogonalises in bfloat16 whatever the parameters are in. Here it is done in their own type: else nothing
    finer than bfloat16 could be compared.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, **muon: Any) -> None:
        chosen = list(parameters)
        super().__init__(chosen, {"lr": lr})
        matrices, others = ([p for p in chosen if (p.ndim == 2) is wanted] for wanted in (True, False))
        self.parts: list[Optimizer] = [Muon(matrices, lr, **muon)] if matrices else []
        if others:
            self.parts.append(AdamW(others, lr, weight_decay=0.0))
        self.param_groups = [group for part in self.parts for group in part.param_groups]  # schedules change these

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        with patch("torch.optim._muon._zeropower_via_newtonschulz", orthogonalise):
            for part in self.parts:
                part.step()


def orthogonalise(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Newton and Schulz's iteration in the matrix's own type (Jordan 2024, *Muon*)."""
    a, b, c = coefficients
    x = matrix.T if matrix.size(0) > matrix.size(1) else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.size(0) > matrix.size(1) else x


def optax_muon(
    rate: Callable[[float], Any], lr: float, momentum: float, nesterov: bool, weight_decay: float
) -> optax.GradientTransformation:
    """torch's rule of optax's parts.

    `optax.contrib.muon` is another rule: it corrects its momentum's bias, so that with Nesterov's momentum the first
    steps differ.

    Args:
        rate: makes a learning rate, or a schedule of it.
        lr: the learning rate.
        momentum: weight of what was before.
        nesterov: look one step ahead.
        weight_decay: of matrices.
    """
    matrices = optax.chain(
        _momentum(momentum, nesterov),
        optax.contrib.scale_by_muon(beta=0.0, nesterov=False, eps=TINY, weight_dimension_numbers=_all_matrices),
        optax.stateless(lambda updates, _: jax.tree.map(_scaled, updates)),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(rate(lr)),
    )
    others = optax.adamw(rate(lr), weight_decay=0.0)
    return optax.partition(
        {True: matrices, False: others}, lambda tree: jax.tree.map(lambda array: array.ndim == 2, tree)
    )


def _momentum(momentum: float, nesterov: bool) -> optax.GradientTransformation:
    def mix(old: Any, new: Any) -> Any:
        return jax.tree.map(lambda a, b: momentum * a + (1 - momentum) * b, old, new)

    def update(gradients: Any, state: Any, _: Any = None) -> Any:
        state = mix(state, gradients)
        return (mix(state, gradients) if nesterov else state), state

    return optax.GradientTransformation(lambda parameters: jax.tree.map(jnp.zeros_like, parameters), update)


def _all_matrices(tree: Any) -> Any:
    return jax.tree.map(lambda _: optax.contrib.MuonDimensionNumbers(), tree)


def _scaled(update: jax.Array) -> jax.Array:
    fan_in, fan_out = update.shape
    return math.sqrt(max(1.0, fan_out / fan_in)) * update
