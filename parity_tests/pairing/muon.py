"""Muon in both frameworks as one rule: torch's own, and optax's parts put together to it."""

import math
from collections.abc import Callable, Iterable
from typing import Any
from unittest.mock import patch

import jax
import optax  # type: ignore[import-untyped]
import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from jax_reference.written_out.muon import nesterov_momentum, orthogonalised
from lightning_nsd.muon import newton_schulz


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
        with patch("torch.optim._muon._zeropower_via_newtonschulz", newton_schulz):
            for part in self.parts:
                part.step()


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
        nesterov_momentum(momentum, nesterov),
        orthogonalised(),
        optax.stateless(lambda updates, _: jax.tree.map(_scaled, updates)),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(rate(lr)),
    )
    others = optax.adamw(rate(lr), weight_decay=0.0)
    return optax.partition(
        {True: matrices, False: others}, lambda tree: jax.tree.map(lambda array: array.ndim == 2, tree)
    )


def _scaled(update: jax.Array) -> jax.Array:
    fan_in, fan_out = update.shape
    return math.sqrt(max(1.0, fan_out / fan_in)) * update
